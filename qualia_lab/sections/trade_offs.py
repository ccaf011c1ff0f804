"""Several metrics at once: which pull apart, and which runs no other beats."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_second_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Several metrics at once

Pairs of metrics whose ranks pull apart come first: there, what is better in one tends to be worse in the other."""

_PARETO = """\
The primary metric against the one that it pulls apart from most, and the runs that no other run beats in both (the
Pareto set). `runs.relations.pareto([...])` takes any metrics that you choose by."""


def _why_not(brief: Brief) -> str | None:
    known = [key for key in brief.drawn_metrics if brief.study.greater_is_better(key) is not None]
    few = None if len(known) > 1 else "it needs two metrics of which it is known whether more is better"
    return no_second_run(brief) or few


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    cells = [markdown("trade_offs:heading", _HEADING), code("trade_offs", "runs.relations.trade_offs(METRICS)")]
    if brief.directed:
        cells += [
            markdown("trade_offs:pareto:heading", _PARETO),
            code("trade_offs:chart", "runs.plot.pareto()"),
            code("trade_offs:pareto", "runs.relations.pareto()"),
        ]
    return tuple(cells)


SECTION = Section("trade_offs", "Several metrics at once", _cells, _why_not)
