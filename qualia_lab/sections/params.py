"""Section: the params that differ between runs."""

from __future__ import annotations

from qualia_lab.counts import counted
from qualia_lab.sections.reasons import no_second_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown


def _skip_reason(context: SectionContext) -> str | None:
    params = context.study.params
    if no_second_run(context):
        return no_second_run(context)
    if not params:
        return "no run has a param"
    if not _differing(context):
        return (
            "the only param is the same in every run"
            if len(params) == 1
            else f"all {len(params)} params are the same in every run"
        )
    return None


def _differing(context: SectionContext) -> list[str]:
    return [one.name for one in context.study.params if one.role != "constant"]


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    differing, total = len(_differing(context)), len(context.study.params)
    verb = "is" if differing == 1 else "are"
    heading = f"## Params that differ\n\n{differing} of {counted(total, 'param')} {verb} not the same in every run."
    return (markdown("params:heading", heading), code("params", "runs.params_that_differ()"))


SECTION = Section("params", "Params that differ", _cells, _skip_reason)
