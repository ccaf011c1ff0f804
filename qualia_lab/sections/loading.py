"""Section: the cell that reads all selected runs."""

from __future__ import annotations

from qualia_lab.sections.configuration import optional_parameters
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_SOURCE = """\
runs = load_runs(
    TRACKING_URI, RUN_IDS, primary_metric=PRIMARY_METRIC, greater_is_better=GREATER_IS_BETTER, seeds=SEEDS,
    statuses=STATUSES, baseline=BASELINE, factors=FACTORS, labels=LABELS, pool=POOL,
    chosen_by=CHOSEN_BY, skip_unknown=True,{more}
)
# If you set other RUN_IDS: names that none of these runs has are skipped, and listed below.
METRICS, CURVES, PARAMS = runs.known_metrics(METRICS), runs.known_metrics(CURVES), runs.known_params(PARAMS)
runs"""


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    arguments = ", ".join(f"{name.lower()}={name}" for name in optional_parameters(context))
    source = _SOURCE.replace("{more}", f"\n    {arguments}," if arguments else "")
    return (markdown("loading:heading", "## Data loading"), code("loading", source))


SECTION = Section("loading", "Data loading", _cells)
