"""Held-out values that are better than training values in every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings import expressions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.metric_pairs import metric_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        margin: Minimum median share of the remaining training error by which held-out data is better.
        spreads: The same in standard deviations of the difference between runs.
        fewest_runs: Minimum number of runs with both metrics.
    """

    margin: float = 0.2
    spreads: float = 3.0
    fewest_runs: int = 2


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task, about the pair of metrics with the widest margin: held-out data is better in every run."""
    findings = []
    pairs = metric_pairs(evidence.study, evidence.keys)
    values = {key: evidence.values(key) for key in {key for pair in pairs for key in pair}}
    for task in evidence.study.tasks:
        widest: tuple[float, tuple[str, str], tuple[str, ...]] | None = None
        for training, held_out in pairs:
            run_ids = _runs_with_both(evidence, task, values[training], values[held_out])
            if len(run_ids) < thresholds.fewest_runs:
                continue
            trained, held = (
                np.fromiter(map(values[key].__getitem__, run_ids), np.float64, len(run_ids))
                for key in (training, held_out)
            )
            margin = _margin(trained, held, evidence.study.greater_is_better(held_out) is True, thresholds)
            if margin is not None and (widest is None or margin > widest[0]):
                widest = (margin, (training, held_out), run_ids)
        if widest is not None:
            findings.append(_finding(evidence, task, widest[1], widest[2], values))
    return findings


def _runs_with_both(
    evidence: Evidence, task: Task, trained: Mapping[str, float], held: Mapping[str, float]
) -> tuple[str, ...]:
    """The runs of a task that are included in comparisons and have both metrics."""
    compared = evidence.compared[task.experiment_id]
    return tuple([run_id for run_id in compared if run_id in trained and run_id in held])


@np.errstate(all="ignore")
def _margin(
    trained: npt.NDArray[np.float64], held: npt.NDArray[np.float64], higher: bool, limits: Thresholds
) -> float | None:
    """The median advantage of held-out data as a share of the remaining training error; None if it is not large."""
    ahead = held - trained if higher else trained - held
    is_share = higher and min(trained.min(), held.min()) >= 0 and max(trained.max(), held.max()) <= 1
    left = 1 - trained if is_share else np.abs(trained)
    share = ahead / left
    much = np.median(share) >= limits.margin and share.min() >= limits.margin / 2
    steady = len(ahead) == limits.fewest_runs or np.median(ahead) > limits.spreads * ahead.std(ddof=1) / np.sqrt(2)
    return float(np.median(share)) if ahead.min() > 0 and much and steady else None


def _finding(
    evidence: Evidence,
    task: Task,
    pair: tuple[str, str],
    run_ids: tuple[str, ...],
    values: Mapping[str, Mapping[str, float]],
) -> Finding:
    training, held_out = (sorted(values[key][run_id] for run_id in run_ids)[len(run_ids) // 2] for key in pair)
    keys = ", ".join(expressions.metric(evidence, key) for key in pair)
    every = "both runs" if len(run_ids) == 2 else f"all {len(run_ids):,} runs"
    return Finding(
        "leak",
        "problem",
        "warning",
        f"{evidence.prefix(task)}{pair[1]} is better than {pair[0]} in {every} ({number(held_out)} against "
        f"{number(training)} in the median): held-out data may have leaked into training, or training is measured with "
        "dropout or augmentation.",
        run_ids,
        pair,
        numbers=(Number("held-out, median", held_out), Number("training, median", training)),
        section="metrics",
        code=f"runs.metrics[[{keys}]]",
        next="Measure training data as held-out data is measured (evaluation mode, no augmentation); if the gap stays, "
        "look for rows that are in both.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "leak",
    "a held-out metric is much better than the training metric in every run of a task",
    "",
    Thresholds(),
    find,
)
