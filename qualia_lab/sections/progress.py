"""How the search went: the best value so far, and how the values of all runs are distributed."""

from __future__ import annotations

from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

# With fewer, the chart of metrics side by side shows the same.
FEWEST_RUNS = 5

_HEADING = """\
## How the search went

The best value so far, run after run and over time, and the share of runs up to each value."""


def _why_not(brief: Brief) -> str | None:
    runs = brief.inventory.run_count
    if runs < FEWEST_RUNS:
        return f"it needs {FEWEST_RUNS} runs, and there {'is 1' if runs == 1 else f'are {runs}'}"
    return no_objective(brief)


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    cells = [markdown("progress:heading", _HEADING)]
    if brief.directed:
        cells += [code("progress", "runs.plot.best_so_far()")]
    return (*cells, code("progress:distribution", "runs.plot.distribution()"))


SECTION = Section("progress", "How the search went", _cells, _why_not)
