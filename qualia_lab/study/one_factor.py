"""Sets of configurations that differ in one factor only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from qualia_lab.study.study import Configuration, Study, Task

Level = str | None


@dataclass(frozen=True)
class Context:
    """The values of the other factors (`rest`), and by level the configurations that have them."""

    rest: tuple[tuple[str, str | None], ...]
    configurations: Mapping[Level, Configuration]


@dataclass(frozen=True)
class OneFactor:
    """A factor and the contexts in which two or more of its levels can be compared.

    Attributes:
        factor: the name of the factor.
        tied: the factors that always change with it.
        levels: sorted by the number of contexts that have them, then by their first run; None for a missing value.
        contexts: the contexts, in the order of their first run.
    """

    factor: str
    tied: tuple[str, ...]
    levels: tuple[Level, ...]
    contexts: tuple[Context, ...]

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
    configurations = list(study.in_task(task))
    tied: dict[str, list[str]] = defaultdict(list)
    for factor in study.factors:
        if factor.tied_to is not None:
            tied[factor.tied_to].append(factor.name)
    names = [name for name, _ in configurations[0].params] if configurations else []
    values = [tuple(_value(text) for _, text in one.params) for one in configurations]
    sets = []
    for place, name in enumerate(names):
        spelling: dict[Hashable, Level] = {}
        by_rest: dict[tuple[Hashable, ...], dict[Level, Configuration]] = defaultdict(dict)
        for one, values_of_one in zip(configurations, values, strict=True):
            level = spelling.setdefault(values_of_one[place], one.params[place][1])
            by_rest[values_of_one[:place] + values_of_one[place + 1 :]].setdefault(level, one)
        contexts = tuple(
            Context(tuple(pair for pair in next(iter(levels.values())).params if pair[0] != name), levels)
            for levels in by_rest.values()
            if len(levels) > 1
        )
        if contexts:
            contexts_with: dict[Level, int] = defaultdict(int)
            for context in contexts:
                for level in context.configurations:
                    contexts_with[level] += 1
            levels = tuple(sorted(contexts_with, key=lambda level: -contexts_with[level]))
            sets.append(OneFactor(name, tuple(tied[name]), levels, contexts))
    return sets


def _value(text: Level) -> Hashable:
    return None if text is None else canonical(text)
