"""Every run in full, the first ones with a cell of their own."""

from __future__ import annotations

from qualia_lab.sections.literal import literal
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_OPEN = 3


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    shown, count = brief.shown_runs, brief.inventory.run_count
    heading = "## Each run\n\nDetails, params, metrics, tags and artifacts."
    if len(shown) < count:
        heading += f" Showing {len(shown):,} of {count:,} runs, in the order of `RUN_IDS`."
    cells = [markdown("each_run:heading", heading)]
    # The id stands in the cell, not a place in RUN_IDS: what is shown is that run, however the list changes.
    # Past the first few a run is a line to click on: a page of 25 open ones is scrolled through by nobody.
    cells += [code(f"run:{run_id}", f"runs.show({literal(run_id)})") for run_id in shown[:_OPEN]]
    cells += [code(f"run:{run_id}", f"runs.show({literal(run_id)}, folded=True)") for run_id in shown[_OPEN:]]
    if len(shown) < count:
        cells.append(
            code("each_run:any", "# Any other run, by its id or name.\nruns.show(RUN_IDS[-1] if RUN_IDS else None)")
        )
    return tuple(cells)


SECTION = Section("each_run", "Each run", _cells, no_run)
