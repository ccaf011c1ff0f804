"""Sets of configurations that differ in one factor only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.study.study import Configuration, Study, Task

    Numbers = npt.NDArray[np.intp]

Level = str | None


@dataclass(frozen=True, eq=False)
class Levels:
    """The levels of a factor in some contexts or configurations.

    Attributes:
        texts: the levels; None for a missing value.
        codes: for each context or configuration, the place of its level in `texts`.
    """

    texts: Sequence[Level]
    codes: Numbers


@dataclass(frozen=True, eq=False)
class OneFactor:
    """A factor and the contexts in which two or more of its levels can be compared.

    A context is a combination of levels of the other factors. The contexts are in the order of their first run.

    Attributes:
        factor: the name of the factor.
        tied: the factors that always change with it.
        levels: sorted by the number of contexts that have them, then by their first run; None for a missing value.
        configurations: the configurations of the task.
        places: the place in `configurations` of each level in each context, -1 where a context lacks the level; shape
            (levels, contexts).
        others: the levels of each other factor in the contexts.
    """

    factor: str
    tied: tuple[str, ...]
    levels: tuple[Level, ...]
    configurations: Sequence[Configuration]
    places: Numbers
    others: Mapping[str, Levels]

    @property
    def names(self) -> tuple[str, ...]:
        """The factor and those that always change with it."""
        return (self.factor, *self.tied)


def one_factor_sets(study: Study, task: Task) -> list[OneFactor]:
    """For each factor of a task, the contexts in which only it differs, if there are any.

    The time is linear in configurations times factors; configurations are not compared pairwise.

    Args:
        study: the study.
        task: one of its tasks.
    """
    configurations = study.in_task(task)
    tied: dict[str, list[str]] = defaultdict(list)
    for factor in study.factors:
        if factor.tied_to is not None:
            tied[factor.tied_to].append(factor.name)
    columns = _columns(configurations)
    sets = []
    for name, levels in columns.items():
        others = {other: column for other, column in columns.items() if other != name}
        contexts, first = _contexts([column.codes for column in others.values()], len(configurations))
        places = np.full((len(levels.texts), len(first)), -1)
        # Of configurations with the same level in one context the first one is kept, because it comes last here.
        places[levels.codes[::-1], contexts[::-1]] = np.arange(len(configurations))[::-1]
        is_compared = (places >= 0).sum(axis=0) > 1
        if not is_compared.any():
            continue
        places, first = places[:, is_compared], first[is_compared]
        order = _most_frequent(places)
        sets.append(
            OneFactor(
                name,
                tuple(tied[name]),
                tuple(levels.texts[level] for level in order.tolist()),
                configurations,
                places[order],
                {other: Levels(column.texts, column.codes[first]) for other, column in others.items()},
            )
        )
    return sets


def _columns(configurations: Sequence[Configuration]) -> dict[str, Levels]:
    """The levels of each factor of the configurations; a value has one spelling in all of them."""
    columns = {}
    for pairs in zip(*(one.params for one in configurations), strict=True):
        code_of: dict[Level, int] = {}
        codes = [code_of.setdefault(text, len(code_of)) for _, text in pairs]
        columns[pairs[0][0]] = Levels(tuple(code_of), np.array(codes, np.intp))
    return columns


def _contexts(columns: Sequence[Numbers], rows: int) -> tuple[Numbers, Numbers]:
    """Number rows that are equal in all columns, in the order of their first row.

    Returns:
        The number of each row, and the first row with each number.
    """
    numbers = np.zeros(rows, np.intp)
    for column in columns:
        # Numbers from 0 without gaps stay small.
        numbers = np.unique(numbers * (column.max(initial=0) + 1) + column, return_inverse=True)[1].ravel()
    _, first, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[numbers.ravel()], first[order]


def _most_frequent(places: Numbers) -> Numbers:
    """The levels that contexts have, those of most contexts first, equally frequent ones by their first context."""
    has_level = places >= 0
    counts, first = has_level.sum(axis=1), has_level.argmax(axis=1)
    order = np.lexsort((places[np.arange(len(places)), first], first, -counts))
    most: Numbers = order[counts[order] > 0]
    return most
