"""Params that never vary, so that these runs cannot show their effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.columns import texts_of
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_LONGEST_VALUE = 30


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest_runs: Minimum number of runs with the same value.
    """

    fewest_runs: int = 3


def find(_evidence: Evidence, _thresholds: Thresholds) -> list[Finding]:
    """No findings: a param that never varies is reported as not examined."""
    return []


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """The params with the same value in every run, without those that only label a run."""
    runs = len(evidence.run_ids)
    constant = [one.name for one in evidence.study.params if one.role == "constant" and one.runs == runs]
    if not constant or runs < thresholds.fewest_runs:
        return []
    rows = rows_with(evidence.tables.params, "run_id", evidence.run_ids[:1])
    values = dict(zip(texts_of(rows.column("key")), texts_of(rows.column("value")), strict=True))
    same = [f"{key} = {one_line(values[key], _LONGEST_VALUE)}" if values[key] else key for key in constant]
    what = "1 param, which never varies" if len(same) == 1 else f"{len(same):,} params, which never vary"
    return [f"the effect of {what}{aside(listed(same), ends=True)}"]


RULE = Rule("constant_params", "a param has the same value in every run", "", Thresholds(), find, unexamined)
