"""Runs of one comparison that were made by other code."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, listed
from qualia_lab.by_run import ByRun
from qualia_lab.escaping import one_line
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

_COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Thresholds:
    """fewest: git commits, from which on they are worth a word."""

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding: the git commits that the runs name, when there are several; runs without one are counted."""
    runs_of: dict[str, list[str]] = defaultdict(list)
    named = ByRun(evidence.places, rows_with(evidence.tables.tags, "key", [_COMMIT]))
    for run_id in evidence.run_ids:
        commit = named[run_id].get(_COMMIT)
        if commit:
            runs_of[commit].append(run_id)
    if len(runs_of) < max(2, thresholds.fewest):
        return []
    ordered = sorted(runs_of.items(), key=lambda item: (-len(item[1]), item[0]))
    clauses = [
        f"{count(len(run_ids), 'run')} of {one_line(commit, 9).rstrip('…')}"
        + (f" ({listed(map(evidence.name, run_ids), 3)})" if place and len(run_ids) <= 3 else "")
        for place, (commit, run_ids) in enumerate(ordered[:NAMED])
    ]
    more = f", and {len(ordered) - NAMED:,} more" if len(ordered) > NAMED else ""
    without = len(evidence.run_ids) - sum(map(len, runs_of.values()))
    unknown = f"; {count(without, 'run')} named none" if without else ""
    return [
        Finding(
            "other_code",
            "note",
            f"These runs come from {len(ordered):,} git commits: {', '.join(clauses)}{more}{unknown}.",
            tuple(run_id for _, run_ids in ordered[1:] for run_id in run_ids),
            (_COMMIT,),
            numbers=(
                Number("commits", len(ordered)),
                *(Number(f"runs of {commit}", len(run_ids)) for commit, run_ids in ordered[:NAMED]),
                *([Number("runs without a commit", without)] if without else []),
            ),
            section="origins",
            code=(
                f'runs.tags["{_COMMIT}"].value_counts(dropna=False).to_frame("runs")'
                f'.assign(commits=runs.tags["{_COMMIT}"].nunique())'
            ),
        )
    ]


RULE = Rule("other_code", "runs name different git commits", "", Thresholds(), find)
