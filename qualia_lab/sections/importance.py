"""Which params matter for the primary metric."""

from __future__ import annotations

from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Which params matter

Three measures of each param that varies: what a random forest loses out of bag when the param is shuffled (and how
well it predicts at all, R²), its share in what sets the best runs apart (PED-ANOVA), and its rank correlation. Grey
bars are no more than chance. None of it says what causes what."""

_PAIR = """\
The two params that matter most together: means of the runs in each cell."""


def _why_not(brief: Brief) -> str | None:
    found = brief.inventory.configurations.comparable
    if brief.selection.primary_metric is None:
        return "no run has a metric"
    if not _asked(brief):
        return "no param varies but seeds"
    if found < FEWEST_CONFIGURATIONS:
        return f"it needs {FEWEST_CONFIGURATIONS} configurations with a value that counts, and there are {found}"
    return None


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    cells = [
        markdown("importance:heading", _HEADING),
        code("importance", "runs.importance(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
        code("importance:chart", "runs.plot_importance(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)"),
    ]
    if len(_asked(brief)) > 1:
        cells += [markdown("importance:pair:heading", _PAIR)]
        cells += [code("importance:pair", "runs.plot_param_pair(PRIMARY_METRIC, seeds=SEEDS, statuses=STATUSES)")]
    return tuple(cells)


def _asked(brief: Brief) -> list[str]:
    return [param for param in brief.inventory.varying_params if param not in brief.seeds]


SECTION = Section("importance", "Which params matter", _cells, _why_not)
