"""SnapshotStore: reads the runs in a snapshot, which is a set of Parquet files, without the original store."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.columns import column, filled, numbers_of
from qualia_lab.errors import StoreError
from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.query import needed_tables, parse_filter, parse_order_by, select_runs
from qualia_lab.query.explanation import explain_tables
from qualia_lab.stores.artifact_places import UnopenedPlace, artifact_place, as_local_place
from qualia_lab.stores.change_tokens import token_of
from qualia_lab.stores.model_sources import is_model_id
from qualia_lab.stores.orphans import in_known_experiments
from qualia_lab.stores.protocol import UNREAD_HISTORIES
from qualia_lab.stores.rows import latest_first
from qualia_lab.stores.snapshot.artifacts import ARTIFACT_ROWS, saved_artifact_place
from qualia_lab.stores.snapshot.genai import write_genai
from qualia_lab.stores.snapshot.history import points_of
from qualia_lab.stores.snapshot.location import PARTS, open_location
from qualia_lab.stores.snapshot.manifest import File, Manifest, Part, read_manifest
from qualia_lab.stores.snapshot.parts import (
    ARTIFACT_STARTS,
    ARTIFACTS,
    PartWriter,
    read_encoded_points,
    read_table,
    rows_of_runs,
    write_file,
)
from qualia_lab.stores.snapshot.update import publish
from qualia_lab.tables import RunTables, rows_with, run_tables, table_of
from qualia_lab.times import is_possible, possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace, TrackingStore
    from qualia_lab.stores.snapshot.genai import GenAIChoice
    from qualia_lab.stores.snapshot.genai_reading import SnapshotGenAI

# For this many runs, a snapshot for a notebook records the local folders of their artifacts.
_RUNS_WITH_FOLDERS = 200

_MOST_POINTS_KEPT = 1 << 18  # of the metric that was read last: 8 MB
_NOT_SAVED = "the artifacts of this run were not saved with the notebook"


def write_snapshot(
    folder: Path,
    store: TrackingStore,
    tables: RunTables,
    *,
    source_uri: str,
    artifacts_of: Iterable[str] = (),
    genai: GenAIChoice | None = None,
    standalone: bool = False,
    as_of: int | None = None,
) -> None:
    """Write these runs, their complete metric histories and the artifacts of some of them, for one notebook.

    Histories are streamed, so memory stays bounded. If they cannot be read, all are omitted and `problems` has the
    reason. An artifact that cannot be read is replaced by a note.

    Args:
        folder: the folder to write to.
        store: the store of the runs.
        tables: the tables of the runs.
        source_uri: the tracking URI of the store, for runs that are not in the snapshot.
        artifacts_of: the runs whose artifacts are saved, if they are not on this machine. For other runs, the notebook
            reports that artifacts are omitted.
        genai: which models, traces and evaluation datasets are saved; None for none.
        standalone: for a reader on another machine: artifacts on this machine are saved too, and no folder is recorded.
        as_of: the time in ms up to which unfinished runs last; None for that of the store, if it is a copy.
    """
    location = open_location(folder)
    only_traces = genai is not None and genai.only_traces
    with location.writing():
        writer = PartWriter(location, durable=False)
        try:
            writer.add_history(store.read_metric_history(() if only_traces else tables.run_ids))
        except StoreError as error:
            writer = PartWriter(location, durable=False)
            row = {"run_id": None, "subject": UNREAD_HISTORIES, "reason": error.message}
            problems = pa.concat_tables([tables.problems, table_of(schema.PROBLEMS, [row])])
            tables = replace(tables, problems=problems)
        writer.add_tables(tables)
        uris = dict(zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True))
        uris = {} if only_traces else uris
        wanted = [run_id for run_id in dict.fromkeys(artifacts_of) if run_id in uris]
        places = {run_id: store.artifact_place(run_id, uris[run_id] or "") for run_id in wanted}
        others = _places_not_opened(uris) if standalone else _local_places(store, uris)
        writer.add_artifacts({**others, **places}, local=standalone)
        files = tuple(
            write_file(location, name, f"{PARTS}/{uuid4().hex}-0.parquet", [getattr(tables, name)], durable=False)
            for name in ("experiments", "missing")
            if getattr(tables, name).num_rows
        )
        if genai is not None:
            files += write_genai(location, store, genai, durable=False)
        part = writer.finish(tracking_uri=source_uri)
        manifest = Manifest(
            tracking_uri=source_uri,
            beside=None,
            choice=None,
            tables=files,
            parts=(part,),
            as_of=getattr(store, "as_of", None) if as_of is None else as_of,
            traces_of=genai.traces.as_data() if genai is not None and only_traces and genai.traces else None,
            spans_in_part=genai is not None and genai.spans_of is not None,
        )
        publish(location, manifest)


def _places_not_opened(uris: Mapping[str, str | None]) -> dict[str, ArtifactPlace]:
    """A place for each run that only says that its artifacts were not saved."""
    return {run_id: UnopenedPlace(uri or "", _NOT_SAVED) for run_id, uri in uris.items()}


def _local_places(store: TrackingStore, uris: Mapping[str, str | None]) -> dict[str, ArtifactPlace]:
    """The places on this machine of the first runs: they cost only a row, but artifacts on a server cost requests."""
    first = [*uris.items()][:_RUNS_WITH_FOLDERS]
    places = {run_id: store.artifact_place(run_id, uri or "") for run_id, uri in first}
    return {run_id: place for run_id, place in places.items() if as_local_place(place)}


def snapshot_below(store: object) -> SnapshotStore | None:
    """The snapshot that a store reads, below what masks secrets and splits metrics; None for other stores."""
    while not isinstance(store, SnapshotStore):
        store = getattr(store, "stored", None)
        if store is None:
            return None
    return store


class SnapshotStore(Closing):
    """A snapshot as a TrackingStore.

    Args:
        where: a folder, or a URL for fsspec.

    Raises:
        StoreNotFound: there is no snapshot.
        StoreUnreadable: its manifest is damaged or has another version.

    Example:
        >>> store = SnapshotStore("runs.snapshot")  # doctest: +SKIP
    """

    def __init__(self, where: str | Path) -> None:
        self._location = open_location(where)
        self._manifest = read_manifest(self._location)
        self.uri = f"snapshot:{self._location.shown}"
        self.source_uri = self._manifest.tracking_uri
        self.as_of = self._manifest.as_of
        self.traces_of = self._manifest.traces_of
        self.has_spans_in_part = self._manifest.spans_in_part
        self.privacy = EVERYTHING_SHOWN.and_of(
            self._manifest.choice or {}
        )  # what of people's words it was written with
        self._cached_artifacts: tuple[str, pa.Table, dict[str, File]] | None = None
        self._last_points: tuple[tuple[str, str], list[pa.RecordBatch]] | None = None

    def read_experiments(self, view: View = "active") -> pa.Table:
        """See TrackingStore."""
        counts: dict[str, int] = {}
        latest: dict[str, int] = {}
        runs = _of_view(self._runs, view)
        columns = (runs.column(name).to_pylist() for name in ("experiment_id", "start_time", "end_time"))
        for experiment_id, *times in zip(*columns, strict=True):
            counts[experiment_id] = counts.get(experiment_id, 0) + 1
            for time in times:
                if time is not None and time > latest.get(experiment_id, 0) and is_possible(time):
                    latest[experiment_id] = time
        rows = [
            {**row, "run_count": counts.get(row["experiment_id"], 0), "last_activity": latest.get(row["experiment_id"])}
            for row in _of_view(self._experiments, view).to_pylist()
        ]
        rows.sort(key=lambda row: latest_first(row["last_activity"]))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """See TrackingStore."""
        return self._experiment_tags([part for part, _ in self._parts], list(experiment_ids))

    def read_runs(self, query: Query) -> pa.Table:
        """See TrackingStore."""
        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        tables = self._candidates(query, needed_tables(condition, orders))
        chosen = select_runs(condition, orders, tables, self.read_metric_history)
        return possible_runs(rows_in_order(tables.runs, "run_id", chosen[: query.limit]))

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        needed = needed_tables(parse_filter(query.filter), parse_order_by(query.order_by))
        return explain_tables(query, "snapshot", self._candidates(query, needed), self.read_metric_history)

    def _candidates(self, query: Query, needed: frozenset[str]) -> RunTables:
        """The runs in the query's view, experiments and ids, unfiltered, with the tables that the filter needs."""
        runs = _of_view(self._runs, query.view)
        experiment_ids = list(query.experiment_ids)
        if query.view == "active" and not experiment_ids and not query.run_ids:
            experiment_ids = _of_view(self._experiments, "active").column("experiment_id").to_pylist()
        if experiment_ids or (query.view == "active" and not query.run_ids):
            runs = rows_with(runs, "experiment_id", experiment_ids)
        if query.run_ids:
            runs = rows_of_runs(runs, column(list(query.run_ids), schema.STRING))
        return run_tables(
            runs=runs, experiments=self._experiments, **self._tables(runs, needed - {"runs", "experiments"})
        )

    @cached_property
    def _missing_reasons(self) -> dict[str, str]:
        """Why runs that were asked for are not in the snapshot, by run id."""
        rows = read_table(self._location, self._snapshot_files("missing"), schema.MISSING).to_pylist()
        return {row["run_id"]: row["reason"] for row in rows}

    def unknown(self, run_ids: Sequence[str]) -> list[str]:
        """The runs among these that are neither in the snapshot nor recorded as missing."""
        known = {*self._runs.column("run_id").to_pylist(), *self._missing_reasons}
        return [run_id for run_id in run_ids if run_id not in known]

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        runs = rows_in_order(self._runs, "run_id", list(dict.fromkeys(run_ids)))
        found = set(runs.column("run_id").to_pylist())
        missing = [
            {"run_id": run_id, "reason": self._missing_reasons.get(run_id, "it is not in the snapshot")}
            for run_id in dict.fromkeys(run_ids)
            if run_id not in found
        ]
        names = set(schema.TABLES) - {"runs", "experiments", "missing"}
        tables = RunTables(
            runs=runs,
            experiments=rows_in_order(self._experiments, "experiment_id", _unique(runs, "experiment_id")),
            missing=table_of(schema.MISSING, missing),
            **self._tables(runs, names),
        )
        return in_known_experiments(with_possible_times(tables))

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See TrackingStore."""
        if keys is not None and not keys:
            return
        wanted = column(list(run_ids), schema.STRING)
        wanted_keys = None if keys is None else column(list(keys), schema.STRING)
        for part, runs in self._parts:
            count = len(rows_of_runs(runs, wanted))
            if count:
                points = self._encoded_points(part, wanted_keys)
                yield from points_of(points, wanted if count < part.runs else None)

    def _encoded_points(self, part: Part, keys: pa.Array | None) -> Iterator[pa.RecordBatch]:
        """The histories of metrics in a part; the last metric is kept, as charts read the runs of each experiment."""
        metric = (part.name, keys[0].as_py()) if keys is not None and len(keys) == 1 else None
        if metric is not None and self._last_points is not None and self._last_points[0] == metric:
            yield from self._last_points[1]
            return
        read: list[pa.RecordBatch] = []
        points = 0 if metric is not None else _MOST_POINTS_KEPT
        for batch in read_encoded_points(self._location, part, keys):
            points += batch.num_rows
            if points <= _MOST_POINTS_KEPT:
                read.append(batch)
            else:
                read.clear()
            yield batch
        if metric is not None and points <= _MOST_POINTS_KEPT:
            self._last_points = metric, read

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """See TrackingStore."""
        if is_model_id(run_id) and (place := self.genai.model_place(run_id, artifact_uri)) is not None:
            return place
        wanted = column([run_id], schema.STRING)
        for part, runs in self._parts:
            if part.of(ARTIFACTS) and rows_of_runs(runs, wanted).num_rows:
                table, files = self._saved_artifacts(part)
                rows = rows_of_runs(table, wanted).to_pylist()
                if rows:
                    return saved_artifact_place(self._location, run_id, artifact_uri, rows, files)
        if self._manifest.choice is None:
            return UnopenedPlace(
                artifact_uri, "left out while the notebook was made; run this cell in Jupyter to see them"
            )
        beside = self._manifest.beside
        if beside is None and artifact_uri.lower().startswith("mlflow-artifacts:"):
            return UnopenedPlace(
                artifact_uri, "they are at the tracking server; qualia snapshot --artifacts keeps them too"
            )
        return artifact_place(run_id, artifact_uri, beside=Path(beside) if beside else None)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:  # noqa: ARG002  a snapshot has one manifest
        """See TrackingStore. What this object reads is the snapshot as it was opened."""
        return token_of(read_manifest(self._location))

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """See ReadsGenAI."""
        runs = rows_with(self._runs, "experiment_id", experiment_ids).column("run_id").to_pylist()
        return self.genai.read_models(experiment_ids, run_ids, runs)

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """See ReadsGenAI."""
        active = _of_view(self._experiments, "active").column("experiment_id").to_pylist()
        return self.genai.read_traces(query, parts, active)

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """See ReadsGenAI."""
        return self.genai.read_spans(trace_ids, content=content)

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """See ReadsGenAI."""
        return self.genai.count_traces(experiment_ids)

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """See ReadsGenAI."""
        return self.genai.read_evaluation_datasets(experiment_ids)

    @cached_property
    def genai(self) -> SnapshotGenAI:
        """The models, traces and evaluation datasets in the snapshot."""
        from qualia_lab.stores.snapshot.genai_reading import SnapshotGenAI

        return SnapshotGenAI(self._location, self._manifest)

    def close(self) -> None:
        """Nothing to close."""

    def _saved_artifacts(self, part: Part) -> tuple[pa.Table, dict[str, File]]:
        """The ARTIFACT_ROWS of a part, and its files that hold their starts, by name.

        Those of the last part are cached, as runs often share it.
        """
        cached = self._cached_artifacts
        if cached is None or cached[0] != part.name:
            table = read_table(self._location, part.of(ARTIFACTS), ARTIFACT_ROWS)
            cached = self._cached_artifacts = part.name, table, {file.file: file for file in part.of(ARTIFACT_STARTS)}
        return cached[1:]  # not from `self`, where another thread may have cached another part

    @cached_property
    def _parts(self) -> list[tuple[Part, pa.Table]]:
        """Each part with its table of runs."""
        return [(part, read_table(self._location, part.of("runs"), schema.RUNS)) for part in self._manifest.parts]

    @cached_property
    def _runs(self) -> pa.Table:
        return pa.concat_tables([table_of(schema.RUNS, []), *(runs for _, runs in self._parts)])

    @cached_property
    def _experiments(self) -> pa.Table:
        return read_table(self._location, self._snapshot_files("experiments"), schema.EXPERIMENTS)

    def _snapshot_files(self, table: str) -> list[Any]:
        return [file for file in self._manifest.tables if file.table == table]

    def _tables(self, runs: pa.Table, names: Iterable[str]) -> dict[str, pa.Table]:
        """The named tables of these runs, read from the parts that contain them."""
        run_ids = runs.column("run_id").to_pylist()
        wanted = column(run_ids, schema.STRING)
        parts = [part for part, part_runs in self._parts if rows_of_runs(part_runs, wanted).num_rows]
        tables = {}
        for name in names:
            if name == "experiment_tags":
                tables[name] = self._experiment_tags(parts, _unique(runs, "experiment_id"))
                continue
            files = [file for part in parts for file in part.of(name)]
            table = read_table(self._location, files, schema.TABLES[name])
            tables[name] = rows_in_order(table, "run_id", run_ids)
            if name == "problems":
                without_run = table.filter(pc.is_null(table.column("run_id"))).to_pylist()
                distinct = {tuple(row.values()): row for row in without_run}
                tables[name] = pa.concat_tables([table_of(schema.PROBLEMS, distinct.values()), tables[name]])
        return tables

    def _experiment_tags(self, parts: list[Part], experiment_ids: list[str]) -> pa.Table:
        """The tags of these experiments, each from the last of these parts that has runs of it."""
        last = {experiment_id: part for part in parts for experiment_id in part.experiments}
        tables = [table_of(schema.EXPERIMENT_TAGS, [])]
        for experiment_id in experiment_ids:
            files = last[experiment_id].of("experiment_tags") if experiment_id in last else []
            table = read_table(self._location, files, schema.EXPERIMENT_TAGS)
            tables.append(rows_with(table, "experiment_id", [experiment_id]))
        return pa.concat_tables(tables)


def rows_in_order(table: pa.Table, by: str, ids: Sequence[str]) -> pa.Table:
    """The rows with these ids, in the order of the ids; the order of rows with the same id is kept."""
    rank = pc.index_in(table.column(by), value_set=column(ids, schema.STRING))
    positions = numbers_of(filled(rank, -1))
    if not len(positions) or (positions[0] >= 0 and (positions[1:] >= positions[:-1]).all()):
        # Already in order, as are the large tables of a notebook's snapshot: no copy is made if there is one chunk.
        return table if all(column.num_chunks <= 1 for column in table.columns) else table.combine_chunks()
    ranked = table.append_column("rank", rank).filter(pc.is_valid(rank))
    return ranked.take(pc.sort_indices(ranked, sort_keys=[("rank", "ascending")])).drop_columns(["rank"])


def _of_view(table: pa.Table, view: View) -> pa.Table:
    return table if view == "all" else rows_with(table, "lifecycle_stage", [view])


def _unique(table: pa.Table, name: str) -> list[str]:
    values: list[str] = pc.unique(table.column(name)).to_pylist()
    return values
