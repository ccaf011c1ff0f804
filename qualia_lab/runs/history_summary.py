"""A table of the statistics of one metric's histories, as the rules of findings use them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.still_improving import gain_at_the_end
from qualia_lab.runs.evidence import take_evidence

if TYPE_CHECKING:
    import pandas as pd

    from qualia_lab.runs.loaded import Loaded


def history_summary(loaded: Loaded, metric: str) -> pd.DataFrame:
    """A row per run that has the metric; see `Runs.history_summary`."""
    import pandas as pd

    loaded.check_metrics([metric])
    evidence = take_evidence(loaded, {}, (metric,))
    known = loaded.better(metric) is not None
    gains = gain_at_the_end(evidence, metric) if known else {}
    experiments = {run_id: task.experiment for task in loaded.tasks() for run_id in task.run_ids}
    rows = [
        {
            "run": loaded.labels[one.run_id],
            "run_id": one.run_id,
            "experiment": experiments[one.run_id],
            "points": one.points,
            "not_finite": one.nan + one.infinite,
            "odd_step": one.odd_step if one.nan + one.infinite else None,
            "first": one.first,
            "first_step": one.begin_step,
            "last": one.last,
            "last_step": one.last_step if math.isfinite(one.last) else None,
            "best": one.best if known else None,
            "best_step": one.best_step if known and math.isfinite(one.best) else None,
            "reached_step": one.reached_step if known and math.isfinite(one.best) else None,
            "start": one.start,
            "tail": one.tail,
            "bad_step": one.bad_step if one.bad_points else None,
            "noise": one.noise,
            "spikes": one.spikes,
            "spike_step": one.spike_step if one.spikes else None,
            "spike_before": one.spike_before if one.spikes else None,
            "spike_value": one.spike_value if one.spikes else None,
            "spike_size": one.spike_size if one.spikes else None,
            "gain_at_the_end": gains.get(one.run_id),
        }
        for one in evidence.histories(metric)
    ]
    return pd.DataFrame(rows).convert_dtypes().set_index("run_id") if rows else pd.DataFrame()
