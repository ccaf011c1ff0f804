"""Which metric is the one that matters, and whether more of it is better."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.inventory import Inventory, MetricCount

# The tags in which MLflow keeps an experiment's primary metric (mlflow.utils.mlflow_tags).
NAME_TAG = "mlflow.experiment.primaryMetric.name"
GREATER_TAG = "mlflow.experiment.primaryMetric.greaterIsBetter"

_LOWER_IS_BETTER = re.compile(
    r"loss|err(or)?|mse|rmse|mae|mape|msle|nll|perplexity|ppl|divergence|distance|latency|time|duration|seconds|"
    r"cost|regret|deviance|brier|ece|fid|wer|cer|bpb|bits|hamming|inertia|logloss|crossentropy|entropy|l1|l2"
)
_GREATER_IS_BETTER = re.compile(
    r"acc(uracy)?|auc|auroc|auprc|roc|f1|fbeta|f_score|precision|prec|recall|sensitivity|specificity|score|r2|"
    r"r_squared|iou|dice|map|ndcg|mrr|bleu|rouge|meteor|kappa|mcc|reward|return|gain|correlation|corr|pearson|"
    r"spearman|hit|throughput|sharpe|psnr|ssim|balanced|likelihood|elbo|silhouette|profit|win"
)
_WORD = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])")
_HELD_OUT = (re.compile(r"val|valid|validation|dev|eval|cv"), re.compile(r"test|holdout|oof"))


def direction_of(metric: str) -> bool | None:
    """Whether more is better, by the words of the metric's name; None when they do not say.

    The last telling word decides: `accuracy_loss` is a loss.
    """
    verdict: bool | None = None
    for word in _WORD.split(metric):
        lower = word.lower()
        if _LOWER_IS_BETTER.fullmatch(lower) or lower.endswith(("loss", "error", "mse", "mae")):
            verdict = False
        elif _GREATER_IS_BETTER.fullmatch(lower) or lower.endswith(("acc", "accuracy", "auc", "score", "f1")):
            verdict = True
    return verdict


def find_primary_metric(inventory: Inventory, experiment_tags: pa.Table) -> tuple[str | None, bool | None]:
    """The metric to rank by, and whether more of it is better (None where nothing says so).

    First what the experiments' tags name, when they agree and a run has it; else, by name: a metric of held-out
    data before one of training, a score before a loss, one that more runs have, one that varies. None of none.
    """
    metrics = {metric.key: metric for metric in inventory.model_metrics}
    named = _tagged(experiment_tags, NAME_TAG)
    if named in metrics:
        said = _tagged(experiment_tags, GREATER_TAG)
        direction = direction_of(named) if said is None else said.strip().lower() == "true"
        return named, direction
    if not metrics:
        return None, None
    best = min(metrics.values(), key=lambda metric: _rank(metric, inventory.run_count))
    return best.key, direction_of(best.key)


def rank_metrics(inventory: Inventory, primary: str | None) -> list[MetricCount]:
    """The metrics of the model, the primary one first, then scores and losses, of most runs, of held-out data."""
    return sorted(
        inventory.model_metrics,
        key=lambda metric: (
            metric.key != primary,
            direction_of(metric.key) is None,  # a score or a loss before the likes of an epoch or a rate
            -metric.runs,
            _held_out(metric.key),
            not metric.stepped,
            metric.key,
        ),
    )


def _held_out(metric: str) -> int:
    """0 for a metric of validation data, 1 of test data, 2 of neither, by the words of its name."""
    words = [word.lower() for word in _WORD.split(metric)]
    return next((place for place, known in enumerate(_HELD_OUT) if any(map(known.fullmatch, words))), len(_HELD_OUT))


def _tagged(experiment_tags: pa.Table, key: str) -> str | None:
    """The value of a tag when every experiment that has it says the same."""
    values = {row["value"] for row in experiment_tags.to_pylist() if row["key"] == key}
    return values.pop() if len(values) == 1 else None


def _rank(metric: MetricCount, run_count: int) -> tuple[int, bool, int, int, str]:
    """Lower is preferred; the name last, so that the choice never depends on an order of reading."""
    kind = {True: 0, False: 1, None: 2}[direction_of(metric.key)]
    return (-round(4 * metric.runs / run_count), metric.values < 2 < run_count, _held_out(metric.key), kind, metric.key)
