"""Which params matter for the objective."""

from __future__ import annotations

from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS
from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Which params matter

Three measures of each param that varies: what a random forest loses out of bag when the param is shuffled (and how
well it predicts at all, R²), its share in what sets the best runs apart (PED-ANOVA), and its rank correlation. Grey
bars are no more than chance. None of it says what causes what."""

_PAIR = """\
The two params that matter most together: means of the runs in each cell."""


def _why_not(brief: Brief) -> str | None:
    found = brief.most_configurations
    if not brief.objectives:
        return no_objective(brief)
    if not _asked(brief):
        return "no param varies that sets configurations apart"
    if found < FEWEST_CONFIGURATIONS:
        there = "there is 1" if found == 1 else f"there are {found}"
        return f"it needs {FEWEST_CONFIGURATIONS} configurations with a run that counts, and {there}"
    return None


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    cells = [
        markdown("importance:heading", _HEADING),
        code("importance", "runs.relations.importance()"),
        code("importance:chart", "runs.plot.importance()"),
    ]
    if len(_asked(brief)) > 1:
        cells += [markdown("importance:pair:heading", _PAIR)]
        cells += [code("importance:pair", "runs.plot.param_pair()")]
    return tuple(cells)


def _asked(brief: Brief) -> list[str]:
    return [one.name for one in brief.study.factors if one.role == "factor"]


SECTION = Section("importance", "Which params matter", _cells, _why_not)
