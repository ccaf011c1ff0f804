"""The params that differ between the runs."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown


def _why_not(brief: Brief) -> str | None:
    inventory = brief.inventory
    if inventory.run_count < 2:
        return "a comparison needs two runs"
    if not inventory.params:
        return "no run has a param"
    if not inventory.varying_params:
        return f"all {len(inventory.params)} params are the same in every run"
    return None


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    varying, constant = len(brief.inventory.varying_params), len(brief.inventory.constant_params)
    heading = f"## Params that differ\n\n{varying} of {varying + constant} params are not the same in every run."
    return (markdown("params:heading", heading), code("params", "runs.params_that_differ()"))


SECTION = Section("params", "Params that differ", _cells, _why_not)
