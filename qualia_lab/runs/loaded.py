"""`Loaded`: runs as they were read, the study of them, and the store for what is read later."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.scores import needs_history
from qualia_lab.caching import cached
from qualia_lab.columns import column, filled, numbers_of, whole
from qualia_lab.errors import NothingToCompare, UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names
from qualia_lab.runs.artifact_files import ArtifactFiles
from qualia_lab.runs.evidence import evidence_for_findings
from qualia_lab.runs.labels import labels_of
from qualia_lab.runs.last_histories import LastHistories
from qualia_lab.runs.leading import leading_first
from qualia_lab.stores.masked import rules_of
from qualia_lab.study.known_keys import check_key, unknown_key
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.groups import Group
    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.study.study import Factor, Study, Task
    from qualia_lab.tables import RunTables

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Loaded:
    """The state that all methods of `runs` share.

    Attributes:
        store: the store, for what is read later.
        tables: the tables of the runs.
        study: how the runs are interpreted.
        labels: the displayed name of each run, by run id, in the order of the runs.
        histories: cache of the histories that were read last.
        files: the artifacts of the runs.
        answers: cache of computed results, by `once`; replaced when the study is.
        reads: cache of what was read of models and traces, by `read_once`; it does not depend on the study.
        passed_over: names in the notebook that none of these runs has, such as `metric loss`; filled by
            `Runs.known_metrics`, `Runs.known_params` and `load_runs`.
    """

    store: TrackingStore
    tables: RunTables
    study: Study
    labels: Mapping[str, str]
    histories: LastHistories
    files: ArtifactFiles
    answers: dict[Hashable, Any] = field(default_factory=dict)
    reads: dict[Hashable, Any] = field(default_factory=dict)
    passed_over: dict[str, None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tables.run_ids)

    def with_study(self, study: Study) -> Loaded:
        """The same runs under another study; nothing is read again."""
        return replace(self, study=study, answers={})

    def once(self, question: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result for this key, computing it on the first call."""
        return cached(self.answers, question, compute)

    def read_once(self, question: Hashable, read: Callable[[], T]) -> T:
        """Return what was read for this key, also under another study, reading it on the first call."""
        return cached(self.reads, question, read)

    @property
    def now(self) -> int:
        """The time in ms up to which unfinished runs last: now, unless the data are a copy as of an earlier time."""
        as_of: int | None = getattr(self.store, "as_of", None)
        return int(time.time() * 1000) if as_of is None else as_of

    @property
    def mask_rules(self) -> MaskRules:
        """The rules by which secrets in the artifacts are masked, as in all that is read from the store."""
        return rules_of(self.store)

    @cached_property
    def metric_keys(self) -> frozenset[str]:
        """The keys of all metrics that at least one run has."""
        return frozenset(pc.unique(self.tables.metrics.column("key")).to_pylist())

    @cached_property
    def experiments(self) -> Mapping[str, str]:
        """The displayed name of each experiment by its id; all names are distinct."""
        ids, names = (self.tables.experiments.column(name).to_pylist() for name in ("experiment_id", "name"))
        return dict(zip(ids, distinct_names([name or "" for name in names], ids), strict=True))

    def called(self, task: Task) -> str:
        """The displayed name of a task's experiment."""
        return self.experiments.get(task.experiment_id) or one_line(task.experiment, 60)

    @cached_property
    def settings(self) -> Mapping[str, Factor]:
        """The params and the tags set by users, by the name that the study gives them."""
        return {factor.name: factor for factor in (*self.study.params, *self.study.tags)}

    def known(self, names: Sequence[str], known: Container[str], what: str) -> list[str]:
        """Filter names, keeping those that are known; the others are recorded in `passed_over`."""
        self.passed_over.update({f"{what} {one_line(name, 100)}": None for name in names if name not in known})
        return [name for name in names if name in known]

    def check_metrics(self, keys: Sequence[str]) -> None:
        """Raise UnknownKey for the first metric that no run has."""
        for key in keys:
            check_key(key, self.metric_keys, "metric")

    def check_params(self, names: Sequence[str]) -> None:
        """Raise UnknownKey for the first name that is neither a param of a run nor a tag set by users."""
        for name in names:
            check_key(name, self.settings, "param")

    def setting(self, name: str) -> tuple[pa.Table, str]:
        """The table (params or tags) that holds a param or tag, and its key in that table."""
        factor = self.settings[name]
        return (self.tables.params if factor.kind == "param" else self.tables.tags), factor.key

    def metric(self, metric: str | None, task: Task) -> str:
        """The metric key, by default the objective of the task. Raises UnknownKey or NothingToCompare."""
        if metric is not None:
            check_key(metric, self.metric_keys, "metric")
            return metric
        if task.objective is None:
            named = f"of {self.called(task)} " if len(self.study.tasks) > 1 else ""
            raise NothingToCompare(f"No metric of these runs {named}can be an objective.", "Name one that was logged.")
        return task.objective.key

    def better(self, metric: str) -> bool | None:
        """Whether higher values of a metric are better; None if unknown."""
        return self.study.greater_is_better(metric)

    def aim(self, metric: str) -> bool | None:
        """As `better`, but None for a part of a loss: a run is not best by its policy loss, unless a user says so."""
        known = self.study.metric.get(metric)
        objectives = {task.objective.key for task in self.study.tasks if task.objective}
        if known and known.role == "part" and known.source == "name" and metric not in objectives:
            return None
        return self.better(metric)

    def tasks(self, experiment: str | None = None) -> tuple[Task, ...]:
        """All tasks, or only that of the experiment with this name or id. Raises UnknownKey."""
        if experiment is None:
            return self.study.tasks
        tasks = tuple(one for one in self.study.tasks if experiment in (one.experiment, one.experiment_id))
        if not tasks:
            raise unknown_key(experiment, [one.experiment for one in self.study.tasks], "experiment")
        return tasks

    @property
    def diverged(self) -> Mapping[str, str]:
        """The runs whose training diverged, each with its reason; they are left out of means and never the best."""
        return self.once("diverged", lambda: evidence_for_findings(self).diverged)

    @property
    def left_out(self) -> Mapping[str, str]:
        """The runs that take part in no comparison, each with its reason: by the study, or because they diverged."""
        return self.once("left out", lambda: {**self.diverged, **self.study.left_out})

    def counted(self, task: Task) -> tuple[str, ...]:
        """The runs of a task that take part in comparisons."""
        return tuple(run_id for run_id in task.run_ids if run_id not in self.left_out)

    def colour_order(self, task: Task) -> list[str]:
        """The runs of a task in the order that decides their colours, the leading ones by its objective first.

        An entry is a run, or the runs of a configuration, separated by spaces, if configurations are repeated.
        """
        return self.once(("colour order", task.experiment_id), lambda: leading_first(self, task))

    def labels_in(self, run_ids: Sequence[str]) -> dict[str, str]:
        """The labels of these runs."""
        return {run_id: self.labels[run_id] for run_id in run_ids}

    def groups(self, metric: str | None = None, statistic: str = "last") -> list[Group]:
        """The configurations of all tasks with the values of a metric, by default each task's objective.

        Raises:
            UnknownKey: no run has the metric.
            NothingToCompare: there is no run, or no metric that can be an objective.
        """
        if not len(self):
            raise NothingToCompare("No run was read, so there is nothing to compare.", "Choose runs that exist.")
        if metric is not None:
            self.check_metrics([metric])
        elif not any(task.objective for task in self.study.tasks):
            raise NothingToCompare(
                "None of these runs has a metric that can be an objective.", "Name one that was logged."
            )
        return self.once(("groups", metric, statistic), lambda: self._groups(metric, statistic))

    def groups_of(self, task: Task, metric: str | None = None, statistic: str = "last") -> list[Group]:
        """The configurations of one task, as in `groups`."""
        return [group for group in self.groups(metric, statistic) if group.experiment_id == task.experiment_id]

    def points(self, metrics: Sequence[str], statistic: str) -> pa.Table | None:
        """The histories of metrics if the statistic needs them, else None."""
        return self.history(metrics) if needs_history(statistic) else None

    def history(self, keys: str | Sequence[str] | None, run_ids: Sequence[str] | None = None) -> pa.Table:
        """The histories of metrics (None: all) of runs (None: all), from the cache where possible."""
        wanted = [keys] if isinstance(keys, str) else keys
        return self.histories.read(self.tables.run_ids if run_ids is None else run_ids, wanted)

    def latest(self, metric: str, run_ids: Sequence[str] | None = None) -> npt.NDArray[np.float64]:
        """The latest value of a metric for each of these runs (None: all), in their order; NaN if a run has none."""
        metrics = rows_with(self.tables.metrics, "key", [metric])
        runs = self.tables.runs.column("run_id") if run_ids is None else column(list(run_ids), schema.STRING)
        places = pc.index_in(runs, value_set=whole(metrics.column("run_id")))
        return numbers_of(filled(whole(metrics.column("value")).take(whole(places)), np.nan))

    def run_id(self, run: str) -> str:
        """The id of a run given by id or name. Raises UnknownRun if it is not loaded or the name is ambiguous."""
        if run in self.labels:
            return run
        reasons = {row["run_id"]: row["reason"] for row in self.tables.missing.to_pylist()}
        if run in reasons:
            raise UnknownRun(f"Run {one_line(run, 80)} is missing: {reasons[run]}.")
        names = self.tables.runs.column("run_name").to_pylist()
        named = [
            run_id
            for run_id, name in zip(self.tables.run_ids, names, strict=True)
            if run in (name, self.labels[run_id])
        ]
        if len(named) == 1:
            return named[0]
        what = "is not among the loaded runs" if not named else f"is the name of {len(named)} runs; use an id"
        raise UnknownRun(f"{one_line(run, 80)} {what}.")

    def one(self, run_id: str) -> RunTables:
        """The tables restricted to one run."""
        tables = {}
        for name in schema.TABLES:
            table = getattr(self.tables, name)
            tables[name] = rows_with(table, "run_id", [run_id]) if "run_id" in table.column_names else table
        experiment = tables["runs"].column("experiment_id")[0].as_py()
        for name in ("experiments", "experiment_tags"):
            tables[name] = rows_with(tables[name], "experiment_id", [experiment])
        return type(self.tables)(**tables)

    def _groups(self, metric: str | None, statistic: str) -> list[Group]:
        keys = [metric] if metric is not None else [one.objective.key for one in self.study.tasks if one.objective]
        points = self.points(list(dict.fromkeys(keys)), statistic)
        return group_runs(self.tables, self.study, metric, statistic=statistic, history=points, without=self.diverged)


def loaded_runs(store: TrackingStore, tables: RunTables, study: Study) -> Loaded:
    """Wrap the tables of runs; nothing else is read yet."""
    return Loaded(store, tables, study, labels_of(tables), LastHistories(store), ArtifactFiles(store, tables))
