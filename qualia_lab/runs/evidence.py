"""What the rules of findings look at, read from the store: histories once for all rules, batch by batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.evidence import Evidence, collect_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.runs.loaded import Loaded

_MS_PER_S = 1000


def take_evidence(loaded: Loaded, chosen: Mapping[str, Any], keys: tuple[str, ...] | None) -> Evidence:
    """The evidence on these runs.

    Args:
        loaded: the runs.
        chosen: thresholds by rule, as `chosen_thresholds` makes them.
        keys: the metrics whose histories are read; None for all of the model.
    """
    limits = {
        name: getattr(chosen[rule], name)
        for rule, name in (("diverged", "growth"), ("spikes", "deviations"))
        if rule in chosen
    }
    now = int(time.time() * _MS_PER_S)
    read = loaded.store.read_metric_history
    return collect_evidence(loaded.tables, loaded.study, loaded.labels, read, now=now, keys=keys, limits=limits)
