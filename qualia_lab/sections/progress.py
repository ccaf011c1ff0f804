"""Section: the course of a search: the best value so far, and the distribution of all values."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

# With fewer runs, the chart of metrics side by side shows the same.
MIN_RUNS = 5

_HEADING = """\
## How the search went

The best value so far, by run and over time, and the share of runs up to each value."""


def _skip_reason(context: SectionContext) -> str | None:
    runs = context.inventory.run_count
    if runs < MIN_RUNS:
        return f"it needs {MIN_RUNS} runs, and there {'is 1' if runs == 1 else f'are {runs}'}"
    if 2 * context.repeated_configurations > len(context.study.configurations):
        return "most configurations ran more than once, so runs that follow each other are no search"
    return no_objective(context)


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    cells = [markdown("progress:heading", _HEADING)]
    if context.directions_known:
        cells += [code("progress", "runs.plot.best_so_far()")]
    return (*cells, code("progress:distribution", "runs.plot.distribution()"))


SECTION = Section("progress", "How the search went", _cells, _skip_reason)
