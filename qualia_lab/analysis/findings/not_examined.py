"""What the rules could not look at, and why, said once: silence never passes for "nothing found"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.findings.finding import Rule


def not_examined(evidence: Evidence, rules: Sequence[Rule], thresholds: Mapping[str, Any]) -> list[Finding]:
    """At most one finding: what each of these rules did not examine, with its reason."""
    reasons = [f"the metric histories, which could not be read ({evidence.unread})"] if evidence.unread else []
    reasons += [reason for rule in rules for reason in rule.unexamined(evidence, thresholds[rule.name])]
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
