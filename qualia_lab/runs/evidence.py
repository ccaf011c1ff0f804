"""What the rules of findings look at, read from the store: histories once for all rules, batch by batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.evidence import Evidence, model_keys
from qualia_lab.analysis.findings.series import summarise

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
    tables, store = loaded.tables, loaded.store
    known = model_keys(tables)
    directions = {key: loaded.better(key) for key in known}
    settings: dict[str, float] = {}
    for rule, name in (("diverged", "growth"), ("spikes", "deviations")):
        if rule in chosen:
            settings[name] = getattr(chosen[rule], name)
    wanted = list(known if keys is None else (key for key in keys if key in known))
    batches = store.read_metric_history(tables.run_ids, wanted) if wanted else iter(())
    # Of a metric that is not known to be better either way, rules look at values that are not finite alone.
    only_odd = [key for key in known if directions[key] is None] if keys is None else []
    series = summarise(batches, tables.run_ids, known, directions, only_odd=only_odd, **settings)
    now = int(time.time() * _MS_PER_S)
    return Evidence(tables, loaded.study, loaded.labels, series, store.read_metric_history, now)
