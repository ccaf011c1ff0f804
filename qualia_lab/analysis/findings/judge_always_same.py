"""Judges that give every trace the same value, and so tell nothing apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.assessments import first_opinions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.analysis.findings.judged import MOST_IDS
from qualia_lab.analysis.judges import constant_judges
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.judges import ConstantJudge


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of traces that a judge has judged.
    """

    fewest: int = 20


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per LLM judge that gave one value to all traces; a warning if others gave some another one."""
    if evidence.traces is None:
        return []
    opinions = first_opinions(evidence.traces.assessments)
    return [_finding(judge) for judge in constant_judges(opinions, thresholds.fewest)]


def _finding(judge: ConstantJudge) -> Finding:
    name, n = one_line(judge.name, 60), len(judge.trace_ids)
    source = f" of {one_line(judge.source, 60)}" if judge.source and judge.source != judge.name else ""
    numbers = [Number("traces", n)]
    if judge.differing:
        says = f", while others judge {counted(len(judge.differing), 'of these', 'of these')} differently"
        numbers.append(Number("judged differently", len(judge.differing)))
        next_step = "Read these traces with the judge's rationale, and change its instructions or examples."
    else:
        says = ": so far it does not tell any traces apart"
        next_step = "Give it a few traces that a human finds wrong, to see whether it finds them."
    return Finding(
        "judge_always_same",
        "problem",
        "warning" if judge.differing else "note",
        f"The judge {name}{source} gives all {n:,} traces the value {one_line(judge.value, 40)}{says}.",
        keys=(judge.name,),
        numbers=tuple(numbers),
        section="evaluations",
        next=next_step,
        trace_ids=(judge.differing or judge.trace_ids)[:MOST_IDS],
    )


RULE = Rule(
    "judge_always_same",
    "an LLM judge gave the same value to every trace",
    "",
    Thresholds(),
    find,
)
