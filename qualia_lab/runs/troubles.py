"""Runs with problems: failed, unfinished, with a metric that went bad, or without any metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.endings import endings
from qualia_lab.analysis.findings import diverged
from qualia_lab.escaping import one_line
from qualia_lab.inventory import SYSTEM_METRICS
from qualia_lab.runs.evidence import take_evidence
from qualia_lab.study.statuses import FAILED, UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import History
    from qualia_lab.runs.loaded import Loaded

BadHistory = tuple[str, "History", bool]  # metric, its history, whether it diverges


def bad_histories(loaded: Loaded) -> list[BadHistory]:
    """All metric histories that went bad, by run, the earliest first."""
    return loaded.once("bad histories", lambda: diverged.bad_histories(take_evidence(loaded, {}, None)))


def troubles(loaded: Loaded) -> Mapping[str, str]:
    """By run id a description of its problems, in this order: failed, unfinished, metrics that went bad, no metric."""
    problems: dict[str, list[str]] = {}
    ended = endings(loaded.tables)
    for ending in ended:
        if ending.status in FAILED:
            problems |= {run_id: [ending.status.lower()] for run_id in ending.run_ids}
    last_activity = _last_activity(loaded)
    for ending in ended:
        if ending.status in UNFINISHED:
            for run_id in ending.run_ids:
                problems.setdefault(run_id, []).append(
                    ending.status.lower() + _silence_text(last_activity.get(run_id), loaded.now)
                )
    bad_metrics: dict[str, list[str]] = {}
    for key, history, diverges in bad_histories(loaded):
        bad_metrics.setdefault(history.run_id, []).append(_bad_text(key, history, diverges=diverges))
    for run_id, texts in bad_metrics.items():
        problems.setdefault(run_id, []).append(texts[0] + (f" and {len(texts) - 1} more" if len(texts) > 1 else ""))
    parents = set(loaded.tables.runs.column("parent_run_id").to_pylist())
    logged = set(loaded.tables.metrics.column("run_id").to_pylist())
    for run_id in loaded.tables.run_ids:
        if run_id not in logged and run_id not in parents:
            problems.setdefault(run_id, []).append("no metric")
    return {run_id: "; ".join(texts) for run_id, texts in problems.items()}


def wrong_runs(loaded: Loaded, runs_named: Sequence[str] | None) -> tuple[list[str], str]:
    """The runs in question, by default the failed ones, else those with metrics that went bad; and what happened."""
    if runs_named is not None:
        return [loaded.run_id(run) for run in runs_named], "were named"
    failed = [run_id for one in endings(loaded.tables) if one.status in FAILED for run_id in one.run_ids]
    if failed:
        return failed, "failed"
    return list(dict.fromkeys(one.run_id for _, one, _ in bad_histories(loaded))), "went bad"


def last_steps(loaded: Loaded) -> Mapping[str, int]:
    """By run id the highest step of its metrics, without system metrics, which have step counts of their own."""
    metrics = loaded.tables.metrics
    steps: dict[str, int] = {}
    for run_id, key, step in zip(
        *(metrics.column(name).to_pylist() for name in ("run_id", "key", "step")), strict=True
    ):
        if not key.startswith(SYSTEM_METRICS):
            steps[run_id] = max(steps.get(run_id, 0), step or 0)
    return steps


def _last_activity(loaded: Loaded) -> dict[str, int]:
    """By run id the time of its last sign of activity, in ms: its start, or its latest point."""
    tables = loaded.tables
    latest = dict(zip(tables.run_ids, tables.runs.column("start_time").to_pylist(), strict=True))
    columns = (tables.metrics.column(name).to_pylist() for name in ("run_id", "timestamp"))
    for run_id, at in zip(*columns, strict=True):
        latest[run_id] = max(latest.get(run_id) or 0, at or 0)
    return {run_id: at for run_id, at in latest.items() if at}


def _bad_text(key: str, history: History, *, diverges: bool) -> str:
    how = "diverges from" if diverges else "not finite at"
    return f"{one_line(key, 60)} {how} step {diverged.first_bad_step(history, diverges=diverges):,}"


def _silence_text(last_activity: int | None, now: int) -> str:
    """`, silent for 3.2 h`, from the times of the last activity and of now in ms."""
    minutes = (now - last_activity) / 60_000 if last_activity is not None else -1
    if minutes < 0:
        return ""
    return f", silent for {minutes:,.0f} min" if minutes < 120 else f", silent for {minutes / 60:,.1f} h"
