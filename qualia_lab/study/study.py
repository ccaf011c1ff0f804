"""`Study`: what metrics, params, tags and runs are, and which runs may be compared; all other modules rely on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from qualia_lab.study.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qualia_lab.study.settings import Better, MetricRole, Source

Split = Literal["training", "validation", "test", "fold", ""]
FactorRole = Literal["factor", "seed", "label", "constant", "tied"]
Setting = tuple[str, str]  # the name of a factor, and its value in a run


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        key: its key.
        role: objective; training (the same as an objective, on training data); part (of a loss); cost (time, memory,
            energy, tokens, throughput); spread (or rank, or difference, of another metric); count (or state); or
            machine.
        better: which direction is better; None if unknown, or if neither is.
        source: the source of `better`, or of the role if there is no direction.
        split: the split of the data, "" if its name has none.
        family: shared by metrics that measure the same on other data or at other thresholds.
        twin: for a metric of training data its objective, for an objective its counterpart on training data.
    """

    key: str
    role: MetricRole
    better: Better | None
    source: Source
    split: Split = ""
    family: str = ""
    twin: str | None = None

    @property
    def greater_is_better(self) -> bool | None:
        """Whether higher values are better; None if unknown."""
        return None if self.better is None else self.better == "higher"


@dataclass(frozen=True)
class Objective:
    """The metric by which the runs of a task are compared.

    Attributes:
        key: its key.
        better: which direction is better; None if unknown.
        source: why this metric was chosen.
        rivals: the keys of other metrics that could be the objective, best first.
    """

    key: str
    better: Better | None
    source: Source
    rivals: tuple[str, ...] = ()

    @property
    def greater_is_better(self) -> bool | None:
        """Whether higher values are better; None if unknown."""
        return None if self.better is None else self.better == "higher"


@dataclass(frozen=True)
class Task:
    """Runs that may be compared with each other: those of an experiment, or of all experiments if they are pooled.

    Attributes:
        experiment_id: the id of the experiment, "" if pooled.
        experiment: the name of the experiment, "" if pooled.
        run_ids: all runs, in order.
        objective: None if no metric can be one.
    """

    experiment_id: str
    experiment: str
    run_ids: tuple[str, ...]
    objective: Objective | None


@dataclass(frozen=True)
class Factor:
    """One param, or one tag set by users.

    Attributes:
        name: its name in sentences and configurations: its key; for a tag whose key is also that of a param,
            `tags.KEY`.
        key: its key.
        kind: param or tag.
        role: factor (distinguishes configurations), seed (differs only between repeats), label (a name, location or
            time), constant, or tied (distinguishes the same runs as `tied_to`).
        source: the source of the role.
        values: the number of distinct values, regardless of spelling.
        numeric: whether all values are numbers.
        runs: how many runs have it.
        tied_to: the name of the factor with which it always changes.
    """

    name: str
    key: str
    kind: Literal["param", "tag"]
    role: FactorRole
    source: Source
    values: int
    numeric: bool
    runs: int
    tied_to: str | None = None


@dataclass(frozen=True)
class Configuration:
    """Runs of one task with equal values of all factors, in their order.

    Attributes:
        experiment_id: the id of the experiment, "" if pooled.
        params: the factors that differ between configurations of the task, with None for a missing value.
        settings: all factors, constants and tied factors that the runs have.
        run_ids: the runs.
        repeats: for each run its seeds, in the order of `run_ids`; () if a run has none.
    """

    experiment_id: str
    params: tuple[tuple[str, str | None], ...]
    settings: tuple[Setting, ...]
    run_ids: tuple[str, ...]
    repeats: tuple[tuple[Setting, ...], ...]

    @property
    def label(self) -> str:
        """`lr=0.1, depth=3`; `all runs` if there is only one configuration."""
        return ", ".join(f"{key}={value}" for key, value in self.params if value is not None) or (
            "no params" if self.params else "all runs"
        )

    def without(self, run_ids: Collection[str]) -> Configuration | None:
        """The configuration without these runs; None if no run is left.

        Args:
            run_ids: the runs to remove.
        """
        remaining = [place for place, run_id in enumerate(self.run_ids) if run_id not in run_ids]
        if len(remaining) == len(self.run_ids):
            return self
        if not remaining:
            return None
        return Configuration(
            self.experiment_id,
            self.params,
            self.settings,
            tuple(self.run_ids[place] for place in remaining),
            tuple(self.repeats[place] for place in remaining),
        )


@dataclass(frozen=True)
class ShortRun:
    """A finished run that stopped much earlier than others of its task.

    Attributes:
        run_id: the id of the run.
        last_step: its last step.
        usual: the median of the last steps of the task's runs.
    """

    run_id: str
    last_step: int
    usual: int


@dataclass(frozen=True)
class Study:
    """How runs are interpreted. Every fact has a source; `settings` override what is inferred.

    Attributes:
        settings: the settings of the user and the project.
        metrics: the metrics, sorted by key.
        tasks: the tasks, in the order of the experiments.
        params: the params, sorted by key.
        tags: the tags set by users, sorted by key.
        configurations: the configurations of all tasks.
        left_out: run id → why the run takes part in no comparison: a parent whose children are included ("parent"), a
            child that only evaluates its parent ("part of NAME"), a copy ("copy of NAME"), a run continued by another
            one ("continued in NAME"), one whose objective is in percent among shares ("in another unit"), or a status
            that does not count ("failed", "running", Optuna's "pruned").
        parents: run id → ids of its children, for runs that only contain others.
        copies: run id → id of the earlier run that computed the same.
        possible_copies: sets of runs without a seed and with equal coarse results.
        continued: run id → id of the run in which it was continued.
        short_runs: runs whose training was much shorter than that of the others.
        notes: sentences that users should read, such as a flag that contradicts a name.
        chosen_by: the metric by which the runs were selected, which biases means; None if there is none.
    """

    settings: StudySettings = field(default_factory=StudySettings)
    metrics: tuple[Metric, ...] = ()
    tasks: tuple[Task, ...] = ()
    params: tuple[Factor, ...] = ()
    tags: tuple[Factor, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    possible_copies: tuple[tuple[str, ...], ...] = ()
    continued: Mapping[str, str] = field(default_factory=dict)
    short_runs: tuple[ShortRun, ...] = ()
    notes: tuple[str, ...] = ()
    chosen_by: str | None = None

    @cached_property
    def metric(self) -> Mapping[str, Metric]:
        """The metrics by key."""
        return {one.key: one for one in self.metrics}

    @property
    def objective(self) -> Objective | None:
        """The objective if there is one task, or if all tasks have the same; else None."""
        distinct = {(one.objective.key, one.objective.better) for one in self.tasks if one.objective is not None}
        return next((one.objective for one in self.tasks if one.objective), None) if len(distinct) == 1 else None

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The params and tags that distinguish configurations, including those tied to another one."""
        return tuple(one for one in (*self.params, *self.tags) if one.role in ("factor", "tied"))

    @cached_property
    def seeds(self) -> tuple[str, ...]:
        """The names of the params and tags that differ only between repeats."""
        return tuple(one.name for one in (*self.params, *self.tags) if one.role == "seed")

    @cached_property
    def task_of(self) -> Mapping[str, Task]:
        """Run id → task."""
        return {run_id: one for one in self.tasks for run_id in one.run_ids}

    def greater_is_better(self, key: str) -> bool | None:
        """Whether higher values of a metric are better; None if unknown, or if there is no such metric.

        Args:
            key: the key of the metric.
        """
        objective = next((one.objective for one in self.tasks if one.objective and one.objective.key == key), None)
        if objective is not None:
            return objective.greater_is_better
        return self.metric[key].greater_is_better if key in self.metric else None

    def of_role(self, *roles: MetricRole) -> tuple[str, ...]:
        """The keys of the metrics with these roles, sorted.

        Args:
            *roles: roles of metrics.
        """
        return tuple(one.key for one in self.metrics if one.role in roles)

    @cached_property
    def place_of(self) -> Mapping[str, int]:
        """Run id → the place of its configuration in `configurations`."""
        return {run_id: place for place, one in enumerate(self.configurations) for run_id in one.run_ids}

    @cached_property
    def _configurations_by_task(self) -> Mapping[str, tuple[Configuration, ...]]:
        by_task: dict[str, list[Configuration]] = {}
        for one in self.configurations:
            by_task.setdefault(one.experiment_id, []).append(one)
        return {experiment_id: tuple(configurations) for experiment_id, configurations in by_task.items()}

    def in_task(self, task: Task) -> Sequence[Configuration]:
        """The configurations of one task, in the order of their first run.

        Args:
            task: one of `tasks`.
        """
        return self._configurations_by_task.get(task.experiment_id, ())
