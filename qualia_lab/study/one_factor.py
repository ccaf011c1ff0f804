"""Sets of configurations that differ in one factor, with the rest held."""

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
    """What is held, as the settings of the other factors, and the configurations that differ, by level."""

    rest: tuple[tuple[str, str | None], ...]
    configurations: Mapping[Level, Configuration]


@dataclass(frozen=True)
class OneFactor:
    """A factor, the others that always change with it, its levels, and where two of them or more can be compared.

    levels: by how many contexts have them, then in the order of their first run; None where it is missing.
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
    """For each factor that sets configurations of a task apart, the contexts where only it differs, if there are any.

    Takes as long as the configurations have factors: no two configurations are compared with each other.
    """
    told = list(study.in_task(task))
    tied: dict[str, list[str]] = defaultdict(list)
    for factor in study.factors:
        if factor.tied_to is not None:
            tied[factor.tied_to].append(factor.name)
    names = [name for name, _ in told[0].params] if told else []
    values = [tuple(_value(text) for _, text in one.params) for one in told]
    found = []
    for place, name in enumerate(names):
        spelling: dict[Hashable, Level] = {}
        by_rest: dict[tuple[Hashable, ...], dict[Level, Configuration]] = defaultdict(dict)
        for one, of_one in zip(told, values, strict=True):
            level = spelling.setdefault(of_one[place], one.params[place][1])
            by_rest[of_one[:place] + of_one[place + 1 :]].setdefault(level, one)
        contexts = tuple(
            Context(tuple(pair for pair in next(iter(levels.values())).params if pair[0] != name), levels)
            for levels in by_rest.values()
            if len(levels) > 1
        )
        if contexts:
            often: dict[Level, int] = defaultdict(int)
            for context in contexts:
                for level in context.configurations:
                    often[level] += 1
            levels = tuple(sorted(often, key=lambda level: -often[level]))
            found.append(OneFactor(name, tuple(tied[name]), levels, contexts))
    return found


def _value(text: Level) -> Hashable:
    return None if text is None else canonical(text)
