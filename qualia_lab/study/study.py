"""Study: what metrics, params, tags and runs are, and which runs may be compared; every other module asks it."""

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
Setting = tuple[str, str]  # a factor's name and a run's value of it


@dataclass(frozen=True)
class Metric:
    """What one metric is.

    role: objective (it may lead), training (the same as an objective, on training data), part (of a loss), cost (time,
    memory, energy, tokens, throughput), spread (or rank, or difference, of another metric), count (or state), machine.
    better: which way; None where that is not known, or where neither is.  source: where `better` (else the role) comes
    from.  split: which data it is of, "" where its name does not say.  family: what it shares with metrics that
    measure the same on other data or at other thresholds.  twin: of one of training its objective, of an objective the
    one of training.
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
        """The direction as a truth value."""
        return None if self.better is None else self.better == "higher"


@dataclass(frozen=True)
class Objective:
    """The metric that leads in a task.  rivals: others that could, those that come closest first."""

    key: str
    better: Better | None
    source: Source
    rivals: tuple[str, ...] = ()

    @property
    def greater_is_better(self) -> bool | None:
        """The direction as a truth value."""
        return None if self.better is None else self.better == "higher"


@dataclass(frozen=True)
class Task:
    """An experiment, or all of them where the person pools them: what may be compared with each other.

    experiment: its name; "" of pooled ones.  run_ids: all its runs, in order.  objective: None where no metric can
    lead.
    """

    experiment_id: str
    experiment: str
    run_ids: tuple[str, ...]
    objective: Objective | None


@dataclass(frozen=True)
class Factor:
    """What one param or one tag of the person's own is.

    name: how sentences and configurations call it: its key; of a tag whose key is a param's too, `tags.KEY`.
    kind: where it stands.  role: factor (sets configurations apart), seed (only repeats them), label (names, places,
    times), constant, tied (sets the same runs apart as `tied_to`).
    values: how many different ones, spelling aside.  numeric: whether all are numbers.
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
    """Runs of one task that are alike in every factor, in their order.

    params: the factors that set configurations of the task apart, a missing one as None.  settings: all factors,
    constants and tied ones that they have.  repeats: of each run its seeds, in the order of run_ids; () where a run
    has none.
    """

    experiment_id: str
    params: tuple[tuple[str, str | None], ...]
    settings: tuple[Setting, ...]
    run_ids: tuple[str, ...]
    repeats: tuple[tuple[Setting, ...], ...]

    @property
    def label(self) -> str:
        """`lr=0.1, depth=3`; `all runs` where there is only one configuration."""
        return ", ".join(f"{key}={value}" for key, value in self.params if value is not None) or (
            "no params" if self.params else "all runs"
        )

    def without(self, run_ids: Collection[str]) -> Configuration | None:
        """The configuration of its other runs; None where there is none."""
        kept = [place for place, run_id in enumerate(self.run_ids) if run_id not in run_ids]
        if len(kept) == len(self.run_ids):
            return self
        if not kept:
            return None
        return Configuration(
            self.experiment_id,
            self.params,
            self.settings,
            tuple(self.run_ids[place] for place in kept),
            tuple(self.repeats[place] for place in kept),
        )


@dataclass(frozen=True)
class ShortRun:
    """A finished run that stopped much earlier than others of its task: at `last_step`, they at `usual` (median)."""

    run_id: str
    last_step: int
    usual: int


@dataclass(frozen=True)
class Study:
    """How to look at some runs. Every answer says where it comes from; `settings` overruled what was inferred.

    tasks: in the order of the experiments.
    left_out: the runs that take part in no comparison, each with why: a parent of runs that are there ("parent"), a
    child that only measures its parent ("part of NAME"), a copy ("copy of NAME"), continued by another run ("continued
    in NAME"), or a status that does not count ("failed", "running", Optuna's "pruned").
    parents: runs whose children are there, with these.
    copies: of every run that computed the same as an earlier one, that one.  possible_copies: sets of runs without a
    seed whose coarse results are equal.  short_runs: budgets that are not those of the others.
    notes: sentences of what a person has to know, such as a flag that disagrees with a name.
    chosen_by: the metric that decided which runs are here, None where none did: means are then too good.
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
        """The objective where there is one task, or where all tasks have the same; else None."""
        found = {(one.objective.key, one.objective.better) for one in self.tasks if one.objective is not None}
        return next((one.objective for one in self.tasks if one.objective), None) if len(found) == 1 else None

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The params and tags that set configurations apart; those that are tied to another follow it."""
        return tuple(one for one in (*self.params, *self.tags) if one.role in ("factor", "tied"))

    @cached_property
    def seeds(self) -> tuple[str, ...]:
        """The names of the params that only repeat a configuration."""
        return tuple(one.name for one in (*self.params, *self.tags) if one.role == "seed")

    @cached_property
    def task_of(self) -> Mapping[str, Task]:
        """The task of every run."""
        return {run_id: one for one in self.tasks for run_id in one.run_ids}

    def greater_is_better(self, key: str) -> bool | None:
        """Whether more of a metric is better; None where that is not known, or where there is no such metric."""
        objective = next((one.objective for one in self.tasks if one.objective and one.objective.key == key), None)
        if objective is not None:
            return objective.greater_is_better
        return self.metric[key].greater_is_better if key in self.metric else None

    def of_role(self, *roles: MetricRole) -> tuple[str, ...]:
        """The keys of the metrics of these roles, sorted."""
        return tuple(one.key for one in self.metrics if one.role in roles)

    @cached_property
    def _configurations_by_task(self) -> Mapping[str, tuple[Configuration, ...]]:
        found: dict[str, list[Configuration]] = {}
        for one in self.configurations:
            found.setdefault(one.experiment_id, []).append(one)
        return {experiment_id: tuple(of_one) for experiment_id, of_one in found.items()}

    def in_task(self, task: Task) -> Sequence[Configuration]:
        """The configurations of one task, in the order of their first run."""
        return self._configurations_by_task.get(task.experiment_id, ())
