"""What the tables of `runs.evaluations` say of a comparison: its columns, the answer in words, texts on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.version_sentences import describe_versions
from qualia_lab.analysis.structured_text import text_of_json
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.leading_version import LeadingVersion
    from qualia_lab.analysis.version_comparison import ScorerComparison

SHOWN = 300  # characters of an input, an output or a rationale
# Columns of `columns_of`, for frames in which a missing number is not shown as a logged NaN.
MAY_BE_MISSING = ("difference", "95 % from", "95 % to", "p (Holm)")


def columns_of(one: ScorerComparison) -> dict[str, Any]:
    """The columns of one comparison."""
    lacks = (one.first_lacks, one.second_lacks)
    return {
        "difference": one.test.difference,
        "95 % from": one.test.low,
        "95 % to": one.test.high,
        "pairs": one.test.n,
        "wins": one.wins,
        "losses": one.losses,
        "ties": one.ties,
        "no value": sum(side.missing + side.failed + side.no_number for side in lacks),
        "p (Holm)": None if one.corrected is None else float(f"{one.corrected:.2g}"),
        "verdict": one.verdict,
    }


def answer_of(leading: LeadingVersion, labels: Mapping[str, str]) -> str:
    """The answer in words."""
    first, name = leading.ranked[0], one_line(leading.scorer.name, 80)
    if len(leading.ranked) == 1:
        return f"{labels[first.run_id]} is the only version judged by {name}: {first.mean:.3g} on {first.n} rows."
    return describe_versions(leading, labels).sentence


def text_of(value: str) -> str:
    """An input or output as one line."""
    return one_line(text_of_json(value), SHOWN)
