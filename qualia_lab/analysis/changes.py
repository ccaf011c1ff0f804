"""Compare what was said about runs at two times: new and gone runs, the leader, and findings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class RunResult:
    """A run at one time.

    Attributes:
        label: a distinct name.
        status: its status; "" if unknown.
        values: a digest of its metrics; "" if unknown.
    """

    label: str
    status: str = ""
    values: str = ""


@dataclass(frozen=True)
class FindingResult:
    """A finding at one time.

    Attributes:
        rule: the name of the rule.
        severity: `problem`, `warning` or `note`.
        experiment: the experiment; "" if it is about all of them.
        keys: the metrics and params that it is about.
        sentence: the finding as plain text, with names from the store.
    """

    rule: str
    severity: str
    experiment: str
    keys: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Results:
    """What was said about some runs at one time.

    Attributes:
        when: when it was, in ISO format; "" if unknown.
        runs: the runs by their ids; the ids alone are complete, labels and statuses may be unknown.
        lead: the sentences that say who leads; None if there are none, because nothing was executed.
        findings: the findings; None if there are none, because nothing was executed.
    """

    when: str = ""
    runs: Mapping[str, RunResult] = field(default_factory=dict)
    lead: tuple[str, ...] | None = None
    findings: tuple[FindingResult, ...] | None = None


@dataclass(frozen=True)
class Changes:
    """What changed between two times.

    Attributes:
        since: when the earlier results were made, in ISO format; "" if unknown.
        new_runs: labels of the runs that are new, by their ids.
        gone_runs: labels of the runs that are no longer among them.
        statuses: the runs whose status changed: id → (label, earlier status, later status).
        values: labels of the runs in both with other values of metrics.
        lead: (sentences before, sentences after); None if one of them is unknown.
        findings_known: whether the findings of both times are known.
        new: findings that were not made before.
        gone: findings that are no longer made.
        changed: findings that say something else: (before, after).
        same: the number of findings that are the same.
    """

    since: str = ""
    new_runs: Mapping[str, str] = field(default_factory=dict)
    gone_runs: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    lead: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    findings_known: bool = False
    new: tuple[FindingResult, ...] = ()
    gone: tuple[FindingResult, ...] = ()
    changed: tuple[tuple[FindingResult, FindingResult], ...] = ()
    same: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing that was compared changed."""
        return not (
            self.new_runs or self.gone_runs or self.statuses or self.values or self.new or self.gone or self.changed
        ) and (self.lead is None or self.lead[0] == self.lead[1])


def compare_results(before: Results, after: Results) -> Changes:
    """Compare two results.

    A finding is the same if its sentence is. If of the other findings of a rule about the same experiment, metrics and
    params there is one before and one after, it changed; otherwise they are gone and new.

    Args:
        before: the earlier results.
        after: the later results.
    """
    new_runs = {run_id: run.label for run_id, run in after.runs.items() if run_id not in before.runs}
    gone_runs = {run_id: run.label for run_id, run in before.runs.items() if run_id not in after.runs}
    in_both = [run_id for run_id in after.runs if run_id in before.runs]
    pairs = {run_id: (before.runs[run_id], after.runs[run_id]) for run_id in in_both}
    new, gone, changed, same = _compare_findings(before.findings or (), after.findings or ())
    findings_known = before.findings is not None and after.findings is not None
    return Changes(
        since=before.when,
        new_runs=_apart_from(gone_runs, new_runs),
        gone_runs=_apart_from(new_runs, gone_runs),
        statuses={
            run_id: (now.label, then.status, now.status)
            for run_id, (then, now) in pairs.items()
            if then.status and now.status and then.status != now.status
        },
        values={
            run_id: now.label
            for run_id, (then, now) in pairs.items()
            if then.values and now.values and then.values != now.values
        },
        lead=None if before.lead is None or after.lead is None else (before.lead, after.lead),
        findings_known=findings_known,
        new=new if findings_known else (),
        gone=gone if findings_known else (),
        changed=changed if findings_known else (),
        same=same if findings_known else 0,
    )


def _apart_from(others: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of runs, with the start of the id of those that have the label of another run."""
    taken = set(others.values())
    return {run_id: f"{label} ({run_id[:8]})" if label in taken else label for run_id, label in labels.items()}


def _compare_findings(
    before: Iterable[FindingResult], after: Iterable[FindingResult]
) -> tuple[tuple[FindingResult, ...], tuple[FindingResult, ...], tuple[tuple[FindingResult, FindingResult], ...], int]:
    """Return the new, gone and changed findings, and the number of those that are the same."""
    after = tuple(after)
    left = defaultdict(list)
    for one in before:
        left[_subject(one)].append(one)
    others: list[FindingResult] = []
    for one in after:
        equal = next((old for old in left[_subject(one)] if old.sentence == one.sentence), None)
        if equal is None:
            others.append(one)
        else:
            left[_subject(one)].remove(equal)
    counts: defaultdict[Any, int] = defaultdict(int)
    for one in others:
        counts[_subject(one)] += 1
    changed = {
        subject: (left[subject][0], next(one for one in others if _subject(one) == subject))
        for subject, count in counts.items()
        if count == 1 and len(left[subject]) == 1
    }
    new = tuple(one for one in others if _subject(one) not in changed)
    gone = tuple(one for subject, findings in left.items() if subject not in changed for one in findings)
    return new, gone, tuple(changed.values()), len(after) - len(others)


def _subject(finding: FindingResult) -> tuple[str, str, tuple[str, ...]]:
    """What a finding is about, whatever it says."""
    return finding.rule, finding.experiment, finding.keys
