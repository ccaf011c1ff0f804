"""All selected runs are read at once."""

from __future__ import annotations

from qualia_lab.sections.configuration import seldom_said
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_SOURCE = """\
runs = load_runs(
    TRACKING_URI, RUN_IDS, primary_metric=PRIMARY_METRIC, greater_is_better=GREATER_IS_BETTER, seeds=SEEDS,
    statuses=STATUSES, baseline=BASELINE, factors=FACTORS, labels=LABELS, pool=POOL,
    chosen_by=CHOSEN_BY, skip_unknown=True,{more}
)
# Where you set other RUN_IDS: what none of them has is passed over, and said below.
METRICS, CURVES, PARAMS = runs.known_metrics(METRICS), runs.known_metrics(CURVES), runs.known_params(PARAMS)
runs"""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    said = ", ".join(f"{name.lower()}={name}" for name in seldom_said(brief))
    source = _SOURCE.replace("{more}", f"\n    {said}," if said else "")
    return (markdown("loading:heading", "## Data loading"), code("loading", source))


SECTION = Section("loading", "Data loading", _cells)
