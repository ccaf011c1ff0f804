"""FileStore: reads an mlruns folder from its files, and creates or changes nothing in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.genai_tables import evaluation_tables
from qualia_lab.stores.file.changes import FolderChanges
from qualia_lab.stores.file.folders import Folders
from qualia_lab.stores.file.metric_files import MetricFiles
from qualia_lab.stores.file.mlruns import Root
from qualia_lab.stores.file.models import FolderModels
from qualia_lab.stores.file.runs import FolderRuns
from qualia_lab.stores.file.traces import FolderTraces
from qualia_lab.stores.rows import Rows, latest_first
from qualia_lab.tables import run_tables, table_of
from qualia_lab.times import is_possible, possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.file.folders import Experiment
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.rows import Row
    from qualia_lab.tables import RunTables

_WINDOWS_PATH = re.compile(r"/?[A-Za-z]:[\\/]")


def path_of_uri(uri: str) -> Path:
    """The path named by a plain path or a `file:` URI, percent-decoded, with its Windows drive."""
    if uri[:5].lower() != "file:":
        return Path(uri)
    # MLflow also writes the invalid URIs `file:C:\\x` and `file:relative`.
    rest = uri[5:]
    path = unquote(urlsplit(uri).path) if rest.startswith("//") else unquote(rest)
    return Path(path[1:] if path.startswith("/") and _WINDOWS_PATH.match(path) else path)


class FileStore(Closing):
    """A TrackingStore over the folder that MLflow's file store writes.

    A folder of an experiment or run without its meta.yaml is read too, and reported in `problems`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.uri = self.path.as_uri()
        root = Root(self.path)
        self._folders = Folders(root, self.path)
        self._runs = FolderRuns(root)
        self._metrics = MetricFiles(root, self._runs)
        self._changes = FolderChanges(root)
        self._traces = FolderTraces(root, self.path)
        self._all_models = FolderModels(root)

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first."""
        rows = []
        for experiment in self._folders.experiments():
            row = self._runs.experiment_row(experiment, Rows())
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
        for experiment in self._folders.experiments():
            if experiment.experiment_id in wanted:
                self._runs.read_experiment(experiment, rows)
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
            for experiment in self._folders.experiments()
            if self._is_selected(experiment, query)
            for run in self._run_rows(experiment)
            if _matches(query.view, run["lifecycle_stage"]) and (not query.run_ids or run["run_id"] in query.run_ids)
        ]
        if needed == {"runs"}:
            return rows, run_tables(runs=table_of(schema.RUNS, rows))
        return rows, self._read_as_recorded([row["run_id"] for row in rows])

    def _run_rows(self, experiment: Experiment) -> Iterator[Row]:
        """The rows of an experiment's runs, reading only the files that are needed for them."""
        rows = Rows()
        for run_id, path in self._folders.runs(experiment).items():
            yield self._runs.run_row(experiment, run_id, path, None, rows)

    def _is_selected(self, experiment: Experiment, query: Query) -> bool:
        if query.experiment_ids:
            return experiment.experiment_id in query.experiment_ids
        # A deleted run may be in an active experiment.
        return query.view != "active" or self._runs.experiment_row(experiment, Rows())["lifecycle_stage"] != "deleted"

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs except histories and artifacts; missing runs are listed."""
        return with_possible_times(self._read_as_recorded(run_ids))

    def _read_as_recorded(self, run_ids: Sequence[str]) -> RunTables:
        found = self._folders.find(run_ids)
        rows = Rows()
        experiments = {experiment.experiment_id: experiment for experiment, _ in found.values()}
        datasets: dict[str, dict[str, Row]] = {}
        models: dict[str, Row] = {}
        for experiment in experiments.values():
            self._runs.read_experiment(experiment, rows)
            datasets[experiment.experiment_id] = self._runs.datasets(experiment, rows)
            models |= self._runs.models(experiment, rows)
        for run_id in dict.fromkeys(run_ids):
            if run_id in found:
                experiment, path = found[run_id]
                self._runs.read_run(experiment, run_id, path, rows)
                self._runs.read_inputs(run_id, path, datasets[experiment.experiment_id], rows)
                self._runs.read_outputs(run_id, path, models, rows)
            else:
                rows.add_missing(run_id, "the store has no folder of this run")
        metrics = (
            (run_id, key, file)
            for run_id, (_, path) in found.items()
            for key, file in self._runs.files(run_id, path, "metrics", rows)
        )
        self._metrics.read_latest(metrics, rows)
        return rows.to_tables()

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, in batches. Lines that cannot be read are reported by `read`."""
        wanted = None if keys is None else set(keys)
        ignored = Rows()
        files = (
            (run_id, key, file)
            for run_id, (_, path) in self._folders.find(run_ids).items()
            for key, file in self._runs.files(None, path, "metrics", ignored)
            if wanted is None or key in wanted
        )
        yield from self._metrics.history(files)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """Where the artifacts of this run are: where they were recorded, or in the run's own folder."""
        from qualia_lab.stores.artifact_places import artifact_place

        return artifact_place(run_id, artifact_uri, beside=self.path)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """See TrackingStore."""
        experiments = [
            one for one in self._folders.experiments() if one.experiment_id in experiment_ids or not experiment_ids
        ]
        runs = [path for experiment in experiments for path in self._folders.runs(experiment).values()]
        return self._changes.token([experiment.path for experiment in experiments], runs)

    # ReadsGenAI

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """Logged models with what was logged for them, and versions of registered models."""
        experiments = {experiment.experiment_id: experiment for experiment in self._folders.experiments()}
        runs_of = {one.experiment_id: self._folders.runs(one) for one in experiments.values()}
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
        experiments = {experiment.experiment_id: experiment.path for experiment in self._folders.experiments()}
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
            for experiment in self._folders.experiments()
            if (
                experiment.experiment_id in experiment_ids
                if experiment_ids
                else self._runs.experiment_row(experiment, Rows())["lifecycle_stage"] != "deleted"
            )
        }

    def close(self) -> None:
        """Nothing to close."""


def _matches(view: View, lifecycle_stage: str) -> bool:
    return view == "all" or (lifecycle_stage == "deleted") == (view == "deleted")
