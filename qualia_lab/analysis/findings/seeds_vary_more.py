"""Tasks in which repeats of a configuration differ more than configurations do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group


@dataclass(frozen=True)
class Thresholds:
    """fewest: configurations that ran more than once.  alpha: how often the bound on their spread is too low."""

    fewest: int = 4
    alpha: float = 0.05


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task at most one finding: the spread of configurations is, with confidence, under that of repeats.

    By the upper limit of the ratio of the two variances in a one-way analysis (Searle, Casella and McCulloch 1992,
    "Variance Components", section 3.6), with the harmonic mean of the repeats.
    """
    found = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if len(one.values) > 1]
        if len(groups) < max(2, thresholds.fewest):
            continue
        within, most = _spreads(groups, thresholds.alpha)
        if not most < within:
            continue
        key = groups[0].metric
        numbers = (
            Number("standard deviation of repeats", within),
            Number("at most between configurations", most),
            Number("configurations", len(groups)),
        )
        found.append(
            Finding(
                "seeds_vary_more",
                "answer",
                "note",
                f"{evidence.where(task)}seeds vary more than configurations: {key} has a standard deviation of {number(within)} between "
                f"repeats, and of at most {number(most)} (95 %) between the {len(groups):,} configurations.",
                tuple(run_id for group in groups for run_id in group.scored),
                (key,),
                numbers=numbers,
                section="groups",
                code="runs.groups()",
                next="Run more seeds of fewer configurations, or change something that has a larger effect.",
                experiment=evidence.experiment(task),
            )
        )
    return found


def _spreads(groups: Sequence[Group], alpha: float) -> tuple[float, float]:
    """The standard deviation of repeats, and the largest that configurations may have."""
    from scipy.special import fdtri

    counts = np.array([len(one.values) for one in groups])
    means = np.array([np.mean(one.values) for one in groups])
    squares = sum(float(((np.asarray(one.values) - np.mean(one.values)) ** 2).sum()) for one in groups)
    degrees, n = int((counts - 1).sum()), len(groups) / float((1 / counts).sum())
    within = squares / degrees
    if within <= (1e-12 * float(np.abs(means).max())) ** 2:
        return 0.0, 0.0
    ratio = n * float(means.var(ddof=1)) / within
    upper = (ratio / float(fdtri(len(groups) - 1, degrees, alpha)) - 1) / n
    return math.sqrt(within), math.sqrt(within * max(upper, 0.0))


RULE = Rule(
    "seeds_vary_more",
    "the standard deviation between configurations is, with 95 % confidence, under that between repeats",
    "Searle, Casella and McCulloch 1992",
    Thresholds(),
    find,
)
