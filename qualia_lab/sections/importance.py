"""Section: the importance of params for the primary metric."""

from __future__ import annotations

from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS
from qualia_lab.sections.reasons import no_objective
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown

_HEADING = """\
## Which params matter

Three measures for each param that varies: the out-of-bag loss of a random forest when the param is shuffled (and how
well the forest predicts, R²), the share of the param in what distinguishes the best runs (PED-ANOVA), and its rank
correlation. Grey bars are no more than chance. None of them shows a cause."""

_PAIR = """\
The two params that matter most together: the mean of the runs in each cell."""


def _skip_reason(context: SectionContext) -> str | None:
    configuration_count = context.max_configurations
    if not context.objectives:
        return no_objective(context)
    if not _varying_factors(context):
        return "no param that distinguishes configurations varies"
    if configuration_count < FEWEST_CONFIGURATIONS:
        actual = "there is 1" if configuration_count == 1 else f"there are {configuration_count}"
        return f"it needs {FEWEST_CONFIGURATIONS} configurations with a run that counts, and {actual}"
    return None


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    cells = [
        markdown("importance:heading", _HEADING),
        code("importance", "runs.relations.importance()"),
        code("importance:chart", "runs.plot.importance()"),
    ]
    if len(_varying_factors(context)) > 1:
        cells += [markdown("importance:pair:heading", _PAIR)]
        cells += [code("importance:pair", "runs.plot.param_pair()")]
    return tuple(cells)


def _varying_factors(context: SectionContext) -> list[str]:
    return [one.name for one in context.study.factors if one.role == "factor"]


SECTION = Section("importance", "Which params matter", _cells, _skip_reason)
