"""What one factor does with the rest held: levels compared over contexts, and whether it depends on another factor."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.paired_factor import FEWEST, PairedComparison, compare_over_contexts, count_contexts
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.groups import Group
    from qualia_lab.study.one_factor import Level, OneFactor

ALPHA = 0.01  # how often any effect of a store is called clear where nothing differs
MOST_LEVELS = 8  # of a factor, those of most contexts; what has more is a search, and no comparison
_FEWEST_DEGREES = 3  # of the spread between repeats, from which on it decides
_OTHER_SCALES = 3.0  # how many times larger the level of one context is than that of another
_ONE_WAY = 0.8  # of the contexts have to agree, or the mean over them misleads

Pair = tuple["Group", "Group"]  # of level A and of level B, in one context


@dataclass(frozen=True)
class Effect:
    """Level `better` of a factor against level `worse`, over contexts in which all other factors are the same.

    gain: by how much it is better on average.  low, high: of the gain at 95 %; None where nothing tells.
    wins: the contexts in which it is better.  p: of the test that decides, for itself alone.
    """

    factor: OneFactor
    better: Level
    worse: Level
    pairs: tuple[Pair, ...]
    gain: float
    low: float | None
    high: float | None
    wins: int
    p: float

    @property
    def n(self) -> int:
        """In how many contexts both levels are."""
        return len(self.pairs)


@dataclass(frozen=True)
class Crossing:
    """Two effects of a factor that go opposite ways: which level is better depends on the level of another factor.

    other: that factor.  first, second: its levels, each with the effect there.
    """

    other: str
    first: tuple[Level, Effect]
    second: tuple[Level, Effect]

    @property
    def p(self) -> float:
        """The larger of the two, since both have to hold (Berger 1982)."""
        return max(self.first[1].p, self.second[1].p)


def asked_effects(sets: Sequence[OneFactor], groups: Sequence[Group]) -> list[Effect]:
    """Every two levels of a factor of a task that can be compared with the rest held, clear or not.

    Each pair of levels is compared over the contexts that have both: by the contexts where there are enough (see
    paired_factor), else by the spread of repeats, where the same level is better in every context. Of factors that say
    what was tried on, such as a data set, no level is better than another.

    Args:
        sets: those of the task that differ in one factor, see study.one_factor.
        groups: its configurations with the objective.
    """
    known = _by_first_run(groups)
    problems = problem_factors(groups)
    return [effect for one in sets if problems.isdisjoint(one.names) for effect in _effects(one, known)]


def clear_effects(of_tasks: Mapping[str, Sequence[Effect]], alpha: float) -> dict[str, list[Effect]]:
    """Of each task the best level of each factor against those that it is clearly better than, the clearest first.

    The p is corrected for all factors and pairs of levels that were asked in a task (Bonferroni), and for the tasks
    (see `limit_over_tasks`).

    Args:
        of_tasks: what `asked_effects` gives, by task.
        alpha: how often anything is called clear where nothing differs.
    """
    ps = [
        min((one.p * len(asked) for one in asked if _is_one_way(one)), default=1.0)
        for asked in of_tasks.values()
        if asked
    ]
    limit = limit_over_tasks(ps, alpha)
    return {key: _clear(asked, limit) for key, asked in of_tasks.items()}


def _is_one_way(effect: Effect) -> bool:
    return effect.wins >= _ONE_WAY * effect.n


def _clear(asked: Sequence[Effect], alpha: float) -> list[Effect]:
    clear = [one for one in asked if one.p * len(asked) < alpha and _is_one_way(one)]
    best: dict[str, Level] = {}
    for factor in {one.factor.factor for one in clear}:
        wins: dict[Level, int] = defaultdict(int)
        for one in clear:
            if one.factor.factor == factor:
                wins[one.better] += 1
                wins[one.worse] -= 1
        best[factor] = max(wins, key=lambda level: wins[level])
    leading = [one for one in clear if one.better == best[one.factor.factor]]
    return sorted(leading, key=lambda one: (one.p, one.factor.factor, str(one.worse)))


def testable_factors(sets: Sequence[OneFactor], groups: Sequence[Group]) -> set[str]:
    """The factors of which two levels can be compared at all. Arguments as in `asked_effects`."""
    known = _by_first_run(groups)
    return {one.factor for one in sets if next(_effects(one, known), None) is not None}


@dataclass(frozen=True)
class AskedCrossings:
    """How often it was asked whether two factors cross, and where they go opposite ways, clear or not."""

    asked: int
    opposite: tuple[Crossing, ...]


def asked_crossings(sets: Sequence[OneFactor], groups: Sequence[Group]) -> AskedCrossings:
    """The pairs of factors of a task that may cross; arguments as in `asked_effects`.

    A qualitative interaction (Gail and Simon 1985): an effect at one level of the other factor, and the opposite one
    at another, each beyond the spread of repeats or over enough contexts.
    """
    found: list[Crossing] = []
    known = _by_first_run(groups)
    asked = 0
    problems = problem_factors(groups)
    for one in sets:
        if not problems.isdisjoint(one.names):
            continue
        others = dict.fromkeys(name for context in one.contexts for name, _ in context.rest)
        for other in others:
            at = {level: _effects(one, known, where=(other, level)) for level in _levels_of(one, other)}
            ways = {
                level: {frozenset((effect.better, effect.worse)): effect for effect in effects}
                for level, effects in at.items()
            }
            for first, second in combinations(ways, 2):
                for pair in ways[first].keys() & ways[second].keys():
                    asked += 1
                    both = ways[first][pair], ways[second][pair]
                    if both[0].better != both[1].better:
                        found.append(Crossing(other, (first, both[0]), (second, both[1])))
    return AskedCrossings(asked, tuple(found))


def clear_crossings(of_tasks: Mapping[str, AskedCrossings], alpha: float) -> dict[str, list[Crossing]]:
    """Of each task the pairs of factors of which one decides which level of the other is better, the clearest first.

    Corrected for all that were asked in a task (Bonferroni), and for the tasks (see `limit_over_tasks`).

    Args:
        of_tasks: what `asked_crossings` gives, by task.
        alpha: how often anything is called clear where nothing differs.
    """
    ps = [
        min((crossing.p * one.asked for crossing in one.opposite), default=1.0)
        for one in of_tasks.values()
        if one.asked
    ]
    limit = limit_over_tasks(ps, alpha)
    clear = {}
    for key, one in of_tasks.items():
        best: dict[frozenset[str], Crossing] = {}
        for crossing in sorted(one.opposite, key=lambda crossing: crossing.p):
            if crossing.p * one.asked < limit:
                best.setdefault(frozenset((crossing.first[1].factor.factor, crossing.other)), crossing)
        clear[key] = list(best.values())
    return clear


def _levels_of(one: OneFactor, other: str) -> list[Level]:
    """The levels of another factor, those of most contexts first, as many as are looked at."""
    often: dict[Level, int] = defaultdict(int)
    for context in one.contexts:
        for name, level in context.rest:
            if name == other:
                often[level] += 1
    return sorted(often, key=lambda level: -often[level])[:MOST_LEVELS]


def _by_first_run(groups: Sequence[Group]) -> dict[str, Group]:
    return {group.run_ids[0]: group for group in groups if group.values}


def _effects(one: OneFactor, known: Mapping[str, Group], where: tuple[str, Level] | None = None) -> Iterator[Effect]:
    """Every two levels of a factor that can be tested, over all contexts or those with a level of another factor.

    known: the groups by their first run.
    """
    contexts = [context for context in one.contexts if where is None or where in context.rest]
    cells = [
        {level: known[of.run_ids[0]] for level, of in context.configurations.items() if of.run_ids[0] in known}
        for context in contexts
    ]
    for a, b in combinations(one.levels[:MOST_LEVELS], 2):
        pairs = tuple((cell[a], cell[b]) for cell in cells if a in cell and b in cell)
        effect = _effect(one, a, b, pairs, fewest=1 if where else 2) if pairs else None
        if effect is not None:
            yield effect


def _effect(one: OneFactor, a: Level, b: Level, pairs: tuple[Pair, ...], *, fewest: int) -> Effect | None:
    """Level a against level b; None where there is too little to test."""
    if len(pairs) < fewest or pairs[0][0].greater_is_better is None:
        return None
    sign = 1.0 if pairs[0][0].greater_is_better else -1.0
    means = [(sign * known_mean(first), sign * known_mean(second)) for first, second in pairs]
    low: float | None
    high: float | None
    if len(pairs) < FEWEST:
        difference, above, below = count_contexts(*np.array(means, dtype=np.float64).T)
        by_repeats = _by_repeats(difference, pairs, agree=max(above, below) == len(pairs))
        if by_repeats is None:
            return None
        p, low, high = by_repeats
    else:
        found = compare_over_contexts(means)
        assert found is not None
        difference, above, below = found.difference, found.above, found.below
        p, low, high = _by_contexts(found, pairs)
    if difference >= 0:
        return Effect(one, a, b, pairs, difference, low, high, above, p)
    turned = tuple((second, first) for first, second in pairs)
    if low is not None and high is not None:
        low, high = -high, -low
    return Effect(one, b, a, turned, -difference, low, high, below, p)


def _by_contexts(found: PairedComparison, pairs: Sequence[Pair]) -> tuple[float, float | None, float | None]:
    """The p and the 95 % interval over contexts that are enough to decide."""
    p, low, high = found.p, found.low, found.high
    if found.t_p is not None and max(found.above, found.below) == found.n:
        p = found.t_p  # few contexts that all agree: their signs alone could not show it
        by_ratio = _ratio_p(pairs)
        if by_ratio is not None:
            p = min(1.0, 2 * min(p, by_ratio))
            low, high = (low, high) if low is not None and high is not None and low * high > 0 else (None, None)
    elif (found.above - found.below) * found.difference < 0:  # the contexts say one thing, and their mean the other
        p = 1.0
    return p, low, high


def _ratio_p(pairs: Sequence[Pair]) -> float | None:
    """The p of the ratios of means, where contexts are on other scales, as data sets with other units; else None.

    On such scales a gain is a share of the level, and the largest context alone would make up the mean difference.
    """
    means = [(known_mean(first), known_mean(second)) for first, second in pairs]
    levels = [first + second for first, second in means]
    if min(min(one) for one in means) <= 0 or max(levels) < _OTHER_SCALES * min(levels):
        return None
    found = compare_over_contexts([(math.log(first), math.log(second)) for first, second in means])
    return None if found is None else found.t_p


def _by_repeats(difference: float, pairs: Sequence[Pair], *, agree: bool) -> tuple[float, float, float] | None:
    """The p and the 95 % interval of the mean difference over just these contexts, by the pooled spread of repeats.

    Student's t (1908) for a contrast of cell means. Where a level is better in one context and worse in another, the
    mean says little: then p is 1. None where repeats say too little of their spread.

    Args:
        difference: of the means.
        pairs: the two levels in each context.
        agree: whether one level is better in every context.
    """
    from scipy.special import stdtr

    cells = [group for pair in pairs for group in pair]
    degrees = sum(len(group.values) - 1 for group in cells)
    if degrees < _FEWEST_DEGREES:
        return None
    unit = max(group.squares[0] for group in cells)
    of_cells = [(own / unit, *rest) for own, *rest in (group.squares for group in cells)]
    variance = sum(own * own * squares for own, _, squares in of_cells) / degrees
    error = math.sqrt(variance * sum(1 / len(group.values) for group in cells)) / len(pairs)
    if error <= 1e-12 * max(own * largest for own, largest, _ in of_cells):
        return None
    reach = unit * t_quantile(degrees) * error
    p = float(2 * stdtr(degrees, -abs(difference / unit) / error)) if agree else 1.0
    return p, difference - reach, difference + reach


def known_mean(group: Group) -> float:
    """The mean of a configuration that has values."""
    assert group.mean is not None
    return group.mean
