"""Section: all details of each run, with a cell for each of the first runs."""

from __future__ import annotations

from qualia_lab.sections.literal import literal
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    shown, count = context.shown_runs, context.inventory.run_count
    heading = "## Each run\n\nDetails, params, metrics, tags and artifacts."
    if len(shown) < count:
        heading += f" Showing {len(shown):,} of {count:,} runs, in the order of `RUN_IDS`."
    cells = [markdown("each_run:heading", heading)]
    # The cell has the id, not an index into RUN_IDS, so it shows the same run however the list changes.
    # Folded to one line: a page of 25 unfolded runs is too long to scroll through.
    cells += [code(f"run:{run_id}", f"runs.show({literal(run_id)}, folded=True)") for run_id in shown]
    if len(shown) < count:
        cells.append(
            markdown("each_run:other", "Any other run is shown by its id or name; here the last one of `RUN_IDS`.")
        )
        cells.append(code("each_run:any", "runs.show(RUN_IDS[-1] if RUN_IDS else None, folded=True)"))
    return tuple(cells)


SECTION = Section("each_run", "Each run", _cells, no_run)
