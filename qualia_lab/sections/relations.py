"""Section: the relation of the primary metric to each param that varies."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_objective, no_second_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

MIN_RUNS = 3  # runs; a table is enough for two

_HEADING = """\
## Params and the primary metric

The latest value of the primary metric over the values of each param in `PARAMS`, except those that only repeat
configurations."""

_PARALLEL = """\
Each run as a line through its params to the primary metric."""

_TABLE = """\
The rank correlation (Spearman) of each numeric factor with the primary metric, over `n` configurations. It does not
show a cause."""


def _skip_reason(context: SectionContext) -> str | None:
    none_drawn = None
    if not context.drawn_params:
        none_drawn = "no param or tag that is more than a label has two values"
    elif not _without_seeds(context):
        none_drawn = "all params with several values only repeat configurations"
    return no_second_run(context) or no_objective(context) or none_drawn


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    draw = """\
for param in PARAMS:
    if param not in runs.study.seeds:
        display(runs.plot.param(param))"""
    cells = [markdown("relations:heading", _HEADING), code("relations:chart", draw)]
    if len(_without_seeds(context)) > 1 and context.inventory.run_count >= MIN_RUNS:
        cells += [markdown("relations:parallel:heading", _PARALLEL)]
        cells += [code("relations:parallel", "runs.plot.parallel(params=PARAMS)")]
    if any(one.numeric and one.role == "factor" for one in context.study.factors):
        cells += [markdown("relations:table", _TABLE), code("relations", "runs.relations.correlations()")]
    return tuple(cells)


def _without_seeds(context: SectionContext) -> list[str]:
    return [name for name in context.drawn_params if name not in context.study.seeds]


SECTION = Section("relations", "Params and the primary metric", _cells, _skip_reason)
