"""Which params matter for the primary metric, where there are enough configurations to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, count, listed
from qualia_lab.analysis.groups import finite_values
from qualia_lab.analysis.importance import FEWEST_CONFIGURATIONS, param_importances
from qualia_lab.study.statuses import left_out

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_NAMED = 3


@dataclass(frozen=True)
class Thresholds:
    """r2: out-of-bag R² of the forest.  configurations: different ones.  share: of R², what a param has to carry."""

    r2: float = 0.3
    configurations: int = FEWEST_CONFIGURATIONS
    share: float = 0.1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding, by a forest over configurations and permutation importance (Breiman 2001).

    Nothing is said where `analysis.importance` refuses: too few configurations, or a forest that explains little.
    """
    key = evidence.primary_metric
    if key is None:
        return []
    if evidence.importances is not None:
        found = evidence.importances()
    else:
        uncounted = left_out(evidence.status, evidence.statuses)
        values = {run_id: one for run_id, one in finite_values(evidence.tables, key).items() if run_id not in uncounted}
        found = param_importances(evidence.tables.params, values, key, seeds=evidence.seeds)
    if (
        found.refusal
        or found.r2 is None
        or found.r2 < thresholds.r2
        or found.configurations < thresholds.configurations
    ):
        return []
    rows = [
        (row.forest, row) for row in found.params if row.forest is not None and "no more than chance" not in row.note
    ]
    strong = [(forest, row) for forest, row in rows if forest >= thresholds.share * found.r2]
    if not strong:
        return []
    weak = [row.param for row in found.params if row.forest is not None and "forest: no more than chance" in row.note]
    clauses = [
        f"{row.param} ({forest:.2f}"
        + (f", with {listed(_together(row.note), 2)}" if "together with" in row.note else "")
        + ")"
        for forest, row in strong
    ]
    no_more = f"; {listed(weak, _NAMED)} no more than chance" if weak else ""
    return [
        Finding(
            "matters",
            "note",
            f"What sets {key} apart goes with {listed(clauses, _NAMED)}: how far the out-of-bag R² of a forest, "
            f"{found.r2:.2f} over {count(found.configurations, 'configuration')}, falls when it is shuffled{no_more}.",
            keys=tuple(row.param for _, row in strong),
            numbers=(
                Number("out-of-bag R²", found.r2),
                Number("configurations", found.configurations),
                *(Number(row.param, forest) for forest, row in strong[:_NAMED]),
            ),
            section="importance",
            code=f"runs.importance({code.metric(evidence, key)}{code.chosen(evidence)})",
        )
    ]


def _together(note: str) -> list[str]:
    """The params that a note names as not to be told apart from this one."""
    for part in note.split("; "):
        if part.startswith("changes only together with "):
            return part.removeprefix("changes only together with ").removesuffix(": cannot be told apart").split(", ")
    return []


RULE = Rule(
    "matters",
    "a forest over the configurations explains the primary metric, and a param carries a good part of it",
    "Breiman 2001",
    Thresholds(),
    find,
)
