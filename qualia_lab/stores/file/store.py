"""FileStore: reads an mlruns folder from its files, and creates or changes nothing in it."""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
# ruff: noqa: PTH112, PTH118, PTH119

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.columns import column, column_of
from qualia_lab.errors import StoreNotFound, StoreUnreadable
from qualia_lab.genai_tables import evaluation_tables
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.file.changes import FolderChanges
from qualia_lab.stores.file.mlruns import Root, TooLarge, Unreadable, read_meta
from qualia_lab.stores.file.models import FolderModels, is_stray, model_row
from qualia_lab.stores.file.points import has_complete_last_line, latest_points, normalized, parse_files
from qualia_lab.stores.file.traces import FolderTraces
from qualia_lab.stores.rows import Fields, Rows, latest_first
from qualia_lab.stores.values import RUN_STATUSES, decoded, status, text
from qualia_lab.tables import run_tables, table_of
from qualia_lab.times import is_possible, possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.file.points import Points
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.rows import Row
    from qualia_lab.tables import RunTables

    _File = tuple[str, str, str]  # run id, key, path

_RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
_RECORDED_ID = re.compile(rb"""(?m)^experiment_id:[ \t]*['"]?([^'"\r\n]*?)['"]?[ \t]*\r?$""")
_WINDOWS_PATH = re.compile(r"/?[A-Za-z]:[\\/]")
_NOT_EXPERIMENTS = {"models"}  # the model registry
_NOT_RUNS = {"tags", "datasets", "traces", "models"}
_RUN_PARTS = ("params", "metrics", "tags")
_BYTES_PER_BATCH = 4 << 20  # of metric files: some hundred thousand points
_MAX_METRIC_BYTES = 64 << 20


def path_of_uri(uri: str) -> Path:
    """The path named by a plain path or a `file:` URI, percent-decoded, with its Windows drive."""
    if uri[:5].lower() != "file:":
        return Path(uri)
    # MLflow also writes the invalid URIs `file:C:\\x` and `file:relative`.
    rest = uri[5:]
    path = unquote(urlsplit(uri).path) if rest.startswith("//") else unquote(rest)
    return Path(path[1:] if path.startswith("/") and _WINDOWS_PATH.match(path) else path)


@dataclass(frozen=True)
class _Experiment:
    """The folder of an experiment; its meta.yaml is read only when needed."""

    experiment_id: str
    path: str
    deleted: bool

    def lifecycle_stage(self, recorded: Any) -> str:
        """The lifecycle stage: deleted for anything in the trash, whatever its files say."""
        return "deleted" if self.deleted else text(recorded) or "active"


class FileStore(Closing):
    """A TrackingStore over the folder that MLflow's file store writes.

    A folder of an experiment or run without its meta.yaml is read too, and reported in `problems`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.uri = self.path.as_uri()
        self._root = Root(self.path)
        self._changes = FolderChanges(self._root)
        self._traces = FolderTraces(self._root, self.path)
        self._all_models = FolderModels(self._root)

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first."""
        rows = []
        for experiment in self._experiments():
            row = self._experiment_row(experiment, Rows())
            if not _matches(view, row["lifecycle_stage"]):
                continue
            runs = [run for run in self._run_rows(experiment) if _matches(view, run["lifecycle_stage"])]
            times = [time for run in runs for time in (run["start_time"], run["end_time"]) if is_possible(time)]
            rows.append({**row, "run_count": len(runs), "last_activity": max(times, default=None)})
        rows.sort(key=lambda row: (latest_first(row["last_activity"]), row["experiment_id"]))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments (schema.EXPERIMENT_TAGS)."""
        rows, wanted = Rows(), set(experiment_ids)
        for experiment in self._experiments():
            if experiment.experiment_id in wanted:
                self._read_experiment(experiment, rows)
        return rows.to_tables().experiment_tags

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order."""
        from qualia_lab.query import needed_tables, parse_filter, parse_order_by, select_runs

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        rows, tables = self._candidates(query, needed_tables(condition, orders))
        by_id = {row["run_id"]: row for row in rows}
        matching = select_runs(condition, orders, tables, self.read_metric_history)[: query.limit]
        return possible_runs(table_of(schema.RUNS, [by_id[run_id] for run_id in matching]))

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        from qualia_lab.query import needed_tables, parse_filter, parse_order_by
        from qualia_lab.query.explanation import explain_tables

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        _, tables = self._candidates(query, needed_tables(condition, orders))
        return explain_tables(query, "files", tables, self.read_metric_history)

    def _candidates(self, query: Query, needed: Collection[str]) -> tuple[list[Row], RunTables]:
        """The runs in the query's view, experiments and ids, unfiltered, and the tables that the filter needs."""
        rows = [
            run
            for experiment in self._experiments()
            if self._is_selected(experiment, query)
            for run in self._run_rows(experiment)
            if _matches(query.view, run["lifecycle_stage"]) and (not query.run_ids or run["run_id"] in query.run_ids)
        ]
        if needed == {"runs"}:
            return rows, run_tables(runs=table_of(schema.RUNS, rows))
        return rows, self._read_as_recorded([row["run_id"] for row in rows])

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs except histories and artifacts; missing runs are listed."""
        return with_possible_times(self._read_as_recorded(run_ids))

    def _read_as_recorded(self, run_ids: Sequence[str]) -> RunTables:
        found = self._find(run_ids)
        rows = Rows()
        experiments = {experiment.experiment_id: experiment for experiment, _ in found.values()}
        datasets: dict[str, dict[str, Row]] = {}
        models: dict[str, Row] = {}
        for experiment in experiments.values():
            self._read_experiment(experiment, rows)
            datasets[experiment.experiment_id] = self._datasets(experiment, rows)
            models |= self._models(experiment, rows)
        for run_id in dict.fromkeys(run_ids):
            if run_id in found:
                experiment, path = found[run_id]
                self._read_run(experiment, run_id, path, rows)
                self._read_inputs(run_id, path, datasets[experiment.experiment_id], rows)
                self._read_outputs(run_id, path, models, rows)
            else:
                rows.add_missing(run_id, "the store has no folder of this run")
        metrics = (
            (run_id, key, file)
            for run_id, (_, path) in found.items()
            for key, file in self._files(run_id, path, "metrics", rows)
        )
        self._read_latest(metrics, rows)
        return rows.to_tables()

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, in batches. Lines that cannot be read are reported by `read`."""
        wanted = None if keys is None else set(keys)
        ignored = Rows()
        files = (
            (run_id, key, file)
            for run_id, (_, path) in self._find(run_ids).items()
            for key, file in self._files(None, path, "metrics", ignored)
            if wanted is None or key in wanted
        )
        for series, _, points in self._points(files, ignored):
            if len(points.steps):
                yield _history(series, points)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run are: where they were recorded, or in the run's own folder."""
        from qualia_lab.stores.artifact_places import artifact_place

        return artifact_place(run_id, artifact_uri, beside=self.path)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """See TrackingStore."""
        experiments = [one for one in self._experiments() if one.experiment_id in experiment_ids or not experiment_ids]
        runs = [path for experiment in experiments for path in self._run_folders(experiment).values()]
        return self._changes.token([experiment.path for experiment in experiments], runs)

    # ReadsGenAI

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """Logged models with what was logged for them, and versions of registered models."""
        experiments = {experiment.experiment_id: experiment for experiment in self._experiments()}
        runs_of = {one.experiment_id: self._run_folders(one) for one in experiments.values()}
        of_experiments = {run_id for experiment_id in experiment_ids for run_id in runs_of.get(experiment_id, ())}
        return self._all_models.read(
            {experiment_id: experiment.path for experiment_id, experiment in experiments.items()},
            {run_id: path for folders in runs_of.values() for run_id, path in folders.items()},
            set(experiment_ids) if experiment_ids or run_ids else None,
            set(run_ids),
            {*run_ids, *of_experiments},
        )

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """The traces that match, without spans."""
        return self._traces.read(query, parts, self._trace_folders(query.experiment_ids))

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """The spans of these traces, in batches."""
        experiments = {experiment.experiment_id: experiment.path for experiment in self._experiments()}
        return self._traces.spans(trace_ids, experiments, content=content)

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """The number of traces of each of these experiments that has any, () for all experiments."""
        return self._traces.count(self._trace_folders(experiment_ids))

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:  # noqa: ARG002
        """No datasets: MLflow keeps them in databases only."""
        return evaluation_tables()

    def _trace_folders(self, experiment_ids: Sequence[str]) -> dict[str, str]:
        """The folders of these experiments by id, () for all active ones."""
        return {
            experiment.experiment_id: experiment.path
            for experiment in self._experiments()
            if (
                experiment.experiment_id in experiment_ids
                if experiment_ids
                else self._experiment_row(experiment, Rows())["lifecycle_stage"] != "deleted"
            )
        }

    def close(self) -> None:
        """Nothing to close."""

    # Finding folders

    def _experiments(self) -> list[_Experiment]:
        """Every experiment, including deleted ones."""
        if not self.path.is_dir():
            raise StoreNotFound(f"There is no folder {self.path}.", "Check the path; nothing was created.")
        try:
            active, trash = (self._root.folders(os.path.join(self._root.real, name)) for name in ("", ".trash"))
        except Unreadable as error:
            raise StoreUnreadable(
                f"The folder {self.path} could not be read: {error}.", "Check its permissions."
            ) from error
        candidates = [
            *(_Experiment(name, path, deleted=False) for name, path in active.items() if name not in _NOT_EXPERIMENTS),
            *(_Experiment(name, path, deleted=True) for name, path in trash.items()),
        ]
        found = [
            candidate
            for candidate in candidates
            if not candidate.experiment_id.startswith(".")
            and (
                os.path.lexists(os.path.join(candidate.path, "meta.yaml"))
                or any(_RUN_ID.match(name) for name in self._run_folders(candidate))
            )
        ]
        found = self._without_copies(found)
        if not found and (self.path / "mlruns").is_dir():
            raise StoreUnreadable(
                f"The folder {self.path} holds no experiments itself.", f"Point at {self.path / 'mlruns'} instead."
            )
        return found

    def _without_copies(self, experiments: list[_Experiment]) -> list[_Experiment]:
        """The experiments without copied folders, whose meta.yaml has the id of another existing folder.

        MLflow skips copies too. Folders that were renamed or have no meta.yaml are not copies.
        """
        existing = {experiment.experiment_id for experiment in experiments}
        originals = []
        for experiment in experiments:
            try:
                data = self._root.read(os.path.join(experiment.path, "meta.yaml"))
            except (Unreadable, OSError):
                data = b""
            recorded = _RECORDED_ID.search(data)
            recorded_id = recorded[1].decode("utf-8", "replace") if recorded else experiment.experiment_id
            if recorded_id == experiment.experiment_id or recorded_id not in existing:
                originals.append(experiment)
        return originals

    def _run_folders(self, experiment: _Experiment) -> dict[str, str]:
        """The runs of an experiment as {run_id: path}: folders that have a meta.yaml or look like a run."""
        try:
            folders = self._root.folders(experiment.path)
        except Unreadable:
            return {}
        return {
            name: path
            for name, path in folders.items()
            if name not in _NOT_RUNS
            and (
                os.path.lexists(os.path.join(path, "meta.yaml"))
                or (_RUN_ID.match(name) and any(os.path.isdir(os.path.join(path, part)) for part in _RUN_PARTS))
            )
        }

    def _find(self, run_ids: Iterable[str]) -> dict[str, tuple[_Experiment, str]]:
        """{run id: (experiment, path)} of those of these runs that exist, in this order."""
        everything = {
            run_id: (experiment, path)
            for experiment in reversed(self._experiments())  # if a run exists twice, the active one counts
            for run_id, path in self._run_folders(experiment).items()
        }
        return {run_id: everything[run_id] for run_id in dict.fromkeys(run_ids) if run_id in everything}

    def _is_selected(self, experiment: _Experiment, query: Query) -> bool:
        if query.experiment_ids:
            return experiment.experiment_id in query.experiment_ids
        # A deleted run may be in an active experiment.
        return query.view != "active" or self._experiment_row(experiment, Rows())["lifecycle_stage"] != "deleted"

    # Reading folders

    def _meta(self, run_id: str | None, subject: str, path: str, rows: Rows) -> Row:
        """The meta.yaml of a folder; if it cannot be read, that is reported and the result is empty."""
        try:
            self._root.check(path)
            return dict(read_meta(self._root, os.path.join(path, "meta.yaml")))
        except Unreadable as error:
            rows.add_problem(run_id, subject, f"meta.yaml: {error}")
            return {}

    def _files(self, run_id: str | None, path: str, part: str, rows: Rows) -> Iterator[tuple[str, str]]:
        """(key, path) of the files in one subfolder of a run, such as params; a failure is reported."""
        try:
            for key, file in sorted(self._root.files(os.path.join(path, part))):
                yield text(key) or "", file
        except Unreadable as error:
            rows.add_problem(run_id, part, error)

    def _values(self, run_id: str | None, path: str, part: str, rows: Rows) -> dict[str, str]:
        """{key: value} of params or tags, one file each; files that cannot be read are reported."""
        values = {}
        for key, file in self._files(run_id, path, part, rows):
            try:
                data = self._root.read(file)
            except FileNotFoundError:
                continue  # deleted since the folder was listed
            except Unreadable as error:
                rows.add_problem(run_id, f"{part.removesuffix('s')} {key}", error)
                continue
            values[key] = decoded(data)
            if "\\x" in values[key] and not _is_utf8(data):
                rows.add_problem(
                    run_id, f"{part.removesuffix('s')} {key}", "it is not UTF-8; invalid bytes are shown as \\xNN"
                )
        return values

    def _experiment_row(self, experiment: _Experiment, rows: Rows) -> Row:
        meta = Fields(self._meta(None, f"experiment {experiment.experiment_id}", experiment.path, rows), rows)
        return {
            "experiment_id": text(experiment.experiment_id),
            "name": meta.text("name") or text(experiment.experiment_id),
            "artifact_location": meta.text("artifact_location"),
            "lifecycle_stage": experiment.lifecycle_stage(meta.text("lifecycle_stage")),
            "creation_time": meta.integer("creation_time"),
            "last_update_time": meta.integer("last_update_time"),
        }

    def _run_rows(self, experiment: _Experiment) -> Iterator[Row]:
        """The rows of an experiment's runs, reading only the files that are needed for them."""
        rows = Rows()
        for run_id, path in self._run_folders(experiment).items():
            yield self._run_row(experiment, run_id, path, None, rows)

    def _run_row(self, experiment: _Experiment, run_id: str, path: str, tags: dict[str, str] | None, rows: Rows) -> Row:
        """The row of one run. `tags`: its tags if they have been read; None reads only the necessary ones."""
        meta = Fields(self._meta(run_id, "run", path, rows), rows, run_id)
        recorded = meta.text("experiment_id")
        if recorded not in (None, experiment.experiment_id):
            rows.add_problem(
                run_id, "experiment_id", f"meta.yaml says {recorded}, the folder is {experiment.experiment_id}"
            )
        name = meta.text("run_name")
        if not name:
            name = self._tag(path, "mlflow.runName", tags) or meta.text("name")
        return {
            "run_id": text(run_id),
            "experiment_id": text(experiment.experiment_id),
            "run_name": name,
            "status": status(meta.text("status"), RUN_STATUSES),
            "start_time": meta.integer("start_time"),
            "end_time": meta.integer("end_time"),
            "user_id": meta.text("user_id"),
            "lifecycle_stage": experiment.lifecycle_stage(meta.text("lifecycle_stage")),
            "artifact_uri": meta.text("artifact_uri"),
            "parent_run_id": self._tag(path, "mlflow.parentRunId", tags),
        }

    def _tag(self, path: str, key: str, tags: dict[str, str] | None) -> str | None:
        """One tag of a run, from its tags if they have been read, else from its file."""
        if tags is not None:
            return tags.get(key)
        folder = os.path.join(path, "tags")
        try:
            self._root.check(path)
            self._root.check(folder)
            return decoded(self._root.read(os.path.join(folder, key)))
        except (Unreadable, FileNotFoundError):
            return None

    def _read_run(self, experiment: _Experiment, run_id: str, path: str, rows: Rows) -> None:
        """Add a run with its tags and params to the rows."""
        tags = self._values(run_id, path, "tags", rows)
        rows.tables["runs"].append(self._run_row(experiment, run_id, path, tags, rows))
        rows.add_values("tags", {"run_id": run_id}, tags)
        rows.add_values("params", {"run_id": run_id}, self._values(run_id, path, "params", rows))

    def _read_latest(self, files: Iterable[_File], rows: Rows) -> None:
        """Add the latest value of each of these metrics to the rows."""
        for series, contents, points in self._points(files, rows):
            for index in np.flatnonzero(points.counts == 0).tolist():
                if index not in points.problems:
                    rows.add_problem(series[index][0], f"metric {series[index][1]}", "it has no value")
            for index, (step, timestamp, value) in latest_points(contents, points):
                run_id, key = series[index]
                latest = {"run_id": run_id, "key": key, "value": value, "step": step, "timestamp": timestamp}
                rows.tables["metrics"].append(latest)

    def _points(
        self, files: Iterable[_File], rows: Rows
    ) -> Iterator[tuple[list[tuple[str, str]], list[bytes], Points]]:
        """Batches of metric files of a few megabytes: their (run id, key), contents and points; errors are reported."""
        series: list[tuple[str, str]] = []
        contents: list[bytes] = []
        size = 0
        ended: dict[str, bool] = {}
        for run_id, key, file in files:
            try:
                data = self._read_metric(run_id, key, file, rows)
                if has_complete_last_line(data) and self._has_ended(run_id, file, ended):
                    data += b"\n"
            except (Unreadable, FileNotFoundError) as error:
                rows.add_problem(run_id, f"metric {key}", error)
                continue
            series.append((run_id, key))
            contents.append(data)
            size += len(data)
            if size >= _BYTES_PER_BATCH:
                yield series, contents, self._parsed(series, contents, rows)
                series, contents, size = [], [], 0
        if series:
            yield series, contents, self._parsed(series, contents, rows)

    def _has_ended(self, run_id: str, file: str, known: dict[str, bool]) -> bool:
        """Whether the run of a metric file has ended, so that the file is no longer being written."""
        if run_id not in known:
            folder = f"{os.sep}{run_id}{os.sep}"
            path = file[: file.index(folder) + len(folder) - 1] if folder in file else ""
            meta = Fields(self._meta(run_id, "run", path, Rows()) if path else {}, Rows(), run_id)
            known[run_id] = status(meta.text("status"), RUN_STATUSES) in ENDED
        return known[run_id]

    def _read_metric(self, run_id: str, key: str, file: str, rows: Rows) -> bytes:
        """The contents of a metric file; a huge one is normalized while it is read, so that memory stays bounded."""
        try:
            return self._root.read(file, _MAX_METRIC_BYTES)
        except TooLarge:
            data, problem = normalized(self._root.chunks(file))
            if problem:
                rows.add_problem(run_id, f"metric {key}", problem)
            return data

    def _parsed(self, series: list[tuple[str, str]], contents: list[bytes], rows: Rows) -> Points:
        points = parse_files(contents)
        for index, problem in points.problems.items():
            run_id, key = series[index]
            rows.add_problem(run_id, f"metric {key}", problem)
        return points

    def _read_inputs(self, run_id: str, path: str, datasets: dict[str, Row], rows: Rows) -> None:
        """Add the datasets of a run to the rows: inputs/ID/meta.yaml names a folder of its experiment's datasets."""
        for subject, folder in self._folders(run_id, os.path.join(path, "inputs"), rows).items():
            meta = self._meta(run_id, f"input {subject}", folder, rows)
            if meta.get("source_type") != "DATASET":
                continue
            dataset = datasets.get(str(meta.get("source_id")))
            if dataset is None:
                rows.add_problem(run_id, f"input {subject}", "its dataset is not in the store")
                continue
            tags = meta.get("tags")
            context = tags.get("mlflow.data.context") if isinstance(tags, dict) else None
            rows.tables["datasets"].append({"run_id": run_id, **dataset, "context": text(context)})

    def _read_outputs(self, run_id: str, path: str, models: dict[str, Row], rows: Rows) -> None:
        """Add the logged models of a run to the rows: those that it created, and those in outputs/MODEL_ID."""
        outputs = self._folders(run_id, os.path.join(path, "outputs"), rows)
        for model_id, model in models.items():
            if model["run_id"] == run_id or model_id in outputs:
                rows.tables["logged_models"].append({**model, "run_id": run_id})

    def _read_experiment(self, experiment: _Experiment, rows: Rows) -> None:
        """Add an experiment and its tags to the rows."""
        rows.tables["experiments"].append(self._experiment_row(experiment, rows))
        experiment_id = text(experiment.experiment_id)
        tags = self._values(None, experiment.path, "tags", rows)
        rows.add_values("experiment_tags", {"experiment_id": experiment_id}, tags)

    def _models(self, experiment: _Experiment, rows: Rows) -> dict[str, Row]:
        """The logged models of an experiment as {model_id: row}; run_id is the run that created the model."""
        found = {}
        for name, folder in self._folders(None, os.path.join(experiment.path, "models"), rows).items():
            if is_stray(folder):
                continue
            meta = self._meta(None, f"logged model {name}", folder, rows)
            if meta.get("lifecycle_stage") != "deleted":
                found[name] = model_row(name, experiment.experiment_id, meta, rows, None)
        return found

    def _datasets(self, experiment: _Experiment, rows: Rows) -> dict[str, Row]:
        """The datasets of an experiment as {id: row}."""
        columns = ("name", "digest", "source_type", "source", "schema", "profile")
        found = {}
        for name, folder in self._folders(None, os.path.join(experiment.path, "datasets"), rows).items():
            meta = Fields(self._meta(None, f"dataset {name}", folder, rows), rows)
            found[name] = {column: meta.text(column) for column in columns}
        return found

    def _folders(self, run_id: str | None, path: str, rows: Rows) -> dict[str, str]:
        """The subfolders of a folder as {name: path}; a failure is reported."""
        try:
            return self._root.folders(path)
        except Unreadable as error:
            rows.add_problem(run_id, os.path.basename(path), error)
            return {}


def _matches(view: View, lifecycle_stage: str) -> bool:
    return view == "all" or (lifecycle_stage == "deleted") == (view == "deleted")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _history(series: list[tuple[str, str]], points: Points) -> pa.RecordBatch:
    codes = column_of(np.repeat(np.arange(len(series), dtype=np.int32), points.counts), pa.int32())
    run_ids, keys = (
        pa.DictionaryArray.from_arrays(codes, column(names, schema.STRING)).cast(schema.STRING)
        for names in zip(*series, strict=True)
    )
    numbers = [
        column_of(numbers, kind)
        for numbers, kind in (
            (points.steps, schema.INT),
            (points.timestamps, schema.INT),
            (points.values, schema.FLOAT),
        )
    ]
    return pa.RecordBatch.from_arrays([run_ids, keys, *numbers], schema=schema.METRIC_HISTORY)
