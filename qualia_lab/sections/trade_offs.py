"""Several metrics at once: which pull apart, and which runs no other beats."""

from __future__ import annotations

from qualia_lab.analysis.direction import direction_of
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Several metrics at once

Pairs of metrics whose ranks pull apart come first: there, what is better in one tends to be worse in the other."""

_PARETO = """\
The primary metric against the one that it pulls apart from most, and the runs that no other run beats in both (the
Pareto set). `runs.pareto([...])` takes any metrics that you choose by."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    known = [key for key in brief.drawn_metrics if _directed(brief, key)]
    return None if len(known) > 1 else "it needs two metrics of which it is known whether more is better"


def _directed(brief: Brief, metric: str) -> bool:
    if metric == brief.selection.primary_metric:
        return brief.selection.greater_is_better is not None
    return direction_of(metric) is not None


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    cells = [markdown("trade_offs:heading", _HEADING), code("trade_offs", "runs.trade_offs(METRICS)")]
    if brief.selection.greater_is_better is not None:
        cells += [
            markdown("trade_offs:pareto:heading", _PARETO),
            code("trade_offs:chart", "runs.plot_pareto(PRIMARY_METRIC)"),
            code("trade_offs:pareto", "runs.pareto(PRIMARY_METRIC)"),
        ]
    return tuple(cells)


SECTION = Section("trade_offs", "Several metrics at once", _cells, _why_not)
