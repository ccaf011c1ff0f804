"""The order in which metrics are shown: objectives first, system metrics last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.inventory import MetricCount
    from qualia_lab.study.study import Study

_ROLES = ("objective", "training", "part", "cost", "spread", "count", "machine")
_SPLITS = ("validation", "test", "", "fold", "training")


def rank_metrics(study: Study, metrics: Iterable[MetricCount]) -> list[MetricCount]:
    """Sort metrics of the model, the most important first.

    The order is: objectives of tasks, role, known direction, number of runs, held-out data before training, metrics
    with a history before single values, name.

    Args:
        study: the study.
        metrics: the metrics of the model, from the inventory of the same runs.
    """
    leading = {one.objective.key: place for place, one in reversed(list(enumerate(study.tasks))) if one.objective}

    def rank(count: MetricCount) -> tuple[object, ...]:
        metric = study.metric[count.key]
        return (
            leading.get(count.key, len(leading)),
            _ROLES.index(metric.role),
            metric.better is None,
            -count.runs,
            _SPLITS.index(metric.split),
            not count.stepped,
            count.key,
        )

    return sorted(metrics, key=rank)
