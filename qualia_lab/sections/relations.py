"""How the primary metric goes with each param that varies."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Params and the primary metric

One picture per param that varies. The table gives the rank correlation (Spearman) of each numeric param, with the
number of runs it rests on; it says nothing about cause."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.selection.primary_metric is None:
        return "no run has a metric"
    return None if brief.inventory.varying_params else "no param varies"


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    draw = """\
for param in PARAMS:
    display(runs.plot_param(param, PRIMARY_METRIC))"""
    return (
        markdown("relations:heading", _HEADING),
        code("relations:chart", draw),
        code("relations", "runs.relations(PRIMARY_METRIC)"),
    )


SECTION = Section("relations", "Params and the primary metric", _cells, _why_not)
