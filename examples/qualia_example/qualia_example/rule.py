"""The rule `slow_runs`."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from qualia_example.durations import minutes
from qualia_lab.extensions import Evidence, Finding, Number, Rule


@dataclass(frozen=True)
class Thresholds:
    """The thresholds, which `--set slow_runs.times=2` and [tool.qualia.findings] change."""

    times: float = 1.3
    fewest_runs: int = 5


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Return at most one finding for each task: its runs that took much longer than the median of the task."""
    findings = []
    for task in evidence.study.tasks:
        took = {
            run_id: one for run_id, one in minutes(evidence.tables, evidence.study).items() if run_id in task.run_ids
        }
        if len(took) < thresholds.fewest_runs:
            continue
        middle = median(took.values())
        slow = [run_id for run_id, one in took.items() if one > thresholds.times * middle]
        if not slow:
            continue
        names = ", ".join(evidence.name(run_id) for run_id in slow[:4]) + (", …" if len(slow) > 4 else "")
        findings.append(
            Finding(
                rule="slow_runs",
                kind="problem",
                severity="note",
                sentence=f"{evidence.prefix(task)}{len(slow)} of {len(took)} runs took more than {thresholds.times:g} "
                f"times the median of {middle:.1f} min: {names}.",
                run_ids=tuple(slow),
                numbers=(Number("median in minutes", middle),),
                section="slowest",
                next="See whether their params explain it, or the machine.",
                experiment=evidence.experiment(task),
            )
        )
    return findings


def unexamined(evidence: Evidence, thresholds: Thresholds) -> list[str]:
    """Return what could not be examined, and why; it is listed once, after the findings."""
    known, least = len(minutes(evidence.tables, evidence.study)), thresholds.fewest_runs
    return [f"which runs are slow: {known} with a duration, {least} are needed"] if known < least else []


RULE = Rule(
    name="slow_runs",
    fires="a run took much longer than the median of its experiment",
    source="",
    thresholds=Thresholds(),
    find=find,
    unexamined=unexamined,
)
