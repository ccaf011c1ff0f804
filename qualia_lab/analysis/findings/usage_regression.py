"""Versions that are slower or more expensive than the one before."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.judged import (
    MOST_IDS,
    evaluations,
    experiment_of,
    judged_pairs,
    known_runs,
    model_names,
    run_names,
)
from qualia_lab.analysis.trace_summary import FAILED, UNFINISHED
from qualia_lab.analysis.two_samples import holm
from qualia_lab.analysis.usage_change import QUANTITIES, paired_usage, unpaired_usage
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.usage_change import Quantity, UsageChange

_WORDS = {"duration": "takes", "total_cost": "costs", "total_tokens": "uses"}
_UNITS = {"duration": "time", "total_cost": "cost", "total_tokens": "tokens"}


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        alpha: Significance level, corrected over versions and quantities.
        ratio: How many times as much a version takes, at least.
        fewest: Minimum number of traces of a version.
    """

    alpha: float = 0.01
    ratio: float = 1.2
    fewest: int = 8


@dataclass(frozen=True)
class _Tested:
    """A change between two versions, with their names and traces."""

    experiment_id: str
    first: str
    second: str
    run_ids: tuple[str, ...]
    trace_ids: tuple[str, ...]
    change: UsageChange


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per version and quantity: latency, cost or tokens that grew by a good part.

    Evaluations are compared over the same inputs, the traces of models outside of evaluations as two samples.
    """
    if evidence.traces is None:
        return []
    tested = [
        one
        for one in (*_evaluated(evidence), *_used(evidence))
        if min(one.change.n_first, one.change.n_second) >= thresholds.fewest
    ]
    return [
        _finding(evidence, one, p)
        for one, p in zip(tested, holm([one.change.p for one in tested]), strict=True)
        if p is not None and p <= thresholds.alpha and one.change.ratio >= thresholds.ratio
    ]


def _evaluated(evidence: Evidence) -> Iterator[_Tested]:
    """Pairs of evaluations, over the rows that both have."""
    for pair in judged_pairs(evidence):
        first, second = run_names(evidence, pair.first.run_id, pair.second.run_id)
        run_ids = known_runs(evidence, (pair.first.run_id, pair.second.run_id))
        pairs = pair.comparison.rows.pairs
        for quantity in QUANTITIES:
            change = paired_usage(pairs, quantity)
            if change is not None:
                rows = [row for one in pairs for row in one.second if getattr(row, quantity) is not None]
                rows.sort(key=attrgetter(quantity), reverse=True)
                yield _Tested(
                    pair.experiment_id, first, second, run_ids, tuple(row.row_id for row in rows[:MOST_IDS]), change
                )


def _used(evidence: Evidence) -> Iterator[_Tested]:
    """The last model that was used for the first time in an experiment against the one before it."""
    assert evidence.traces is not None
    judged = {row.row_id for one in evaluations(evidence) for row in one.rows}
    of_model: dict[str, dict[str, list[dict[str, Any]]]] = {}
    columns = ["trace_id", "experiment_id", "model_id", "state", "request_time", *QUANTITIES]
    for trace in evidence.traces.traces.select(columns).to_pylist():
        is_finished = (trace["state"] or "") not in (FAILED, *UNFINISHED)
        if trace["model_id"] and is_finished and trace["trace_id"] not in judged:
            models = of_model.setdefault(trace["experiment_id"] or "", {})
            models.setdefault(trace["model_id"], []).append(trace)
    for experiment_id, models in sorted(of_model.items()):
        began = sorted(models, key=lambda model: (min(one["request_time"] or 0 for one in models[model]), model))
        if len(began) < 2:
            continue
        first, second = model_names(evidence, *began[-2:])
        for quantity in QUANTITIES:
            before, after = (_values(models[model], quantity) for model in began[-2:])
            change = unpaired_usage(before, after, quantity)
            if change is not None:
                order = np.argsort(-np.nan_to_num(after), kind="stable")[:MOST_IDS]
                ids = tuple(str(models[began[-1]][row]["trace_id"]) for row in order.tolist())
                yield _Tested(experiment_id, f"model {first}", f"model {second}", (), ids, change)


def _values(traces: list[dict[str, Any]], quantity: Quantity) -> Numbers:
    return np.array([np.nan if trace[quantity] is None else trace[quantity] for trace in traces], np.float64)


def _finding(evidence: Evidence, tested: _Tested, p: float) -> Finding:
    prefix, experiment = experiment_of(evidence, tested.experiment_id)
    change = tested.change
    scale = 1000 if change.quantity == "duration" else 1
    shown = [f"{number(value / scale)}{_unit(change.quantity)}" for value in (change.second, change.first)]
    where = (
        f"the same {counted(change.n_first, 'input')}"
        if change.paired
        else (f"{change.n_second:,} against {counted(change.n_first, 'trace')}")
    )
    interval = "" if change.low is None or change.high is None else f", 95 % {change.low:.2f} to {change.high:.2f}"
    second = one_line(tested.second, 60)
    return Finding(
        "usage_regression",
        "problem",
        "warning",
        f"{prefix}{second[0].upper() + second[1:] if not prefix and second.startswith('model ') else second} "
        f"{_WORDS[change.quantity]} {change.ratio:.2f} times the {_UNITS[change.quantity]} of "
        f"{one_line(tested.first, 60)}: {shown[0]} instead of {shown[1]} in the geometric mean over {where} "
        f"(ratio {change.ratio:.2f}{interval}, p = {p:.2g} after correction).",
        tested.run_ids,
        (change.quantity,),
        numbers=(
            Number("ratio", change.ratio),
            *(
                ()
                if change.low is None or change.high is None
                else (Number("low", change.low), Number("high", change.high))
            ),
            Number("second", change.second / scale),
            Number("first", change.first / scale),
            Number("traces of the second", change.n_second),
            Number("traces of the first", change.n_first),
            Number("corrected p", p),
        ),
        section="evaluations" if change.paired else "traces",
        next="Look at the slowest traces; the load of a service at that time can also be the cause."
        if change.quantity == "duration"
        else "Compare the spans and prompts of a few inputs in both versions.",
        experiment=experiment,
        trace_ids=tested.trace_ids,
    )


def _unit(quantity: Quantity) -> str:
    return {"duration": " s", "total_cost": " USD", "total_tokens": " tokens"}[quantity]


RULE = Rule(
    "usage_regression",
    "a version takes more time, money or tokens than the one before, on the same inputs if these were judged",
    "Fisher 1935; Welch 1947; Mann and Whitney 1947; Holm 1979",
    Thresholds(),
    find,
)
