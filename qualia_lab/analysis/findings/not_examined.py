"""The finding that lists what the rules could not examine and why, so that silence does not mean "nothing found"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.finding import Rule


def not_examined(
    evidence: Evidence, rules: Sequence[Rule], thresholds: Mapping[str, Any], further: Sequence[str] = ()
) -> list[Finding]:
    """At most one finding: what these rules did not examine, with the reasons.

    Args:
        evidence: The runs.
        rules: The rules applied.
        thresholds: The thresholds of each rule, by its name.
        further: What the rules of installed packages did not examine.

    Returns:
        A list of one finding, or an empty list.
    """
    reasons = [f"the metric histories, which could not be read ({evidence.unread})"] if evidence.unread else []
    reasons += [reason for rule in rules for reason in rule.unexamined(evidence, thresholds[rule.name])]
    reasons += further
    if not reasons:
        return []
    return [
        Finding(
            "not_examined",
            "not examined",
            "note",
            f"Not examined: {'; '.join(dict.fromkeys(reasons))}.",
            section="findings",
        )
    ]
