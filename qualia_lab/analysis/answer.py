"""The answer for one task: the leading configuration, its lead, the rivals it beats, and the repeats still needed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.baseline import FEWEST_RUNS
from qualia_lab.analysis.best_of import ALPHA, best_of
from qualia_lab.analysis.bounds import bounds_of, clip_interval
from qualia_lab.analysis.intervals import mean_of
from qualia_lab.analysis.moments import joined, pooled_deviation
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.selected_power import detectable_among, needed_among
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.best_of import BestOf
    from qualia_lab.analysis.groups import Group

_FEWEST_DEGREES = 6  # degrees of freedom of the spread from which configurations with two runs are compared
# P values in the far tail are too small by this factor (by simulation), because the data themselves decide whether
# blocks or separate spreads are used.
_TAIL = 2
FEWEST_REPEATS = 2  # repeats of a configuration that is compared: one value carries no spread


@dataclass(frozen=True)
class Answer:
    """What the runs of one task show about the best of its configurations.

    Attributes:
        groups: the configurations with a value, best mean first. Where two or more ran more than once, those stand
            before the configurations that ran once.
        leader: the first of `groups`.
        found: the result of `best_of` over the compared configurations; None where too few ran more than once.
        apart: the rivals that differ from the leader.
        level: the compared rivals that cannot be told apart from the leader.
        single_runs: the configurations other than the leader that ran once, which cannot be compared.
        interval: the 95 % interval of the leader's true mean, corrected for selection and clipped to the bounds of the
            metric; None where there are too few repeats to estimate the spread.
        corrected: the leader's mean corrected for selection (winner's curse); None where nothing was selected, or where
            the lead is so small that only the interval is informative.
        spread: the pooled standard deviation between repeats, in the unit of the metric; None where nothing was
            repeated or all repeats are equal.
        smallest: the smallest difference that matters, in the unit of the metric.
        alpha: the p value below which a rival counts as different.
    """

    groups: tuple[Group, ...]
    leader: Group
    found: BestOf | None
    apart: tuple[Group, ...]
    level: tuple[Group, ...]
    single_runs: tuple[Group, ...]
    interval: tuple[float, float] | None
    corrected: float | None
    spread: float | None
    smallest: float | None
    alpha: float = ALPHA

    @property
    def compared(self) -> tuple[Group, ...]:
        """The groups that `found` covers, in the same order."""
        return self.groups[: self.found.k] if self.found is not None else ()

    @cached_property
    def detectable_difference(self) -> float | None:
        """The difference that the present repeats detect with 80 % power; None where nothing can be compared."""
        if len(self.compared) < 2 or not self.spread:
            return None
        first, second = (len(group.values) for group in self.compared[:2])
        return detectable_among(len(self.compared), first, second, _degrees(self.compared), self.alpha) * self.spread

    @cached_property
    def needed_repeats(self) -> int | None:
        """The repeats per configuration that detect `smallest` with 80 % power; None where nothing can be compared."""
        if len(self.compared) < 2 or not self.spread or not self.smallest:
            return None
        return needed_among(self.smallest / self.spread, len(self.compared), self.alpha)


def answer_of(groups: Sequence[Group], smallest: float | None = None) -> Answer | None:
    """Find the best configuration of one task.

    A configuration that ran once is no rival of those that ran more often: otherwise the luckiest of many single runs
    would lead. Where too few ran more than once to estimate the spread between repeats, all are ordered by their
    observed means.

    Args:
        groups: the configurations of one task with their objective.
        smallest: the smallest difference that matters, in the unit of the metric; None takes one standard deviation
            between repeats.

    Returns:
        The answer; None where no configuration has a value or the direction of the metric is unknown.
    """
    scored = [group for group in groups if group.values]
    if not scored or scored[0].greater_is_better is None:
        return None
    better = scored[0].greater_is_better
    scored.sort(key=lambda group: _rank(group, better=better))
    compared = [group for group in scored if len(group.values) >= FEWEST_REPEATS]
    spread = _pooled_spread(scored)
    degrees = _degrees(compared)
    if not compared or (len(scored) > 1 and not _are_comparable(degrees, compared)):
        alone = tuple(group for group in scored[1:] if len(group.values) < FEWEST_REPEATS)
        return Answer(tuple(scored), scored[0], None, (), (), alone, None, None, spread, None)
    alone = tuple(group for group in scored if len(group.values) < FEWEST_REPEATS)
    found = best_of(
        [group.values for group in compared],
        greater_is_better=better,
        repeats=[group.repeats for group in compared],
    )
    assert found is not None
    leader, rivals = compared[0], compared[1:]
    places_apart = {rival.place for rival in found.apart if _are_comparable(degrees, (leader, compared[rival.place]))}
    smallest_relevant = smallest or spread
    limits = bounds_of([value for group in scored for value in group.values], read_name(leader.metric).bounds)
    if rivals:
        interval = None if found.low is None or found.high is None else (found.low, found.high)
    else:
        own = leader.interval
        interval = (own.low, own.high) if own else None
    mean_of_all = mean_of([group.mean for group in compared if group.mean is not None])
    is_uninformative = found.corrected in (found.low, found.high)
    if found.corrected is not None and rivals and (found.corrected < mean_of_all) == better:
        is_uninformative = True  # worse than the mean of all: among level rivals it adds nothing to the interval
    return Answer(
        groups=(*compared, *alone),
        leader=leader,
        found=found,
        apart=tuple(group for place, group in enumerate(compared) if place in places_apart),
        level=tuple(group for place, group in enumerate(compared) if place and place not in places_apart),
        single_runs=alone,
        interval=clip_interval(*interval, limits) if interval else None,
        corrected=None
        if found.corrected is None or is_uninformative
        else clip_interval(found.corrected, found.corrected, limits)[0],
        spread=spread,
        smallest=smallest_relevant,
    )


def answers_of(of_tasks: Mapping[str, Sequence[Group]], smallest: float | None = None) -> dict[str, Answer]:
    """Find the best configuration of each of several tasks.

    Among many tasks of pure noise some would have a winner by luck, so p values are corrected for all tasks that were
    tested (see `limit_over_tasks`); the number of needed repeats uses the same corrected limit.

    Args:
        of_tasks: the configurations of each task, by any key.
        smallest: as in `answer_of`.

    Returns:
        The answers by the same key; tasks without an answer are left out.
    """
    answers = {key: answer for key, groups in of_tasks.items() if (answer := answer_of(groups, smallest)) is not None}
    tested = {key: answer.found for key, answer in answers.items() if answer.found is not None and answer.found.tested}
    if len(tested) < 2:
        return answers
    ps = [min((rival.p for rival in best.apart), default=1.0) for best in tested.values()]
    alpha = ALPHA / _TAIL
    limit, limit_for_another = limit_over_tasks(ps, alpha), limit_over_tasks(ps, alpha, another=True)
    return {
        key: _apply_limit(answer, limit, limit_for_another) if key in tested else answer
        for key, answer in answers.items()
    }


def _apply_limit(answer: Answer, limit: float, limit_for_another: float) -> Answer:
    """Move rivals with p above `limit` to `level`; where none remains apart, `alpha` becomes `limit_for_another`."""
    assert answer.found is not None
    ps = {id(answer.groups[rival.place]): rival.p for rival in answer.found.apart}
    apart = tuple(rival for rival in answer.apart if ps[id(rival)] <= limit)
    apart_ids = set(map(id, apart))
    level = tuple(rival for rival in answer.compared[1:] if id(rival) not in apart_ids)
    return replace(answer, apart=apart, level=level, alpha=limit if apart else limit_for_another)


def _are_comparable(degrees: int, groups: Sequence[Group]) -> bool:
    """Whether two of the configurations have three runs, or the pooled spread has enough degrees of freedom.

    With two runs each and hardly any other repeats, one run that is a rounded copy of the other would decide.
    """
    repeated = sum(len(group.values) >= FEWEST_RUNS for group in groups)
    return len(groups) > 1 and (repeated > 1 or degrees >= _FEWEST_DEGREES)


def _degrees(groups: Sequence[Group]) -> int:
    """The degrees of freedom of the spread between repeats."""
    return sum(len(group.values) - 1 for group in groups)


def _rank(group: Group, *, better: bool) -> float:
    """A sort key that puts the best mean first."""
    assert group.mean is not None
    return -group.mean if better else group.mean


def _pooled_spread(groups: Sequence[Group]) -> float | None:
    """The standard deviation between repeats, pooled over configurations; None where it is within rounding error."""
    repeated = [group.values for group in groups if len(group.values) > 1]
    spread, _ = pooled_deviation(repeated)
    largest = float(np.abs(joined(repeated)[0]).max(initial=0.0))
    return spread if spread > 1e-12 * largest else None
