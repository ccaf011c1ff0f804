"""The configurations to choose from, best first."""

from __future__ import annotations

from qualia_lab.escaping import for_markdown
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Candidates

Configurations, runs alike but for their seed, by the mean of {metric}, {order}: how many runs it rests on, its 95 %
interval, the means of the other metrics, how long a run takes, and whether there is a model. A mean of one run has no
interval: it may be luck."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a choice needs two runs"
    return None if brief.selection.primary_metric is not None else "no run has a metric"


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    order = "best first" if brief.selection.greater_is_better is not None else "highest first"
    heading = _HEADING.format(metric=for_markdown(brief.selection.primary_metric or ""), order=order)
    return (
        markdown("candidates:heading", heading),
        code("candidates", "runs.candidates(METRICS[:4], PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
        code("candidates:chart", "runs.plot_groups(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
    )


SECTION = Section("candidates", "Candidates", _cells, _why_not)
