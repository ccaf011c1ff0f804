"""Every two levels of a factor, compared over contexts in which all other factors are the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.analysis.contrast_tests import tests_of
from qualia_lab.analysis.moments import joined, rows_by_size
from qualia_lab.analysis.problem_factors import problem_factors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from qualia_lab.analysis.contrast_tests import Tests
    from qualia_lab.analysis.groups import Group
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.paired_factor import Flags
    from qualia_lab.study.one_factor import Level, OneFactor

    Places = NDArray[np.intp]

MOST_LEVELS = 8  # levels of a factor that are compared, most contexts first; more come from a search

Pair = tuple["Group", "Group"]  # the configurations of level A and level B in one context


class Cells:
    """The configurations of a factor's levels in each context, and the contexts with each level of another factor.

    Attributes:
        factor: the factor.
        is_problem: whether it names the problem, such as a data set, so that no level is better than another.
        greater_is_better: the direction of the metric; None where it is unknown.
        levels: the levels that are compared.
        first, second: the places of the two levels of every pair, shape (pairs,).
        means: the mean of each level in each context, NaN without a value, shape (levels, contexts).
        repeats: the numbers of `_repeats_of` for the same, shape (levels, contexts, 4).
    """

    def __init__(
        self,
        factor: OneFactor,
        groups: Sequence[Group | None],
        numbers: Numbers,
        *,
        is_problem: bool,
        greater_is_better: bool | None,
    ) -> None:
        """Take the numbers of each configuration; groups and numbers have one more row, for a missing configuration."""
        self.factor = factor
        self.is_problem = is_problem
        self.greater_is_better = greater_is_better
        self.levels = factor.levels[:MOST_LEVELS]
        self.first, self.second = np.triu_indices(len(self.levels), 1)
        self._groups = groups
        found = numbers[factor.places[:MOST_LEVELS]]
        self.means, self.repeats = found[..., 0], found[..., 1:]

    @property
    def others(self) -> tuple[str, ...]:
        """The other factors."""
        return tuple(self.factor.others)

    def levels_of(self, other: str) -> list[Level]:
        """The levels of another factor that are compared, those with the most contexts first."""
        texts = self.factor.others[other].texts
        return [texts[code] for code in self._codes_of(other)]

    def _codes_of(self, other: str) -> list[int]:
        codes, first, contexts = np.unique(self.factor.others[other].codes, return_index=True, return_counts=True)
        most: list[int] = codes[np.lexsort((first, -contexts))][:MOST_LEVELS].tolist()
        return most

    def pairs(self, one: int, other: int, among: Flags) -> Pairs:
        """The configurations of two levels in these contexts, where both have a value."""
        return Pairs(self, one, other, among)

    def places_of(self, one: int, other: int, among: Flags) -> Places:
        """The places of two levels in these contexts, where both have a value; shape (2, contexts)."""
        have_both = among & ~np.isnan(self.means[one] - self.means[other])
        places: Places = self.factor.places[[one, other]][:, have_both]
        return places

    def groups_at(self, places: Places) -> list[Pair]:
        """The configurations at the places that `places_of` returns."""
        groups = [(self._groups[a], self._groups[b]) for a, b in zip(*places.tolist(), strict=True)]
        return [(a, b) for a, b in groups if a and b]

    @cached_property
    def gains(self) -> Numbers:
        """By how much the first level of each pair is better, NaN where one has no value; shape (pairs, contexts)."""
        better, worse = (self.first, self.second) if self.greater_is_better else (self.second, self.first)
        gains: Numbers = self.means[better] - self.means[worse]
        return gains

    @cached_property
    def largest(self) -> Numbers:
        """The larger absolute mean of both levels, of the same shape."""
        largest: Numbers = np.maximum(np.abs(self.means[self.first]), np.abs(self.means[self.second]))
        return largest

    @cached_property
    def tests(self) -> Tests:
        """The tests of every two levels that two or more contexts have, over all contexts."""
        return tests_of(self, np.ones((1, self.means.shape[1]), np.bool_), fewest=2)

    def tests_at(self, other: str) -> Tests:
        """The tests of every two levels at each of `levels_of` another factor."""
        codes = np.array(self._codes_of(other), np.intp)
        return tests_of(self, self.factor.others[other].codes == codes[:, None], fewest=1)


def cells_of(sets: Sequence[OneFactor], groups: Sequence[Group]) -> tuple[Cells, ...]:
    """The cells of each factor of a task.

    Args:
        sets: the sets of configurations of the task that differ in one factor only, see `study.one_factor`.
        groups: the configurations of the task with the objective.

    Returns:
        The cells, in the order of the sets.
    """
    if not sets:
        return ()
    known = [group for group in groups if group.values]
    row_of = {group.run_ids[0]: row for row, group in enumerate(known)}
    rows = [row_of.get(configuration.run_ids[0], -1) for configuration in sets[0].configurations]
    rows.append(-1)  # a missing configuration
    own = np.array([known_mean(group) for group in known])
    numbers = np.vstack([np.column_stack([own, _repeats_of(known)]), np.full(5, math.nan)])[rows]
    of_rows = [*known, None]
    in_order = [of_rows[row] for row in rows]
    problems = problem_factors(groups)
    better = known[0].greater_is_better if known else None
    return tuple(
        Cells(one, in_order, numbers, is_problem=not problems.isdisjoint(one.names), greater_is_better=better)
        for one in sets
    )


class Pairs(Sequence[Pair]):
    """The configurations of two levels in the contexts that have both; listed when they are first looked at."""

    def __init__(self, cells: Cells, one: int, other: int, among: Flags) -> None:
        self._cells, self._one, self._other, self._among = cells, one, other, among

    @cached_property
    def _places(self) -> Places:
        return self._cells.places_of(self._one, self._other, self._among)

    @cached_property
    def _pairs(self) -> tuple[Pair, ...]:
        return tuple(self._cells.groups_at(self._places))

    def __len__(self) -> int:
        return len(self._places[0])

    def __getitem__(self, place: Any) -> Any:
        return self._pairs[place]

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._pairs)


def _repeats_of(groups: Sequence[Group]) -> Numbers:
    """For each group, the number of its values, their scale, and the largest and the sum of squared deviations in it.

    The scale is a power of two near the largest absolute value, so that squares stay within the range of doubles; that
    of values that are all zero is 0.

    Args:
        groups: groups with values.

    Returns:
        An array of shape (groups, 4).
    """
    all_values, counts = joined([group.values for group in groups])
    repeats = np.empty((len(groups), 4))
    for places, values in rows_by_size(all_values, counts):
        largest = np.abs(values).max(axis=1)
        scale = np.ldexp(1.0, np.maximum(-1000, np.frexp(largest)[1] - 1))
        scaled = values / scale[:, None]
        squares = ((scaled - scaled.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        columns = (counts[places], np.where(largest > 0, scale, 0.0), np.abs(scaled).max(axis=1), squares)
        repeats[places] = np.column_stack(columns)
    return repeats


def known_mean(group: Group) -> float:
    """The mean of a configuration that has values."""
    assert group.mean is not None
    return group.mean
