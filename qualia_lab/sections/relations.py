"""How the primary metric goes with each param that varies."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_objective, no_second_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

FEWEST_LINES = 3  # runs; two are told apart by a table

_HEADING = """\
## Params and the primary metric

The latest value of the primary metric over the values of each param in `PARAMS`."""

_PARALLEL = """\
Each run as a line through its params to the primary metric."""

_TABLE = """\
The rank correlation (Spearman) of each numeric factor with the primary metric, over so many configurations as `n` says.
It says nothing about cause."""


def _why_not(brief: Brief) -> str | None:
    none_drawn = None if brief.drawn_params else "no param or tag that is more than a label has two values"
    return no_second_run(brief) or no_objective(brief) or none_drawn


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    draw = """\
for param in PARAMS:
    display(runs.plot.param(param))"""
    cells = [markdown("relations:heading", _HEADING), code("relations:chart", draw)]
    apart = [name for name in brief.drawn_params if name not in brief.study.seeds]
    if len(apart) > 1 and brief.inventory.run_count >= FEWEST_LINES:
        cells += [markdown("relations:parallel:heading", _PARALLEL)]
        cells += [code("relations:parallel", "runs.plot.parallel(params=PARAMS)")]
    if any(one.numeric and one.role == "factor" for one in brief.study.factors):
        cells += [markdown("relations:table", _TABLE), code("relations", "runs.relations.correlations()")]
    return tuple(cells)


SECTION = Section("relations", "Params and the primary metric", _cells, _why_not)
