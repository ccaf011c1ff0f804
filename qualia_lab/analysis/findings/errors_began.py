"""Traces that began to fail at a time, or with a version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.error_onset import error_onset
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, p_text
from qualia_lab.analysis.findings.judged import MOST_IDS, experiment_of, known_runs, model_names, run_names
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.trace_summary import FAILED, UNFINISHED
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from typing import Any

    from qualia_lab.analysis.error_onset import ErrorOnset
    from qualia_lab.analysis.findings.evidence import Evidence


_COLUMNS = ["trace_id", "experiment_id", "run_id", "model_id", "state", "request_time"]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level, corrected over times, versions and experiments.
        fewest: Minimum number of failed traces.
        ratio: How many times as often they fail as the other traces, at least.
    """

    alpha: float = 0.01
    fewest: int = 3
    ratio: float = 2.0


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per experiment: the time or the version that separates failed traces best from the others."""
    if evidence.traces is None:
        return []
    of_experiment: dict[str, list[dict[str, Any]]] = {}
    for trace in evidence.traces.traces.select(_COLUMNS).to_pylist():
        if is_possible(trace["request_time"]) and (trace["state"] or "") not in UNFINISHED:
            of_experiment.setdefault(trace["experiment_id"] or "", []).append(trace)
    onsets = []
    for experiment_id, rows in sorted(of_experiment.items()):
        traces = sorted(rows, key=lambda row: row["request_time"])
        failed = np.array([row["state"] == FAILED for row in traces], np.bool_)
        versions = {name: [row[name] or "" for row in traces] for name in ("model_id", "run_id")}
        onset = error_onset([row["request_time"] for row in traces], failed, versions)
        if onset is not None:
            onsets.append((experiment_id, traces, onset))
    limit = limit_over_tasks([onset.corrected for *_, onset in onsets], thresholds.alpha)
    return [
        _finding(evidence, experiment_id, traces, onset)
        for experiment_id, traces, onset in onsets
        if onset.corrected <= limit
        and onset.failed >= thresholds.fewest
        and onset.failed * onset.others >= thresholds.ratio * onset.failed_others * onset.traces
    ]


def _finding(evidence: Evidence, experiment_id: str, traces: list[dict[str, Any]], onset: ErrorOnset) -> Finding:
    prefix, experiment = experiment_of(evidence, experiment_id)
    failed = [traces[row] for row in onset.rows if traces[row]["state"] == FAILED]
    numbers = [
        Number("failed", onset.failed),
        Number("traces", onset.traces),
        Number("others failed", onset.failed_others),
        Number("others", onset.others),
        Number("corrected p", onset.corrected),
    ]
    counts = f"{onset.failed:,} of {counted(onset.traces, 'trace')} failed"
    others = f"{onset.failed_others:,} of {onset.others:,}"
    if onset.version is None:
        last = failed[-1]["request_time"]
        since_then = sum(trace["request_time"] > last for trace in traces)
        ended = f", the last one {_date(last)}, none of {since_then:,} since" if since_then > onset.traces / 2 else ""
        if ended:
            numbers += [Number("last failure, ms", last), Number("traces since", since_then)]
        numbers.append(Number("since, ms", onset.since or 0))
        sentence = f"From {_date(onset.since or 0)} on, {counts}{ended}, before that {others}"
        next_step = "Find what was changed at that time, and read the first traces that failed."
    else:
        kind, value = onset.version
        [name] = model_names(evidence, value) if kind == "model_id" else run_names(evidence, value)
        what = "the model" if kind == "model_id" else "the run"
        sentence = f"With {what} {one_line(name, 60)}, {counts}, of the other traces {others}"
        next_step = f"Read the traces of {what} that failed, and compare it with what was used before."
    sentence += f" ({p_text(onset.corrected)} after correction)."
    return Finding(
        "errors_began",
        "problem",
        "problem",
        prefix + sentence,
        known_runs(evidence, (one["run_id"] for one in failed)),
        numbers=tuple(numbers),
        section="trace_errors",
        next=next_step,
        experiment=experiment,
        trace_ids=tuple(one["trace_id"] for one in failed[:MOST_IDS]),
    )


def _date(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


RULE = Rule(
    "errors_began",
    "from a time on, or with one version, traces fail more often than chance explains",
    "Fisher 1935; Bonferroni",
    Thresholds(),
    find,
)
