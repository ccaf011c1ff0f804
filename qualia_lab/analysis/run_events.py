"""What happened to runs between two looks at them: runs that started or ended, a new best value, divergence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.findings.finding import number
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.study.statuses import FINISHED, UNFINISHED, counts_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.study.settings import Better

Kind = Literal["runs", "started", "ended", "gone", "best", "leads", "objective", "diverged", "non_finite"]
_ENDED = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "was killed"}
_TROUBLES: Mapping[str, tuple[Kind, str]] = {
    "diverged": ("diverged", "diverged at step"),
    "non_finite": ("non_finite", "has a value that is not finite, first at step"),
}
TROUBLES = tuple(_TROUBLES)  # the rules of findings whose runs are events


@dataclass(frozen=True)
class SeenTask:
    """A task as it was seen: runs that may be compared with each other.

    Attributes:
        experiment: the name of its experiment; "" if it is the only one, or if experiments are pooled.
        objective: the key of its objective; "" if it has none.
        better: which direction is better; None if unknown.
        values: the finite values of the objective by run id, of finished runs that are compared and did not diverge.
    """

    experiment: str = ""
    objective: str = ""
    better: Better | None = None
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> tuple[str, float] | None:
        """The run with the best value, the first one of several, and the value; None if no run can be the best."""
        if self.better is None or not self.values:
            return None
        of = max if self.better == "higher" else min
        return of(self.values.items(), key=lambda item: item[1])


@dataclass(frozen=True)
class SeenRuns:
    """Runs as they were seen.

    Attributes:
        labels: the name of each run, by run id.
        statuses: the status of each run, by run id.
        tasks: the tasks, by the id of the experiment.
        task_of: the id of the experiment of each run, by run id; "" if experiments are pooled.
        troubles: for (rule, run id) of a rule in `TROUBLES` the step at which it was.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, SeenTask] = field(default_factory=dict)
    task_of: Mapping[str, str] = field(default_factory=dict)
    troubles: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def unfinished(self) -> int:
        """The number of runs that have not ended."""
        return sum(status in UNFINISHED for status in self.statuses.values())


@dataclass(frozen=True)
class RunEvent:
    """Something that happened.

    Attributes:
        kind: what it was.
        sentence: plain text, with names from the store.
        run_id: the run; "" if it is about several.
        experiment: the name of the experiment, if there are several.
        metric: the objective, for `best`, `leads` and `objective`.
        value: the unrounded value of the run.
        of: the number of runs that were compared.
        status: the status of the run.
        step: the step at which the run went bad.
    """

    kind: Kind
    sentence: str
    run_id: str = ""
    experiment: str = ""
    metric: str = ""
    value: float | None = None
    of: int | None = None
    status: str = ""
    step: int | None = None


def first_events(seen: SeenRuns) -> tuple[RunEvent, ...]:
    """Return how things are when runs are seen for the first time.

    Args:
        seen: the runs.
    """
    counts = Counter(seen.statuses.values())
    text = f"{counted(len(seen.statuses), 'run')}: {counts_text((one.lower(), n) for one, n in counts.items())}"
    nothing = SeenRuns()
    return (RunEvent("runs", text), *_trouble_events(nothing, seen), *_best_events(nothing, seen))


def events_between(before: SeenRuns, after: SeenRuns) -> tuple[RunEvent, ...]:
    """Return what happened between two looks.

    A value is a new best if it is strictly better than every value that was compared before, of the same objective in
    the same task. Runs that have not finished are not compared.

    Args:
        before: the runs at the earlier look.
        after: the runs at the later look.
    """
    return (*_status_events(before, after), *_trouble_events(before, after), *_best_events(before, after))


def _status_events(before: SeenRuns, after: SeenRuns) -> Iterator[RunEvent]:
    for run_id, status in after.statuses.items():
        then = before.statuses.get(run_id)
        if then == status:
            continue
        kind: Kind = "started" if status in UNFINISHED else "ended"
        if kind == "ended":
            words = _ENDED.get(status, f"has the status {one_line(status, 40)}")
            words = words if then is not None else f"is new and {words}"
        elif status == "SCHEDULED":
            words = "is scheduled"
        else:
            words = "started" if then in (None, "SCHEDULED") else "is running again"
        yield _event(after, run_id, kind, f" {words}", status=status)
    for run_id in before.statuses:
        if run_id not in after.statuses:
            yield _event(before, run_id, "gone", " is no longer selected")


def _best_events(before: SeenRuns, after: SeenRuns) -> Iterator[RunEvent]:
    for experiment_id, task in after.tasks.items():
        then = before.tasks.get(experiment_id, SeenTask())
        is_same = (then.objective, then.better) == (task.objective, task.better)
        if then.objective and not is_same and task.objective:
            which = "" if task.better is None else f", {task.better} is better"
            sentence = f"the objective is now {one_line(task.objective, 60)}{which}"
            yield RunEvent("objective", _prefix(task) + sentence, experiment=task.experiment, metric=task.objective)
        best, best_before = task.best, then.best if is_same else None
        if best is None:
            continue
        run_id, value = best
        kind: Kind
        if best_before is None:
            kind, words = "best", "the best"
        elif value == best_before[1]:
            continue
        elif (value > best_before[1]) == (task.better == "higher"):
            kind, words = "best", "new best"
        else:
            kind, words = "leads", "now the best"
        words = f": {one_line(task.objective, 60)} {number(value)}, {words} of {_compared(task)}"
        yield _event(after, run_id, kind, words, metric=task.objective, value=value, of=len(task.values))


def _trouble_events(before: SeenRuns, after: SeenRuns) -> Iterator[RunEvent]:
    for (rule, run_id), step in after.troubles.items():
        if (rule, run_id) not in before.troubles:
            kind, words = _TROUBLES[rule]
            yield _event(after, run_id, kind, f" {words} {step:,}", step=step)


def _event(seen: SeenRuns, run_id: str, kind: Kind, words: str, **facts: Any) -> RunEvent:
    """An event of a run, with what is said after its name."""
    task = seen.tasks.get(seen.task_of.get(run_id, ""), SeenTask())
    sentence = f"{_prefix(task)}{one_line(seen.labels[run_id], 60)}{words}"
    return RunEvent(kind, sentence, run_id, task.experiment, **facts)


def _prefix(task: SeenTask) -> str:
    return f"In {one_line(task.experiment, 60)}: " if task.experiment else ""


def _compared(task: SeenTask) -> str:
    return f"{counted(len(task.values), FINISHED.lower() + ' run')} compared"
