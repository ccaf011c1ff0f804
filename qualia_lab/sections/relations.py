"""How the primary metric goes with each param that varies."""

from __future__ import annotations

from qualia_lab.analysis.groups import is_seed_like
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

FEWEST_LINES = 3  # runs; two are told apart by a table

_HEADING = """\
## Params and the primary metric

The latest value of the primary metric over the values of each param in `PARAMS`."""

_PARALLEL = """\
Each run as a line through its params to the primary metric."""

_TABLE = """\
The rank correlation (Spearman) of each numeric param with the primary metric, and the number of runs it rests on. It
says nothing about cause."""


def _why_not(brief: Brief) -> str | None:
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.selection.primary_metric is None:
        return "no run has a metric"
    return None if brief.drawn_params else "no param has two values"


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    draw = """\
for param in PARAMS:
    display(runs.plot_param(param, PRIMARY_METRIC))"""
    cells = [markdown("relations:heading", _HEADING), code("relations:chart", draw)]
    apart = [key for key in brief.drawn_params if not is_seed_like(key)]
    if len(apart) > 1 and brief.inventory.run_count >= FEWEST_LINES:
        cells += [markdown("relations:parallel:heading", _PARALLEL)]
        cells += [code("relations:parallel", "runs.plot_parallel(PRIMARY_METRIC, PARAMS)")]
    if any(param.numeric and param.values > 1 for param in brief.inventory.params):
        cells += [markdown("relations:table", _TABLE), code("relations", "runs.relations(PRIMARY_METRIC)")]
    return tuple(cells)


SECTION = Section("relations", "Params and the primary metric", _cells, _why_not)
