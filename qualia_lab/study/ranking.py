"""The order in which metrics are shown: the objective first, what measures the machine last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qualia_lab.inventory import Inventory, MetricCount
    from qualia_lab.study.study import Study

_ROLES = ("objective", "training", "part", "cost", "spread", "count", "machine")
_SPLITS = ("validation", "test", "", "fold", "training")


def rank_metrics(study: Study, inventory: Inventory) -> list[MetricCount]:
    """The metrics of the model, those to look at first on top.

    The objectives of the tasks, then metrics with a direction, by role, by how many runs have them, held-out data
    before training, those with a curve before single values, then by name.
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

    return sorted(inventory.model_metrics, key=rank)
