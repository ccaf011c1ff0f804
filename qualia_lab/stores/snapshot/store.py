"""A snapshot: the tables of some runs as Parquet files, read without the store they came from."""

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
from qualia_lab.query import needed_tables, parse_filter, parse_order_by, select_runs
from qualia_lab.query.explanation import explain_tables
from qualia_lab.stores.orphans import in_known_experiments
from qualia_lab.stores.places import NoPlace, artifact_place, on_this_machine
from qualia_lab.stores.protocol import UNREAD_HISTORIES
from qualia_lab.stores.rows import latest_first
from qualia_lab.stores.snapshot.artifacts import KEPT_ARTIFACTS, kept_place
from qualia_lab.stores.snapshot.manifest import Manifest, Part, read_manifest
from qualia_lab.stores.snapshot.parts import ARTIFACTS, PartWriter, chosen_rows, read_points, read_table, write_file
from qualia_lab.stores.snapshot.place import PARTS, open_place
from qualia_lab.stores.snapshot.update import publish
from qualia_lab.tables import RunTables, rows_with, run_tables, table_of
from qualia_lab.times import is_possible, possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace, TrackingStore

# Of so many runs a notebook's snapshot says in which folder of this machine their artifacts are.
_FOLDERS = 200


def write_snapshot(
    folder: Path, store: TrackingStore, tables: RunTables, *, source_uri: str, artifacts_of: Iterable[str] = ()
) -> None:
    """Write these runs, their whole metric histories and the artifacts of some of them, for one notebook.

    source_uri: the tracking URI by which a notebook names the store.  artifacts_of: the runs whose artifacts are kept,
    where they are not on this machine; those of any other are said to be left out. Histories are streamed, so memory
    stays bounded. An artifact that cannot be read is kept as a note; histories that cannot be read are left out, all of
    them, and `problems` says why.
    """
    place = open_place(folder)
    with place.writing():
        writer = PartWriter(place, lasting=False)
        try:
            writer.add_history(store.read_metric_history(tables.run_ids))
        except StoreError as error:
            writer = PartWriter(place, lasting=False)
            row = {"run_id": None, "subject": UNREAD_HISTORIES, "reason": error.message}
            problems = pa.concat_tables([tables.problems, table_of(schema.PROBLEMS, [row])])
            tables = replace(tables, problems=problems)
        writer.add_tables(tables)
        uris = dict(zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True))
        wanted = dict.fromkeys(run_id for run_id in artifacts_of if run_id in uris)
        places = {run: store.artifact_place(run, uris[run] or "") for run in wanted | dict.fromkeys([*uris][:_FOLDERS])}
        # Where a folder on this machine is costs a row; what a server has is asked for.
        kept = {run: found for run, found in places.items() if run in wanted or on_this_machine(found)}
        writer.add_artifacts(kept, local=False)
        own = tuple(
            write_file(place, name, f"{PARTS}/{uuid4().hex}-0.parquet", [getattr(tables, name)], lasting=False)
            for name in ("experiments", "missing")
            if getattr(tables, name).num_rows
        )
        part = writer.finish(tracking_uri=source_uri)
        publish(place, Manifest(tracking_uri=source_uri, beside=None, choice=None, tables=own, parts=(part,)))


class SnapshotStore(Closing):
    """A snapshot as a TrackingStore. Raises StoreNotFound or StoreUnreadable when there is none.

    where: a folder, or a URL for fsspec.
    """

    def __init__(self, where: str | Path) -> None:
        self._place = open_place(where)
        self._manifest = read_manifest(self._place)
        self.uri = f"snapshot:{self._place.shown}"
        self.source_uri = self._manifest.tracking_uri
        self._last_kept: tuple[str, pa.Table] | None = None

    def read_experiments(self, view: View = "active") -> pa.Table:
        """See TrackingStore."""
        counts: dict[str, int] = {}
        latest: dict[str, int] = {}
        runs = _of_view(self._runs, view)
        columns = (runs.column(name).to_pylist() for name in ("experiment_id", "start_time", "end_time"))
        for experiment, *moments in zip(*columns, strict=True):
            counts[experiment] = counts.get(experiment, 0) + 1
            known = [moment for moment in (latest.get(experiment), *moments) if is_possible(moment)]
            if known:
                latest[experiment] = max(known)
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
        tables = self._asked(query, needed_tables(condition, orders))
        chosen = select_runs(condition, orders, tables, self.read_metric_history)
        return possible_runs(in_order(tables.runs, "run_id", chosen[: query.limit]))

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        needed = needed_tables(parse_filter(query.filter), parse_order_by(query.order_by))
        return explain_tables(query, "snapshot", self._asked(query, needed), self.read_metric_history)

    def _asked(self, query: Query, needed: frozenset[str]) -> RunTables:
        """The runs that the filter is asked of, with the tables that it needs."""
        runs = _of_view(self._runs, query.view)
        experiment_ids = list(query.experiment_ids)
        if query.view == "active" and not experiment_ids and not query.run_ids:
            experiment_ids = _of_view(self._experiments, "active").column("experiment_id").to_pylist()
        if experiment_ids or (query.view == "active" and not query.run_ids):
            runs = rows_with(runs, "experiment_id", experiment_ids)
        if query.run_ids:
            runs = chosen_rows(runs, column(list(query.run_ids), schema.STRING))
        return run_tables(
            runs=runs, experiments=self._experiments, **self._tables(runs, needed - {"runs", "experiments"})
        )

    def unknown(self, run_ids: Sequence[str]) -> list[str]:
        """Those of these runs that it does not have, and of which it does not say why they are missing either."""
        missing = read_table(self._place, self._own_files("missing"), schema.MISSING)
        known = pa.chunked_array([*self._runs.column("run_id").chunks, *missing.column("run_id").chunks], schema.STRING)
        asked = column(list(run_ids), schema.STRING)
        others: list[str] = asked.filter(pc.invert(pc.is_in(asked, value_set=known))).to_pylist()
        return others

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        runs = in_order(self._runs, "run_id", list(dict.fromkeys(run_ids)))
        found = set(runs.column("run_id").to_pylist())
        recorded = read_table(self._place, self._own_files("missing"), schema.MISSING).to_pylist()
        reasons = {row["run_id"]: row["reason"] for row in recorded}
        missing = [
            {"run_id": run_id, "reason": reasons.get(run_id, "it is not in the snapshot")}
            for run_id in dict.fromkeys(run_ids)
            if run_id not in found
        ]
        names = set(schema.TABLES) - {"runs", "experiments", "missing"}
        tables = RunTables(
            runs=runs,
            experiments=in_order(self._experiments, "experiment_id", _unique(runs, "experiment_id")),
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
            found = len(chosen_rows(runs, wanted))
            if found:
                yield from read_points(self._place, part, wanted if found < part.runs else None, wanted_keys)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """See TrackingStore."""
        wanted = column([run_id], schema.STRING)
        for part, runs in self._parts:
            if part.of(ARTIFACTS) and chosen_rows(runs, wanted).num_rows:
                rows = chosen_rows(self._kept_artifacts(part), wanted).to_pylist()
                if rows:
                    return kept_place(self._place, run_id, artifact_uri, rows)
        if self._manifest.choice is None:
            return NoPlace(artifact_uri, "left out while the notebook was made; run this cell in Jupyter to see them")
        beside = self._manifest.beside
        if beside is None and artifact_uri.lower().startswith("mlflow-artifacts:"):
            return NoPlace(artifact_uri, "they are at the tracking server; qualia snapshot --artifacts keeps them too")
        return artifact_place(run_id, artifact_uri, beside=Path(beside) if beside else None)

    def close(self) -> None:
        """Nothing is held open."""

    def _kept_artifacts(self, part: Part) -> pa.Table:
        """What a part keeps of artifacts: runs are asked for one after the other, and mostly they are of one part."""
        kept = self._last_kept
        if kept is None or kept[0] != part.name:
            kept = self._last_kept = part.name, read_table(self._place, part.of(ARTIFACTS), KEPT_ARTIFACTS)
        return kept[1]  # not of `self`: another thread may have asked for another part

    @cached_property
    def _parts(self) -> list[tuple[Part, pa.Table]]:
        """The parts, each with its runs."""
        return [(part, read_table(self._place, part.of("runs"), schema.RUNS)) for part in self._manifest.parts]

    @cached_property
    def _runs(self) -> pa.Table:
        return pa.concat_tables([table_of(schema.RUNS, []), *(runs for _, runs in self._parts)])

    @cached_property
    def _experiments(self) -> pa.Table:
        return read_table(self._place, self._own_files("experiments"), schema.EXPERIMENTS)

    def _own_files(self, table: str) -> list[Any]:
        return [file for file in self._manifest.tables if file.table == table]

    def _tables(self, runs: pa.Table, names: Iterable[str]) -> dict[str, pa.Table]:
        """Some of the tables of these runs, out of the parts that they are in."""
        run_ids = runs.column("run_id").to_pylist()
        wanted = column(run_ids, schema.STRING)
        parts = [part for part, of_part in self._parts if chosen_rows(of_part, wanted).num_rows]
        tables = {}
        for name in names:
            if name == "experiment_tags":
                tables[name] = self._experiment_tags(parts, _unique(runs, "experiment_id"))
                continue
            files = [file for part in parts for file in part.of(name)]
            table = read_table(self._place, files, schema.TABLES[name])
            tables[name] = in_order(table, "run_id", run_ids)
            if name == "problems":
                general = table.filter(pc.is_null(table.column("run_id"))).to_pylist()
                once = {tuple(row.values()): row for row in general}
                tables[name] = pa.concat_tables([table_of(schema.PROBLEMS, once.values()), tables[name]])
        return tables

    def _experiment_tags(self, parts: list[Part], experiment_ids: list[str]) -> pa.Table:
        """The tags of these experiments, of each as the part says that was read last."""
        last = {experiment: part for part in parts for experiment in part.experiments}
        tables = [table_of(schema.EXPERIMENT_TAGS, [])]
        for experiment in experiment_ids:
            files = last[experiment].of("experiment_tags") if experiment in last else []
            table = read_table(self._place, files, schema.EXPERIMENT_TAGS)
            tables.append(rows_with(table, "experiment_id", [experiment]))
        return pa.concat_tables(tables)


def in_order(table: pa.Table, by: str, ids: Sequence[str]) -> pa.Table:
    """The rows of these ids, in their order and else as they stand."""
    rank = pc.index_in(table.column(by), value_set=column(ids, schema.STRING))
    places = numbers_of(filled(rank, -1))
    if not len(places) or (places[0] >= 0 and (places[1:] >= places[:-1]).all()):
        # As it stands, in one piece: the tables of a notebook's own snapshot are large, and are so already.
        return table if all(column.num_chunks <= 1 for column in table.columns) else table.combine_chunks()
    ranked = table.append_column("rank", rank).filter(pc.is_valid(rank))
    return ranked.take(pc.sort_indices(ranked, sort_keys=[("rank", "ascending")])).drop_columns(["rank"])


def _of_view(table: pa.Table, view: View) -> pa.Table:
    return table if view == "all" else rows_with(table, "lifecycle_stage", [view])


def _unique(table: pa.Table, name: str) -> list[str]:
    found: list[str] = pc.unique(table.column(name)).to_pylist()
    return found
