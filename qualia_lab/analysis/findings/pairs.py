"""Metrics of training next to the same of held-out data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.study import Study


def metric_pairs(study: Study, keys: Collection[str]) -> list[tuple[str, str]]:
    """(of training, of held-out data) for metrics of these keys that measure the same on other data.

    A metric without a direction is in no pair. Of held-out metrics of validation and test each has its own pair.
    """
    pairs = set()
    for one in study.metrics:
        twin = study.metric.get(one.twin or "")
        if twin is None or one.key not in keys or twin.key not in keys:
            continue
        training, held_out = (one, twin) if one.role == "training" else (twin, one)
        way = study.greater_is_better(held_out.key)
        if training.role == "training" and way is not None and training.greater_is_better in (way, None):
            pairs.add((training.key, held_out.key))
    return sorted(pairs)
