"""Section: the configurations to choose from, best first."""

from __future__ import annotations

from qualia_lab.escaping import for_markdown
from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_HEADING = """\
## Candidates

Configurations (runs with equal factors) by the mean of {metric}, {order}: the number of runs, the 95 % interval, the
means of the other metrics, the duration of a run, and whether a model was logged. The mean of a single run has no
interval: it may be luck."""

_SEVERAL = "\n\nEach experiment is a separate task: candidates of different experiments are not compared."


def _skip_reason(context: SectionContext) -> str | None:
    if context.inventory.run_count < 2:
        return "a choice needs two runs"
    return no_objective(context)


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    order = "best first" if context.directions_known else "highest first if the direction is not known"
    metric = for_markdown(context.objective.key) if context.objective else "the primary metric of their experiment"
    heading = _HEADING.format(metric=metric, order=order) + (_SEVERAL if len(context.study.tasks) > 1 else "")
    return (
        markdown("candidates:heading", heading),
        code("candidates", "runs.candidates(METRICS[:4])"),
        code("candidates:chart", "runs.plot.groups()"),
    )


SECTION = Section("candidates", "Candidates", _cells, _skip_reason)
