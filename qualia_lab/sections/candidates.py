"""The configurations to choose from, best first."""

from __future__ import annotations

from qualia_lab.escaping import for_markdown
from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Candidates

Configurations, runs alike in every factor, by the mean of {metric}, {order}: how many runs it rests on, its 95 %
interval, the means of the other metrics, how long a run takes, and whether there is a model. A mean of one run has no
interval: it may be luck."""

_SEVERAL = "\n\nEach experiment is a task of its own: a candidate of one is no rival of one of another."


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a choice needs two runs"
    return no_objective(brief)


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    order = "best first" if brief.directed else "highest first where it is not known which way is better"
    metric = for_markdown(brief.objective.key) if brief.objective else "the metric that leads in their experiment"
    heading = _HEADING.format(metric=metric, order=order) + (_SEVERAL if len(brief.study.tasks) > 1 else "")
    return (
        markdown("candidates:heading", heading),
        code("candidates", "runs.candidates(METRICS[:4])"),
        code("candidates:chart", "runs.plot.groups()"),
    )


SECTION = Section("candidates", "Candidates", _cells, _why_not)
