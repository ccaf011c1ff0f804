"""Params that never vary, so that these runs cannot say anything about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, count, listed

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """fewest_runs: from which on a param that is the same in all of them is worth a word."""

    fewest_runs: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the params with one value that is in every run."""
    constant = evidence.inventory.constant_params
    varying = len(evidence.inventory.params) - len(constant)
    if not constant or len(evidence.run_ids) < thresholds.fewest_runs:
        return []
    values = evidence.params[evidence.run_ids[0]]
    same = [f"{key} = {values[key]}" if len(values[key]) <= 30 else key for key in constant]
    others = f"; {count(varying, 'other')} do" if varying != 1 else "; 1 other does"
    return [
        Finding(
            "constant_params",
            "note",
            f"{count(len(constant), 'param')} {'does' if len(constant) == 1 else 'do'} not vary: "
            f"{listed(same, 6)}{others if varying else ''}.",
            keys=constant,
            numbers=(
                Number("params that do not vary", len(constant)),
                *([Number("others", varying)] if varying else []),
            ),
            section="params",
            code="runs.params.nunique(dropna=False).eq(1).value_counts()",
        )
    ]


RULE = Rule("constant_params", "a param has the same value in every run", "", Thresholds(), find)
