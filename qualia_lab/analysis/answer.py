"""The answer of a task: which configuration leads, by how much, from which it cannot be told, and what n would show."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.baseline import FEWEST_RUNS
from qualia_lab.analysis.best_of import ALPHA, best_of
from qualia_lab.analysis.bounds import bounds_of, clip_interval
from qualia_lab.analysis.intervals import mean_of, unit_of
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.selected_power import detectable_among, needed_among
from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.best_of import BestOf
    from qualia_lab.analysis.groups import Group

_FEWEST_DEGREES = 6  # of the spread, from which on configurations of two runs are told apart
# Small p are too small by this factor: whether blocks or own spreads are taken is read off the data (by simulation).
_TAIL = 2
FEWEST_REPEATS = 2  # of a configuration that is compared: one value says nothing of its spread


@dataclass(frozen=True)
class Answer:
    """What is known of the best of some configurations of one task.

    groups: those with a value, the best mean first; of those that ran more than once before those that ran once, where
    two or more did.  leader: the first of them.  found: what `best_of` says of those compared; None where too few
    ran more than once.  apart, level: the rivals that are told from the leader, and those that are not.
    alone: those that ran once, of which nothing can be told.
    interval: at 95 %, of the leader's true mean, corrected for its having been selected, within what the metric can be;
    None where too few repeats say how far it varies.  corrected: the mean without the gain from having been selected;
    None where nothing is selected, or where the lead is so small that only the interval says something.
    spread: the standard deviation between repeats, pooled; None where nothing was repeated or all repeats are alike.
    smallest: the smallest difference that matters.  alpha: the p under which a rival is told apart.
    """

    groups: tuple[Group, ...]
    leader: Group
    found: BestOf | None
    apart: tuple[Group, ...]
    level: tuple[Group, ...]
    alone: tuple[Group, ...]
    interval: tuple[float, float] | None
    corrected: float | None
    spread: float | None
    smallest: float | None
    alpha: float = ALPHA

    @property
    def compared(self) -> tuple[Group, ...]:
        """The groups that `found` is about, in its order."""
        return self.groups[: self.found.k] if self.found is not None else ()

    @cached_property
    def shows(self) -> float | None:
        """The difference that so many repeats show in 80 % of cases; None where nothing can be told apart."""
        if len(self.compared) < 2 or not self.spread:
            return None
        first, second = (len(group.values) for group in self.compared[:2])
        return detectable_among(len(self.compared), first, second, _degrees(self.compared), self.alpha) * self.spread

    @cached_property
    def needed(self) -> int | None:
        """The repeats of each configuration that show `smallest` in 80 % of cases; None where nothing can be told."""
        if len(self.compared) < 2 or not self.spread or not self.smallest:
            return None
        return needed_among(self.smallest / self.spread, len(self.compared), self.alpha)


def answer_of(groups: Sequence[Group], smallest: float | None = None) -> Answer | None:
    """The answer of some configurations of one task; None where none has a value, or where no direction is known.

    A configuration that ran once is no rival of those that ran more often: the lucky one of many single runs would
    lead. Where too few ran more than once to know how far repeats vary, all are ordered by what they have.

    Args:
        groups: with the objective, of one task.
        smallest: the smallest difference that matters; None takes a standard deviation between repeats.
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
        return Answer(tuple(scored), scored[0], None, (), (), tuple(scored[1:]), None, None, spread, None)
    alone = [group for group in scored if len(group.values) < FEWEST_REPEATS]
    found = best_of(
        [group.values for group in compared],
        greater_is_better=better,
        repeats=[group.repeats for group in compared],
    )
    assert found is not None
    leader, rivals = compared[0], compared[1:]
    told = {one.place for one in found.apart if _are_comparable(degrees, (leader, compared[one.place]))}
    matters = smallest or spread
    limits = bounds_of([value for group in scored for value in group.values], read_name(leader.metric).bounds)
    if rivals:
        interval = None if found.low is None or found.high is None else (found.low, found.high)
    else:
        own = leader.interval
        interval = (own.low, own.high) if own else None
    middle = mean_of([group.mean for group in compared if group.mean is not None])
    tells_nothing = found.corrected in (found.low, found.high)
    if found.corrected is not None and rivals and (found.corrected < middle) == better:
        tells_nothing = True  # worse than the mean of all: of level rivals the estimate says no more than its interval
    return Answer(
        groups=(*compared, *alone),
        leader=leader,
        found=found,
        apart=tuple(group for place, group in enumerate(compared) if place in told),
        level=tuple(group for place, group in enumerate(compared) if place and place not in told),
        alone=tuple(alone),
        interval=clip_interval(*interval, limits) if interval else None,
        corrected=None
        if found.corrected is None or tells_nothing
        else clip_interval(found.corrected, found.corrected, limits)[0],
        spread=spread,
        smallest=matters,
    )


def answers_of(of_tasks: Mapping[str, Sequence[Group]], smallest: float | None = None) -> dict[str, Answer]:
    """The answers of several tasks by the same key, those that there are; arguments as in `answer_of`.

    Of many tasks of noise some would have a winner by luck: what is told apart is corrected for all tasks that were
    asked (see `limit_over_tasks`), and so is the n that more repeats need.
    """
    found = {key: answer for key, groups in of_tasks.items() if (answer := answer_of(groups, smallest)) is not None}
    asked = {key: one.found for key, one in found.items() if one.found is not None and one.found.k > 1}
    if len(asked) < 2:
        return found
    ps = [min((rival.p for rival in one.apart), default=1.0) for one in asked.values()]
    alpha = ALPHA / _TAIL
    limit, of_another = limit_over_tasks(ps, alpha), limit_over_tasks(ps, alpha, another=True)
    return {key: _told_under(one, limit, of_another) if key in asked else one for key, one in found.items()}


def _told_under(answer: Answer, limit: float, of_another: float) -> Answer:
    """The answer without what is told apart by a p over the limit; where that is all, the limit is that of another."""
    assert answer.found is not None
    ps = {id(answer.groups[one.place]): one.p for one in answer.found.apart}
    apart = tuple(one for one in answer.apart if ps[id(one)] <= limit)
    told = set(map(id, apart))
    level = tuple(one for one in answer.compared[1:] if id(one) not in told)
    return replace(answer, apart=apart, level=level, alpha=limit if apart else of_another)


def _are_comparable(degrees: int, these: Sequence[Group]) -> bool:
    """Whether two of these configurations have three runs, or the spread of all is known from enough.

    Of two runs each, where hardly another one was repeated, one run that is the other one rounded would decide.
    """
    often = sum(len(group.values) >= FEWEST_RUNS for group in these)
    return len(these) > 1 and (often > 1 or degrees >= _FEWEST_DEGREES)


def _degrees(groups: Sequence[Group]) -> int:
    """Of the spread between repeats."""
    return sum(len(group.values) - 1 for group in groups)


def _rank(group: Group, *, better: bool) -> float:
    assert group.mean is not None
    return -group.mean if better else group.mean


def _pooled_spread(groups: Sequence[Group]) -> float | None:
    """The standard deviation between repeats, over all configurations; None where it is not more than rounding."""
    repeated = [np.asarray(group.values) for group in groups if len(group.values) > 1]
    degrees = sum(len(values) - 1 for values in repeated)
    if not degrees:
        return None
    unit = unit_of(np.concatenate(repeated))
    repeated = [values / unit for values in repeated]
    spread = math.sqrt(sum(float(((values - values.mean()) ** 2).sum()) for values in repeated) / degrees)
    largest = max(float(np.abs(values).max()) for values in repeated)
    return unit * spread if spread > 1e-12 * largest else None
