"""Training metrics paired with the same metrics on held-out data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.study import Study


def metric_pairs(study: Study, keys: Collection[str]) -> list[tuple[str, str]]:
    """Pair each training metric with the metrics that measure the same on held-out data.

    Metrics without a direction are in no pair. Metrics of validation and test data each have a pair of their own.

    Args:
        study: The metrics.
        keys: The metrics that may be in a pair.

    Returns:
        Sorted pairs of a training metric and a held-out metric.
    """
    pairs = set()
    for metric in study.metrics:
        twin = study.metric.get(metric.twin or "")
        if twin is None or metric.key not in keys or twin.key not in keys:
            continue
        training, held_out = (metric, twin) if metric.role == "training" else (twin, metric)
        greater_is_better = study.greater_is_better(held_out.key)
        if (
            training.role == "training"
            and greater_is_better is not None
            and training.greater_is_better in (greater_is_better, None)
        ):
            pairs.add((training.key, held_out.key))
    return sorted(pairs)
