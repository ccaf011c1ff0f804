"""The params that differ between the runs."""

from __future__ import annotations

from qualia_lab.counts import counted
from qualia_lab.sections.reasons import no_second_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    params = brief.study.params
    if no_second_run(brief):
        return no_second_run(brief)
    if not params:
        return "no run has a param"
    if not _differing(brief):
        return (
            "the only param is the same in every run"
            if len(params) == 1
            else f"all {len(params)} params are the same in every run"
        )
    return None


def _differing(brief: Brief) -> list[str]:
    return [one.name for one in brief.study.params if one.role != "constant"]


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    differing, in_all = len(_differing(brief)), len(brief.study.params)
    verb = "is" if differing == 1 else "are"
    heading = f"## Params that differ\n\n{differing} of {counted(in_all, 'param')} {verb} not the same in every run."
    return (markdown("params:heading", heading), code("params", "runs.params_that_differ()"))


SECTION = Section("params", "Params that differ", _cells, _why_not)
