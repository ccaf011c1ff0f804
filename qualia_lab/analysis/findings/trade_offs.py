"""Metrics of which one has to be given up for another, and the runs that no other run beats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from qualia_lab.analysis.direction import rank_metrics
from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, listed, number
from qualia_lab.analysis.findings.pairs import metric_pairs
from qualia_lab.analysis.groups import finite_values
from qualia_lab.analysis.trade_offs import pareto_set, trade_offs

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.trade_offs import TradeOff

_MOST_METRICS = 8  # set against the primary one, those that most runs have first


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p of a rank correlation.  most: findings."""

    alpha: float = 0.05
    most: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """The primary metric against each other one of known direction, the widest apart first.

    Spearman's rank correlation (Spearman 1904) of latest values, each turned so that more is better; normal with a
    standard deviation of 1 / sqrt(n - 1) where there is none (Kendall 1948), one-sided, for as many metrics as there
    are (Bonferroni). A metric of training is left out where the same of held-out data is there.
    """
    key = evidence.primary_metric
    better = evidence.greater_is_better.get(key or "")
    if key is None or better is None:
        return []
    of_training = {training for training, _ in metric_pairs(evidence.keys)}
    others = [
        (metric.key, direction)
        for metric in rank_metrics(evidence.inventory, key)
        if (direction := evidence.greater_is_better[metric.key]) is not None
        and metric.key not in of_training
        and metric.key != key
    ][:_MOST_METRICS]
    values = {other: finite_values(evidence.tables, other) for other in (key, *(name for name, _ in others))}
    found = []
    for other, direction in others:
        both, ways = {key: values[key], other: values[other]}, {key: better, other: direction}
        found += [
            (pair, pareto_set(both, ways))
            for pair in trade_offs(both, ways)
            if pair.opposed and _p(pair) * len(others) <= thresholds.alpha
        ]
    found.sort(key=lambda row: row[0].rho or 0.0)
    return [_finding(evidence, pair, best) for pair, best in found[: int(thresholds.most)]]


def _p(pair: TradeOff) -> float:
    return NormalDist().cdf((pair.rho or 0.0) * math.sqrt(pair.n - 1))


def _finding(evidence: Evidence, pair: TradeOff, best: list[str]) -> Finding:
    assert pair.rho is not None
    order = {run_id: place for place, run_id in enumerate(evidence.run_ids)}
    best = sorted(best, key=lambda run_id: order[run_id])
    unbeaten = f"no run beats these {len(best):,}" if len(best) > 1 else "no run beats this one"
    return Finding(
        "trade_offs",
        "note",
        f"What is better in {pair.first} tends to be worse in {pair.second} (rank correlation {number(pair.rho)}, "
        f"n = {pair.n:,}); {unbeaten} in both: {listed(map(evidence.name, best))}.",
        tuple(best),
        (pair.first, pair.second),
        numbers=(Number("rank correlation", pair.rho), Number("n", pair.n)),
        section="trade_offs",
        code=f"runs.trade_offs([{code.metric(evidence, pair.first)}, {code.metric(evidence, pair.second)}])",
    )


RULE = Rule(
    "trade_offs",
    "the primary metric and another one pull apart, beyond chance for as many metrics as there are",
    "Spearman 1904; Pareto 1906",
    Thresholds(),
    find,
)
