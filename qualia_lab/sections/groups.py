"""Runs alike but for their seed, averaged."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Groups of seeds

Runs whose params are alike but for those in `SEEDS` are one configuration. `runs` counts all of its runs, `n` those
in the mean: runs with a finite value and a status in `STATUSES`; `left out` says why the others are not. The 95 %
interval is that of the mean: Student's t under 10 values, a bootstrap beyond."""

_CHOSEN_BY_METRIC = """\
**These runs were chosen by a metric.** Of a configuration only its better runs may be here: its mean is then too good,
and its spread too small. Choose by params or time to compare configurations."""


def why_no_groups(brief: Brief) -> str | None:
    """The reason why there are no configurations to tell apart, or none that is repeated; None where there are."""
    if brief.inventory.run_count < 2:
        return "a comparison needs two runs"
    if brief.selection.primary_metric is None:
        return "no run has a metric"
    if not brief.inventory.params:
        return "no run has a param"
    if brief.inventory.configurations.repeated:
        return None
    return "no two runs with a value that counts are alike in all params but seeds"


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    chosen = brief.selection
    by_metric = "metric" in chosen.filter or (chosen.limit is not None and "metric" in " ".join(chosen.order_by))
    return (
        markdown("groups:heading", f"{_HEADING}\n\n{_CHOSEN_BY_METRIC}" if by_metric else _HEADING),
        code("groups", "runs.groups(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
        code("groups:chart", "runs.plot_groups(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
    )


SECTION = Section("groups", "Groups of seeds", _cells, why_no_groups)
