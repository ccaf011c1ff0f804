"""Versions that are slower or more expensive than the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.finding import (
    MOST_NAMED,
    Finding,
    Number,
    Rule,
    joined,
    joined_clauses,
    number,
    p_text,
)
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

_WORDS = {"duration": "time", "total_cost": "cost", "total_tokens": "tokens"}
_UNITS = {"duration": "s", "total_cost": "USD", "total_tokens": "tokens"}


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
    """A change between two versions, with their names, the runs and traces to name, and the corrected p value."""

    experiment_id: str
    first: str
    second: str
    run_ids: tuple[str, ...]
    trace_ids: tuple[str, ...]
    change: UsageChange
    corrected: float = 1.0


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per experiment for evaluations and one for models in use: latency, cost or tokens that grew by much.

    Evaluations are compared over the same inputs, the traces of models outside of evaluations as two samples. Tokens
    are named only where the cost is not.
    """
    if evidence.traces is None:
        return []
    tested = [
        one
        for one in (*_evaluated(evidence), *_used(evidence))
        if min(one.change.n_first, one.change.n_second) >= thresholds.fewest
    ]
    grown: dict[tuple[str, bool], dict[tuple[str, str], list[_Tested]]] = {}
    for one, p in zip(tested, holm([one.change.p for one in tested]), strict=True):
        if p is not None and p <= thresholds.alpha and one.change.ratio >= thresholds.ratio:
            versions = grown.setdefault((one.experiment_id, one.change.paired), {})
            of_pair = versions.setdefault((one.first, one.second), [])
            if one.change.quantity != "total_tokens" or all(each.change.quantity != "total_cost" for each in of_pair):
                of_pair.append(replace(one, corrected=p))
    return [_finding(evidence, list(versions.values())) for versions in grown.values()]


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
                yield _Tested(experiment_id, first, second, (), ids, change)


def _values(traces: list[dict[str, Any]], quantity: Quantity) -> Numbers:
    return np.array([np.nan if trace[quantity] is None else trace[quantity] for trace in traces], np.float64)


def _finding(evidence: Evidence, versions: list[list[_Tested]]) -> Finding:
    """One finding about versions that grew: the one that grew most with its quantities, and how much the others did."""
    versions = sorted(versions, key=lambda of_pair: -_most(of_pair))
    every = [one for of_pair in versions for one in of_pair]
    prefix, experiment = experiment_of(evidence, every[0].experiment_id)
    is_paired = every[0].change.paired
    numbers = [each for of_pair in versions[: 1 + MOST_NAMED] for one in of_pair for each in _numbers(one)]
    p = max(one.corrected for one in every)
    subject = "Over the same inputs, " if is_paired else "Models in use: "
    several = f"{counted(len(versions), 'version')} take more than the one before, most of all "
    others = joined_clauses([_clause(of_pair, brief=True) for of_pair in versions[1:]])
    slower = any(one.change.quantity == "duration" for one in every)
    return Finding(
        "usage_regression",
        "problem",
        "warning",
        f"{prefix}{subject if not prefix else subject[0].lower() + subject[1:]}{several if others else ''}"
        f"{_clause(versions[0], verb='with' if others else 'takes')} ({p_text(p)} or less after correction)."
        + (f" The others: {others}." if others else ""),
        tuple(dict.fromkeys(run_id for one in every for run_id in one.run_ids)),
        tuple(dict.fromkeys(one.change.quantity for one in every)),
        numbers=(*numbers, Number("corrected p", p), Number("versions", len(versions))),
        section="evaluations" if is_paired else "trace_latency",
        next="Weigh it against the quality, and compare the spans of a few inputs in both versions"
        + ("; the load of a service at that time can also make it slow." if slower else "."),
        experiment=experiment,
        trace_ids=tuple(dict.fromkeys(trace_id for one in every for trace_id in one.trace_ids))[:MOST_IDS],
    )


def _most(of_pair: list[_Tested]) -> float:
    return max(one.change.ratio for one in of_pair)


def _clause(of_pair: list[_Tested], verb: str = "takes", *, brief: bool = False) -> str:
    """`B takes 1.5 times the time (3 s instead of 2 s, 95 % 1.4 to 1.6) of A, n = 40`; `brief`: the ratios alone."""
    parts = []
    for one in of_pair:
        change = one.change
        after, before = (
            f"{number(value / _scale(change))} {_UNITS[change.quantity]}" for value in (change.second, change.first)
        )
        interval = "" if change.low is None or change.high is None else f", 95 % {change.low:.2f} to {change.high:.2f}"
        values = "" if brief else f" ({after} instead of {before}{interval})"
        parts.append(f"{change.ratio:.2f} times the {_WORDS[change.quantity]}{values}")
    first, second = of_pair[0].change.n_first, of_pair[0].change.n_second
    n = f"n = {second:,}" if of_pair[0].change.paired else f"n = {second:,} against {first:,}"
    return f"{one_line(of_pair[0].second, 60)} {verb} {joined(parts)} of {one_line(of_pair[0].first, 60)}, {n}"


def _numbers(one: _Tested) -> list[Number]:
    change = one.change
    ends = [] if change.low is None or change.high is None else [Number("low", change.low), Number("high", change.high)]
    return [
        Number("ratio", change.ratio),
        *ends,
        Number("second", change.second / _scale(change)),
        Number("first", change.first / _scale(change)),
        Number("traces of the second", change.n_second),
        Number("traces of the first", change.n_first),
    ]


def _scale(change: UsageChange) -> int:
    """By what a value is divided to be shown in its unit."""
    return 1000 if change.quantity == "duration" else 1


RULE = Rule(
    "usage_regression",
    "a version takes more time, money or tokens than the one before, on the same inputs if these were judged",
    "Fisher 1935; Welch 1947; Mann and Whitney 1947; Holm 1979",
    Thresholds(),
    find,
)
