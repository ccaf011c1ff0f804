"""The input of the rules: the tables, the study, and a few numbers per metric history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.analysis.findings.points import PointCache
from qualia_lab.analysis.findings.series import summarise
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.scores import scores
from qualia_lab.by_run import ByRun
from qualia_lab.caching import cached
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS, metric_counts
from qualia_lab.study.left_out import names_of
from qualia_lab.study.one_factor import one_factor_sets
from qualia_lab.study.ranking import rank_metrics
from qualia_lab.study.statuses import FINISHED, statuses_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.contrasts import Cells
    from qualia_lab.analysis.effects import CandidateCrossings, Crossing, Effect
    from qualia_lab.analysis.findings.full_curves import FullCurves
    from qualia_lab.analysis.findings.series import SeriesFacts
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.param_columns import FactorColumns
    from qualia_lab.analysis.scores import Scores
    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TraceTables
    from qualia_lab.inventory import MetricCount
    from qualia_lab.study import Study
    from qualia_lab.study.one_factor import OneFactor
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

T = TypeVar("T")

MOST_TASKS = 10  # tasks whose importances are computed
_MOST_HELD = 2_000_000  # points of histories cached while they are read, 32 MB
_AT_ONCE = 10_000  # histories converted to Python objects at a time


@dataclass(frozen=True, slots=True)
class History:
    """Facts about one metric history, oriented by the direction of its metric; see SeriesFacts for each."""

    run_id: str
    points: int
    nan: int
    infinite: int
    odd_step: int
    first: float
    last: float
    last_step: int
    best: float
    best_step: int
    begin_step: int
    end_step: int
    start: float
    tail: float
    reached_step: int
    bad_points: int
    bad_step: int
    noise: float
    spikes: int
    spike_step: int
    spike_value: float
    spike_before: float
    spike_size: float

    @property
    def gain(self) -> float:
        """The distance from the first value to the best."""
        return abs(self.best - self.first)

    @property
    def lost(self) -> float:
        """The distance from the best value to the last."""
        return abs(self.last - self.best)


@dataclass(frozen=True)
class Evidence:
    """Everything the rules may use about the runs.

    Attributes:
        tables: The runs.
        study: The roles of metrics, params and runs; rules do not infer these themselves.
        labels: Name of each run by its id, at most 60 characters, all distinct.
        series: A few numbers per metric history; metrics are positions in `keys`.
        read_history: Reads all points (schema.METRIC_HISTORY) of some runs and metrics, for the few histories whose
            full
        curve is needed.
        now: Time of the analysis in ms; used only by the rule `unfinished`.
        point_cache: The points of the histories, if there are few enough to be cached.
        unread: Why the histories could not be read; "" if they were.
        models: Logged models and versions of registered models; None if they were not read.
        traces: Traces with their assessments; None if they were not read.
        evaluation_datasets: Evaluation datasets with their records; None if they were not read.
        read_spans: Reads the spans of some traces (schema.SPANS) with their inputs; None if they cannot be read.
    """

    tables: RunTables
    study: Study
    labels: Mapping[str, str]
    series: SeriesFacts
    read_history: Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]]
    now: int
    point_cache: PointCache
    unread: str = ""
    models: ModelTables | None = None
    traces: TraceTables | None = None
    evaluation_datasets: EvaluationTables | None = None
    read_spans: Callable[[Sequence[str]], Iterable[pa.RecordBatch]] | None = None

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The metrics of the model, without those of the system, sorted."""
        return model_keys(self.tables)

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The ids of the runs, in order."""
        return self.tables.run_ids

    @cached_property
    def own_names(self) -> Mapping[str, str]:
        """The name of each run as it was logged, else the start of its id; `labels` are shortened and distinct."""
        return names_of(self.tables)

    @property
    def positions(self) -> Mapping[str, int]:
        """The position of each run, by its id."""
        return self.tables.positions

    @cached_property
    def status(self) -> Mapping[str, str]:
        """FINISHED, FAILED, ... by run id."""
        return statuses_of(self.tables)

    @cached_property
    def unfinished(self) -> frozenset[str]:
        """The runs that did not finish."""
        return frozenset(run_id for run_id, status in self.status.items() if status != FINISHED)

    @cached_property
    def params(self) -> ByRun:
        """The params of every run as texts, by key; empty for a run without params."""
        return ByRun(self.positions, self.tables.params)

    @cached_property
    def metrics(self) -> ByRun:
        """The latest value of every metric of the model, by run; NaN if it is not a number."""
        return ByRun(self.positions, rows_with(self.tables.metrics, "key", self.keys))

    def values(self, key: str) -> Mapping[str, float]:
        """The latest value of a metric by run id, for runs in which it is finite."""
        return self._scores(key).values

    def _scores(self, key: str) -> Scores:
        return self.cached(("scores", key), lambda: scores(self.tables, key))

    @cached_property
    def compared(self) -> Mapping[str, tuple[str, ...]]:
        """The runs of each task that are included in comparisons, by experiment id: not left out, and not diverged."""
        excluded = {*self.study.left_out, *self.diverged}
        if not excluded:
            return {task.experiment_id: task.run_ids for task in self.study.tasks}
        return {
            task.experiment_id: tuple([run_id for run_id in task.run_ids if run_id not in excluded])
            for task in self.study.tasks
        }

    @cached_property
    def _cache(self) -> dict[Hashable, Any]:
        return {}

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result for this key; compute it on first use. Rules share such results."""
        return cached(self._cache, key, compute)

    @cached_property
    def diverged(self) -> Mapping[str, str]:
        """The runs whose training diverged, each with that word; they are excluded from means and comparisons."""
        from qualia_lab.analysis.findings.diverged import diverged_runs

        return dict.fromkeys(diverged_runs(self), "diverged")

    @cached_property
    def full_curves(self) -> FullCurves:
        """The full curves of the histories whose shape a few numbers do not determine."""
        from qualia_lab.analysis.findings.full_curves import read_full_curves

        return read_full_curves(self)

    @cached_property
    def groups(self) -> Mapping[str, tuple[Group, ...]]:
        """The configurations of each task with their objective values, by experiment id, without diverged runs."""
        by_task: dict[str, list[Group]] = {task.experiment_id: [] for task in self.study.tasks}
        for group in group_runs(self.tables, self.study, scores_of=self._scores, without=self.diverged):
            by_task[group.experiment_id].append(group)
        return {experiment_id: tuple(groups) for experiment_id, groups in by_task.items()}

    @cached_property
    def factor_columns(self) -> FactorColumns:
        """The factors of all runs as columns; those of a task are selected from them."""
        from qualia_lab.analysis.param_columns import factor_columns

        return factor_columns(self.tables, self.study)

    @cached_property
    def importances(self) -> Mapping[str, Importances]:
        """The importance of the factors of each task with an objective, by experiment id, from the same groups.

        Only the MOST_TASKS tasks with the most configurations: fitting a forest for hundreds of tasks would take
        minutes.
        """
        from qualia_lab.analysis.importance import importances_of_means

        tasks = [task for task in self.study.tasks if task.objective is not None]
        tasks = sorted(tasks, key=lambda task: -len(self.groups[task.experiment_id]))[:MOST_TASKS]
        by_task = {}
        for task in tasks:
            assert task.objective is not None
            groups = self.groups[task.experiment_id]
            by_task[task.experiment_id] = importances_of_means(
                self.factor_columns,
                {group.run_ids[0]: group.mean for group in groups if group.mean is not None},
                sum(len(group.values) for group in groups),
                task.objective.key,
                greater_is_better=task.objective.greater_is_better,
                in_full=False,
            )
        return by_task

    @cached_property
    def answers(self) -> Mapping[str, Answer]:
        """The comparison of the configurations of each task, by experiment id; absent if nothing can be compared."""
        from qualia_lab.analysis.answer import answers_of

        return answers_of(self.groups, self.study.settings.smallest_difference)

    @cached_property
    def one_factor(self) -> Mapping[str, list[OneFactor]]:
        """The sets of configurations that differ in one factor only, for each task, by experiment id."""
        return {task.experiment_id: one_factor_sets(self.study, task) for task in self.study.tasks}

    @cached_property
    def cells(self) -> Mapping[str, tuple[Cells, ...]]:
        """The levels of each factor in each context, for each task, by experiment id."""
        from qualia_lab.analysis.contrasts import cells_of

        return {key: cells_of(sets, self.groups[key]) for key, sets in self.one_factor.items()}

    def clear_effects(self, alpha: float) -> Mapping[str, list[Effect]]:
        """The factor levels that are clearly better than others, for each task, by experiment id."""
        from qualia_lab.analysis.effects import candidate_effects, clear_effects

        def of_tasks() -> dict[str, list[Effect]]:
            return {key: candidate_effects(cells) for key, cells in self.cells.items()}

        effects = self.cached("effects", of_tasks)
        return self.cached(("clear effects", alpha), lambda: clear_effects(effects, alpha))

    def crossings(self, alpha: float) -> Mapping[str, list[Crossing]]:
        """The pairs of factors in which one decides the better level of the other, for each task, by experiment id."""
        from qualia_lab.analysis.effects import candidate_crossings, clear_crossings

        def of_tasks() -> dict[str, CandidateCrossings]:
            return {key: candidate_crossings(cells) for key, cells in self.cells.items()}

        crossings = self.cached("crossings", of_tasks)
        return self.cached(("clear crossings", alpha), lambda: clear_crossings(crossings, alpha))

    def name(self, run_id: str) -> str:
        """The name of the run."""
        return self.labels[run_id]

    def experiment(self, task: Task) -> str:
        """The experiment of a task if there are several tasks, "" otherwise; for `Finding.experiment`."""
        return task.experiment if len(self.study.tasks) > 1 else ""

    def prefix(self, task: Task) -> str:
        """`In NAME: `, the beginning of a sentence about one of several tasks; "" if there is only one."""
        return f"In {one_line(task.experiment, 60)}: " if len(self.study.tasks) > 1 else ""

    def lead_curve(self, task: Task) -> str | None:
        """The metric whose history is judged: the objective, or the next metric with steps and a known direction."""
        return self.lead_curves.get(task.experiment_id)

    @cached_property
    def task_positions(self) -> npt.NDArray[np.int64]:
        """For each run, in order, the position of its task in the study."""
        positions = np.zeros(len(self.run_ids), np.int64)
        for position, task in enumerate(self.study.tasks):
            positions[[self.positions[run_id] for run_id in task.run_ids]] = position
        return positions

    @cached_property
    def ranked(self) -> Sequence[MetricCount]:
        """The metrics of the model, most relevant first."""
        return rank_metrics(self.study, [count for count in metric_counts(self.tables) if count.key in self.keys])

    @cached_property
    def lead_curves(self) -> Mapping[str, str]:
        """The metric whose history is judged, by experiment id; absent for tasks without curves."""
        tasks = self.task_positions
        curves = self.series.points > 1
        pairs = np.unique(tasks[self.series.run[curves]] * len(self.keys) + self.series.key[curves])
        stepped: dict[int, set[str]] = {}
        for pair in pairs.tolist():
            stepped.setdefault(pair // len(self.keys), set()).add(self.keys[pair % len(self.keys)])
        ranked = [
            count.key
            for count in self.ranked
            if self.study.greater_is_better(count.key) is not None
            and self.study.metric[count.key].role in ("objective", "training")
        ]
        lead_curves = {}
        for position, keys in stepped.items():
            task = self.study.tasks[position]
            first = [task.objective.key] if task.objective and task.objective.better else []
            key = next((key for key in (*first, *ranked) if key in keys), None)
            if key is not None:
                lead_curves[task.experiment_id] = key
        return lead_curves

    def histories(self, key: str, among: npt.NDArray[np.bool_] | None = None) -> Iterator[History]:
        """Yield the facts of one metric in the order of the runs; without a direction, the best value is the lowest.

        Args:
            key: The metric.
            among: For every row of `series`, whether it is wanted; None for all rows.

        Yields:
            The facts of one history.
        """
        of_key = self.series.key == self.keys.index(key)
        rows = np.flatnonzero(of_key if among is None else of_key & among)
        rows = rows[np.argsort(self.series.run[rows], kind="stable")]
        side = "high" if self.study.greater_is_better(key) else "low"
        for begin in range(0, len(rows), _AT_ONCE):
            yield from self._histories(rows[begin : begin + _AT_ONCE], side)

    def histories_of(self, key: str, run_ids: Collection[str]) -> list[History]:
        """The facts of one metric in these runs, in the order of all runs.

        Args:
            key: The metric.
            run_ids: The runs.

        Returns:
            The facts of each history.
        """
        return list(self.histories(key, np.isin(self.series.run, [self.positions[run_id] for run_id in run_ids])))

    def _histories(self, rows: npt.NDArray[np.int64], side: str) -> Iterator[History]:
        """Yield the facts of these rows of `series`; `side` is `low` or `high`, where the best value is."""
        facts = self.series
        columns = {
            "run_id": [self.run_ids[run] for run in facts.run[rows].tolist()],
            "best": getattr(facts, side)[rows].tolist(),
            "best_step": getattr(facts, f"{side}_step")[rows].tolist(),
        }
        for name in History.__dataclass_fields__:
            if name not in columns:
                columns[name] = getattr(facts, name)[rows].tolist()
        for values in zip(*(columns[name] for name in History.__dataclass_fields__), strict=True):
            yield History(*values)


def collect_evidence(
    tables: RunTables,
    study: Study,
    labels: Mapping[str, str],
    read_history: Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]],
    *,
    now: int,
    keys: Collection[str] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Evidence:
    """Read the histories once, batch by batch, and keep a few numbers of each.

    Args:
        tables: The runs.
        study: The study of these tables.
        labels: The name of each run, by its id.
        read_history: Reads all points of the given run ids and metrics; points of one run and metric are together,
            sorted
        by step.
        now: Time of the analysis in ms.
        keys: The metrics whose histories are read; None for all of the model.
        limits: Further arguments of `series.summarise`.

    Returns:
        The evidence for the rules.
    """
    known = model_keys(tables)
    directions = {key: study.greater_is_better(key) for key in known}
    wanted = [key for key in known if keys is None or key in keys]
    batches = read_history(tables.run_ids, wanted) if wanted else ()
    # For a metric without a direction, and for a cost, rules use non-finite values only.
    judged = {*study.of_role("objective", "training", "part")}
    only_odd = [key for key in known if directions[key] is None or key not in judged] if keys is None else []
    point_cache = PointCache(_MOST_HELD)
    expected = rows_with(tables.metrics, "key", wanted).num_rows
    series = summarise(
        batches,
        tables.run_ids,
        known,
        directions,
        only_odd=only_odd,
        point_cache=point_cache,
        expected=expected,
        **(limits or {}),
    )
    pa.default_memory_pool().release_unused()  # the batches are freed, but Arrow keeps their memory for reuse
    return Evidence(tables, study, labels, series, read_history, now, point_cache)


def model_keys(tables: RunTables) -> tuple[str, ...]:
    """The metrics of the model, sorted, without system metrics."""
    return tuple(
        sorted(key for key in pc.unique(tables.metrics.column("key")).to_pylist() if not key.startswith(SYSTEM_METRICS))
    )
