"""Runs of one task that come from different git commits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.differs import short_commit
from qualia_lab.analysis.findings.coinciding_factor import coinciding_factor
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, listed
from qualia_lab.analysis.sides import COMMIT
from qualia_lab.by_run import ByRun
from qualia_lab.counts import counted
from qualia_lab.names import aside
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of git commits.
    """

    fewest: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: the git commits of its runs, if there are several, and the runs without one."""
    tags = rows_with(evidence.tables.tags, "key", [COMMIT])
    if not tags.num_rows:
        return []
    tags_by_run = ByRun(evidence.positions, tags)
    findings = []
    for task in evidence.study.tasks:
        runs_of: dict[str, list[str]] = defaultdict(list)
        run_ids = [run_id for run_id in task.run_ids if run_id not in evidence.study.parents]
        for run_id in run_ids:
            commit = tags_by_run[run_id].get(COMMIT)
            if commit:
                runs_of[commit].append(run_id)
        if len(runs_of) >= max(2, thresholds.fewest):
            findings.append(_finding(evidence, task, runs_of, len(run_ids)))
    return findings


def _finding(evidence: Evidence, task: Task, runs_of: Mapping[str, list[str]], runs: int) -> Finding:
    ordered = sorted(runs_of.items(), key=lambda item: (-len(item[1]), item[0]))
    clauses = [
        f"{counted(len(run_ids), 'run')} of {short_commit(commit)}"
        + (aside(listed(map(evidence.name, run_ids), 3), ends=True) if position and len(run_ids) <= 3 else "")
        for position, (commit, run_ids) in enumerate(ordered[:MOST_NAMED])
    ]
    between = "; " if any(": " in clause for clause in clauses) else ", "
    further = f"{between}and {len(ordered) - MOST_NAMED:,} more" if len(ordered) > MOST_NAMED else ""
    without = runs - sum(map(len, runs_of.values()))
    unknown = f"; {counted(without, 'run')} recorded none" if without else ""
    commit_of = {run_id: commit for commit, run_ids in ordered for run_id in run_ids}
    factor = coinciding_factor(evidence.study, task, commit_of)
    goes_with = f" The commit changes together with {factor}." if factor else ""
    return Finding(
        "other_code",
        "provenance",
        "note",
        f"{evidence.prefix(task)}These runs come from {len(ordered):,} git commits: "
        f"{between.join(clauses)}{further}{unknown}.{goes_with}",
        tuple(run_id for _, run_ids in ordered[1:] for run_id in run_ids),
        (COMMIT,),
        numbers=(
            Number("commits", len(ordered)),
            *(Number(f"runs of {commit}", len(run_ids)) for commit, run_ids in ordered[:MOST_NAMED]),
            *([Number("runs without a commit", without)] if without else []),
        ),
        section="origins",
        code=(
            f'runs.tags["{COMMIT}"].value_counts(dropna=False).to_frame("runs")'
            f'.assign(commits=runs.tags["{COMMIT}"].nunique())'
        ),
        next=f"Do not attribute a difference to {factor} alone: run its levels again from one commit."
        if factor
        else "Compare what changed between the commits before comparing their runs.",
        experiment=evidence.experiment(task),
    )


RULE = Rule("other_code", "runs of one task recorded different git commits", "", Thresholds(), find)
