"""Which few of many params tell configurations apart, so that each has a name that fits beside a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.groups import Configuration


def short_labels(configurations: Sequence[Configuration]) -> list[str]:
    """A label per configuration by few params that together differ between any two: `lr=0.1, depth=3`.

    One param after the other is taken that splits the most configurations that are still alike, the first by name of
    equals; where a configuration lacks it, it is not in its label. Labels that would be the same are whole ones.
    """
    settings = [dict(one.params) for one in configurations]
    keys = [key for key, _ in configurations[0].params] if configurations else []
    chosen: list[str] = []
    parts = 1
    while keys and parts < len(settings):
        split = {key: len({tuple(one.get(name) for name in (*chosen, key)) for one in settings}) for key in keys}
        best = max(keys, key=lambda key: split[key])  # the first of equals
        if split[best] == parts:
            break
        parts = split[best]
        chosen.append(best)
        keys.remove(best)
    short = [", ".join(f"{key}={one[key]}" for key in chosen if one.get(key) is not None) for one in settings]
    return [
        label if label and short.count(label) == 1 else one.label
        for label, one in zip(short, configurations, strict=True)
    ]
