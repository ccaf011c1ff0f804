"""Params that never vary, so that these runs cannot say anything about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_LONGEST_VALUE = 30


@dataclass(frozen=True)
class Thresholds:
    """fewest_runs: from which on a param that is the same in all of them is worth a word."""

    fewest_runs: int = 3


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the params with one value that is in every run; what only names a run is none of them."""
    runs = len(evidence.run_ids)
    constant = [one.name for one in evidence.study.params if one.role == "constant" and one.runs == runs]
    if not constant or runs < thresholds.fewest_runs:
        return []
    values = evidence.params[evidence.run_ids[0]]
    same = [f"{key} = {one_line(values[key], _LONGEST_VALUE)}" if values[key] else key for key in constant]
    what = "1 param does, which never varies" if len(same) == 1 else f"{len(same):,} params do, which never vary"
    return [
        Finding(
            "constant_params",
            "provenance",
            "note",
            f"These runs cannot tell what {what}: {listed(same)}.",
            keys=tuple(constant),
            numbers=(Number("params that do not vary", len(constant)),),
            section="params",
            code="runs.params.nunique(dropna=False).eq(1).value_counts()",
        )
    ]


RULE = Rule("constant_params", "a param has the same value in every run", "", Thresholds(), find)
