"""What rules look at: the tables, a few numbers per metric history, and what the metrics mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.analysis.findings.points import Held
from qualia_lab.analysis.findings.series import summarise
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.scores import scores
from qualia_lab.by_run import ByRun
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS, Inventory, take_inventory
from qualia_lab.study.one_factor import one_factor_sets
from qualia_lab.study.ranking import rank_metrics
from qualia_lab.study.statuses import statuses_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.analysis.answer import Answer
    from qualia_lab.analysis.effects import AskedCrossings, Crossing, Effect
    from qualia_lab.analysis.findings.second_look import SecondLook
    from qualia_lab.analysis.findings.series import SeriesFacts
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.param_columns import FactorColumns
    from qualia_lab.inventory import MetricCount
    from qualia_lab.study import Study
    from qualia_lab.study.one_factor import OneFactor
    from qualia_lab.study.study import Task
    from qualia_lab.tables import RunTables

T = TypeVar("T")

MOST_TASKS = 10  # whose importances are computed
_MOST_HELD = 2_000_000  # points of histories that are kept while they are read, 32 MB
_AT_ONCE = 10_000  # histories that are Python objects at a time


@dataclass(frozen=True, slots=True)
class History:
    """The facts of one metric history, for its metric's direction; see SeriesFacts for what each is."""

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
        """How far the best value is from the first."""
        return abs(self.best - self.first)

    @property
    def lost(self) -> float:
        """How far the last value is from the best."""
        return abs(self.last - self.best)


@dataclass(frozen=True)
class Evidence:
    """All that rules may know of some runs.

    study: what metrics, params and runs are; rules infer nothing of that themselves.
    labels: what each run is called, at most 60 characters, no two alike.
    series: a few numbers of every metric history, numbered as in `keys`.  held: their points, where they are few.
    read_history: gives every point (schema.METRIC_HISTORY) of some runs and metrics, for the few that need a second
    look.
    now: the moment of asking, in ms; only the rule of unfinished runs looks at it.
    unread: why there are no histories, where they could not be read.
    """

    tables: RunTables
    study: Study
    labels: Mapping[str, str]
    series: SeriesFacts
    read_history: Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]]
    now: int
    held: Held
    unread: str = ""

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The metrics of the model, sorted."""
        return model_keys(self.tables)

    @cached_property
    def inventory(self) -> Inventory:
        """Names and counts."""
        return take_inventory(self.tables)

    @cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The runs, in order."""
        return self.tables.run_ids

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of every run, by its id."""
        return {run_id: place for place, run_id in enumerate(self.run_ids)}

    @cached_property
    def status(self) -> dict[str, str]:
        """FINISHED, FAILED, ... by run id."""
        return statuses_of(self.tables)

    @cached_property
    def params(self) -> ByRun:
        """The params of every run as texts, by key; also of one that has none."""
        return ByRun(self.places, self.tables.params)

    @cached_property
    def metrics(self) -> ByRun:
        """The latest value of every metric of the model, by run; NaN where it is none."""
        return ByRun(self.places, rows_with(self.tables.metrics, "key", self.keys))

    def values(self, key: str) -> Mapping[str, float]:
        """The latest value of a metric by run, where it is a finite number."""
        return self.once(("values", key), lambda: scores(self.tables, key).values)

    @cached_property
    def _known(self) -> dict[Hashable, Any]:
        return {}

    def once(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to this question, computed when it is asked first: rules leave out what others say."""
        if question not in self._known:
            self._known[question] = answer()
        found: T = self._known[question]
        return found

    @cached_property
    def diverged(self) -> Mapping[str, str]:
        """The runs whose training diverged, each with the word for it: they decide no mean and no winner."""
        from qualia_lab.analysis.findings.diverged import diverged_runs

        return dict.fromkeys(diverged_runs(self), "diverged")

    @cached_property
    def second_look(self) -> SecondLook:
        """Every point of the curves of which a few numbers leave open what their shape is."""
        from qualia_lab.analysis.findings.second_look import look_again

        return look_again(self)

    @cached_property
    def groups(self) -> Mapping[str, tuple[Group, ...]]:
        """The configurations of each task with its objective, by experiment id; without the runs that diverged."""
        found: dict[str, list[Group]] = {task.experiment_id: [] for task in self.study.tasks}
        for group in group_runs(self.tables, self.study, without=self.diverged):
            found[group.experiment_id].append(group)
        return {experiment_id: tuple(groups) for experiment_id, groups in found.items()}

    @cached_property
    def factor_columns(self) -> FactorColumns:
        """The factors of all runs as columns, from which those of a task are taken."""
        from qualia_lab.analysis.param_columns import factor_columns

        return factor_columns(self.tables, self.study)

    @cached_property
    def importances(self) -> Mapping[str, Importances]:
        """What is known of the factors of each task that has an objective, by experiment id; from the same groups.

        Of many tasks those with the most configurations: a forest for each of hundreds would take minutes.
        """
        from qualia_lab.analysis.importance import param_importances

        tasks = [task for task in self.study.tasks if task.objective is not None]
        tasks = sorted(tasks, key=lambda task: -len(self.groups[task.experiment_id]))[:MOST_TASKS]
        found = {}
        for task in tasks:
            assert task.objective is not None
            groups = self.groups[task.experiment_id]
            found[task.experiment_id] = param_importances(
                self.tables,
                self.study,
                {run_id: one for group in groups for run_id, one in zip(group.scored, group.values, strict=True)},
                task.objective.key,
                greater_is_better=task.objective.greater_is_better,
                task=task,
                columns=self.factor_columns,
                in_full=False,
            )
        return found

    @cached_property
    def answers(self) -> Mapping[str, Answer]:
        """What is known of the best configuration of each task, by experiment id; none where nothing leads."""
        from qualia_lab.analysis.answer import answers_of

        return answers_of(self.groups, self.study.settings.smallest_difference)

    @cached_property
    def one_factor(self) -> Mapping[str, list[OneFactor]]:
        """The sets of configurations that differ in one factor, of each task, by experiment id."""
        return {task.experiment_id: one_factor_sets(self.study, task) for task in self.study.tasks}

    def clear_effects(self, alpha: float) -> Mapping[str, list[Effect]]:
        """Of each task the levels of its factors that are clearly better than others, by experiment id."""
        from qualia_lab.analysis.effects import asked_effects, clear_effects

        def of_tasks() -> dict[str, list[Effect]]:
            return {key: asked_effects(sets, self.groups[key]) for key, sets in self.one_factor.items()}

        asked = self.once("effects", of_tasks)
        return self.once(("clear effects", alpha), lambda: clear_effects(asked, alpha))

    def crossings(self, alpha: float) -> Mapping[str, list[Crossing]]:
        """Of each task the pairs of factors of which one decides which level of the other is better."""
        from qualia_lab.analysis.effects import asked_crossings, clear_crossings

        def of_tasks() -> dict[str, AskedCrossings]:
            return {key: asked_crossings(sets, self.groups[key]) for key, sets in self.one_factor.items()}

        asked = self.once("crossings", of_tasks)
        return self.once(("clear crossings", alpha), lambda: clear_crossings(asked, alpha))

    def name(self, run_id: str) -> str:
        """What the run is called."""
        return self.labels[run_id]

    def experiment(self, task: Task) -> str:
        """The name of a task's experiment where there are several tasks, else ""; for `Finding.experiment`."""
        return task.experiment if len(self.study.tasks) > 1 else ""

    def where(self, task: Task) -> str:
        """`In NAME: `, with which a sentence about one of several tasks begins; else ""."""
        return f"In {one_line(task.experiment, 60)}: " if len(self.study.tasks) > 1 else ""

    def lead_curve(self, task: Task) -> str | None:
        """The metric whose course is judged: the objective, else the next with steps and a known direction."""
        return self.lead_curves.get(task.experiment_id)

    @cached_property
    def task_places(self) -> npt.NDArray[np.int64]:
        """Of every run, in order, the place of its task in the study."""
        found = np.zeros(len(self.run_ids), np.int64)
        for place, task in enumerate(self.study.tasks):
            found[[self.places[run_id] for run_id in task.run_ids]] = place
        return found

    @cached_property
    def ranked(self) -> Sequence[MetricCount]:
        """The metrics of the model, those to look at first on top."""
        return rank_metrics(self.study, self.inventory)

    @cached_property
    def lead_curves(self) -> Mapping[str, str]:
        """The metric whose course is judged, by experiment id; a task without a curve has none."""
        tasks = self.task_places
        curves = self.series.points > 1
        there = np.unique(tasks[self.series.run[curves]] * len(self.keys) + self.series.key[curves])
        stepped: dict[int, set[str]] = {}
        for pair in there.tolist():
            stepped.setdefault(pair // len(self.keys), set()).add(self.keys[pair % len(self.keys)])
        ranked = [
            count.key
            for count in self.ranked
            if self.study.greater_is_better(count.key) is not None
            and self.study.metric[count.key].role in ("objective", "training")
        ]
        found = {}
        for place, keys in stepped.items():
            task = self.study.tasks[place]
            first = [task.objective.key] if task.objective and task.objective.better else []
            key = next((key for key in (*first, *ranked) if key in keys), None)
            if key is not None:
                found[task.experiment_id] = key
        return found

    def histories(self, key: str, among: npt.NDArray[np.bool_] | None = None) -> Iterator[History]:
        """The facts of one metric, in the order of the runs; the best value is the lowest where no way is known.

        among: of every row of `series` whether it is wanted; None: all are.
        """
        of_key = self.series.key == self.keys.index(key)
        rows = np.flatnonzero(of_key if among is None else of_key & among)
        rows = rows[np.argsort(self.series.run[rows], kind="stable")]
        side = "high" if self.study.greater_is_better(key) else "low"
        for begin in range(0, len(rows), _AT_ONCE):
            yield from self._histories(rows[begin : begin + _AT_ONCE], side)

    def histories_of(self, key: str, run_ids: Collection[str]) -> list[History]:
        """The facts of one metric of these runs, in the order of the runs."""
        return list(self.histories(key, np.isin(self.series.run, [self.places[run_id] for run_id in run_ids])))

    def _histories(self, rows: npt.NDArray[np.int64], side: str) -> Iterator[History]:
        """The facts of these rows of `series`.  side: on which the best value is."""
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
        tables: the runs.
        study: of these tables.
        labels: what each run is called.
        read_history: of run ids and metric keys every point, points of one run and metric together, by step.
        now: the moment of asking, in ms.
        keys: the metrics whose histories are read; None: all of the model.
        limits: arguments of `series.summarise`.
    """
    known = model_keys(tables)
    directions = {key: study.greater_is_better(key) for key in known}
    wanted = [key for key in known if keys is None or key in keys]
    batches = read_history(tables.run_ids, wanted) if wanted else ()
    # Of a metric that is not known to be better either way, and of a cost, rules look at values that are not finite
    # alone.
    judged = {*study.of_role("objective", "training", "part")}
    only_odd = [key for key in known if directions[key] is None or key not in judged] if keys is None else []
    held = Held(_MOST_HELD)
    expected = rows_with(tables.metrics, "key", wanted).num_rows
    series = summarise(
        batches,
        tables.run_ids,
        known,
        directions,
        only_odd=only_odd,
        held=held,
        expected=expected,
        **(limits or {}),
    )
    pa.default_memory_pool().release_unused()  # the batches are gone, and Arrow keeps their memory for the next
    return Evidence(tables, study, labels, series, read_history, now, held)


def model_keys(tables: RunTables) -> tuple[str, ...]:
    """The metrics of the model, sorted; the machine's own are none."""
    return tuple(
        sorted(key for key in pc.unique(tables.metrics.column("key")).to_pylist() if not key.startswith(SYSTEM_METRICS))
    )
