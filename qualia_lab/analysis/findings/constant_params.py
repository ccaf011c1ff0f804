"""Params that never vary: what they do is among what these runs cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Rule, listed
from qualia_lab.escaping import one_line
from qualia_lab.names import aside

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_LONGEST_VALUE = 30


@dataclass(frozen=True)
class Thresholds:
    """fewest_runs: from which on a param that is the same in all of them is worth a word."""

    fewest_runs: int = 3


def find(_evidence: Evidence, _thresholds: Thresholds) -> list[Finding]:
    """No finding of its own: that a param never varies is a reason not to have examined it."""
    return []


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """The params with one value that is in every run; what only names a run is none of them."""
    runs = len(evidence.run_ids)
    constant = [one.name for one in evidence.study.params if one.role == "constant" and one.runs == runs]
    if not constant or runs < thresholds.fewest_runs:
        return []
    values = evidence.params[evidence.run_ids[0]]
    same = [f"{key} = {one_line(values[key], _LONGEST_VALUE)}" if values[key] else key for key in constant]
    what = "1 param, which never varies" if len(same) == 1 else f"{len(same):,} params, which never vary"
    return [f"what comes of {what}{aside(listed(same), ends=True)}"]


RULE = Rule("constant_params", "a param has the same value in every run", "", Thresholds(), find, unexamined)
