"""Section: several metrics at once: which are in conflict, and the Pareto set of the runs."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_second_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_HEADING = """\
## Several metrics at once

Pairs of conflicting metrics come first: runs that are better in one tend to be worse in the other."""

_PARETO = """\
The primary metric against the one that it conflicts with most, and the runs that no other run beats in both (the Pareto
set). `runs.relations.pareto([...])` takes any metrics."""


def _skip_reason(context: SectionContext) -> str | None:
    known = [key for key in context.drawn_metrics if context.study.greater_is_better(key) is not None]
    few = None if len(known) > 1 else "it needs two metrics with a known direction"
    return no_second_run(context) or few


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    cells = [markdown("trade_offs:heading", _HEADING), code("trade_offs", "runs.relations.trade_offs(METRICS)")]
    if context.directions_known:
        cells += [
            markdown("trade_offs:pareto:heading", _PARETO),
            code("trade_offs:chart", "runs.plot.pareto()"),
            code("trade_offs:pareto", "runs.relations.pareto()"),
        ]
    return tuple(cells)


SECTION = Section("trade_offs", "Several metrics at once", _cells, _skip_reason)
