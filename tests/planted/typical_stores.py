"""Typical synthetic stores with known truth: folds, trade-offs, pruned trials, percentages, many constant params."""

from __future__ import annotations

import math
import random

from .facts import Fact, Planted
from .store import PlantedStore, Run

WINNER = ("best_configuration",)
RELATION = ("matters", "monotone")


def deciding_category(seed: int) -> Planted:
    """A random search in which the optimizer decides and the numeric params have no effect."""
    rng = random.Random(seed)
    gains = {"adam": 0.06, "sgd": 0.0, "lion": 0.03}
    runs = []
    for i in range(30):
        kind = list(gains)[i % 3]
        params = {"optimizer": kind, "lr": 10 ** rng.uniform(-4, -2), "dropout": round(rng.uniform(0, 0.5), 3)}
        runs.append(Run(f"t{i}", params, {"eval_f1": 0.7 + gains[kind] + rng.gauss(0, 0.01)}))
    return Planted(
        "deciding_category", PlantedStore({"search": runs}), [Fact(RELATION, keys={"optimizer"})],
        allowed=(*WINNER, "factor_effect"),
    )  # fmt: skip


def folds(seed: int) -> Planted:
    """Two models on the same five folds; the folds differ more than the models, and one model is better on each."""
    rng = random.Random(seed)
    levels = [0.70, 0.75, 0.62, 0.81, 0.68]
    runs = [
        Run(f"{model}-f{fold}", {"model": model, "fold": fold, "n_folds": 5},
            {"val_auc": level + gain + rng.gauss(0, 0.003)})
        for fold, level in enumerate(levels) for model, gain in (("xgb", 0.03), ("logreg", 0.0))
    ]  # fmt: skip
    best = {f"xgb-f{fold}" for fold in range(5)}
    return Planted(
        "folds", PlantedStore({"cv": runs}), [Fact(WINNER, best, words=("xgb",))],
        allowed=("factor_effect", "seeds_vary_more"),
    )  # fmt: skip


def quality_against_latency(seed: int) -> Planted:
    """Larger models are better and slower: the objective and a cost are opposed over twelve configurations."""
    rng = random.Random(seed)
    runs = [
        Run(f"m{i}-{s}", {"layers": i + 2, "seed": s},
            {"val_acc": 0.6 + 0.02 * i + rng.gauss(0, 0.002), "latency_ms": 5 + 3 * i + rng.gauss(0, 0.2)})
        for i in range(12) for s in range(3)
    ]  # fmt: skip
    return Planted(
        "quality_against_latency", PlantedStore({"sizes": runs}),
        [Fact(("trade_offs",), keys={"val_acc", "latency_ms"}), Fact((*RELATION, "edge"), keys={"layers"})],
        allowed=(*WINNER, "edge", *RELATION),
    )  # fmt: skip


def pruned_trials(seed: int) -> Planted:
    """An Optuna study through MLflow: pruned trials have a tag that says so and are excluded from comparisons."""
    rng = random.Random(seed)
    runs = []
    for i in range(24):
        lr, pruned = 10 ** rng.uniform(-5, -1), i % 4 == 3
        value = 0.9 - 0.07 * abs(math.log10(lr) + 1) + rng.gauss(0, 0.005)
        state = "PRUNED" if pruned else "COMPLETE"
        tags = {"direction": "MAXIMIZE", "state": f"TrialState.{state}", "number": i}
        runs.append(Run(f"{i}", {"lr": lr}, {"value": 0.9876 if pruned else value}, tags))
    best = max((run for run in runs if "COMPLETE" in run.tags["state"]), key=lambda run: run.metrics["value"])
    return Planted(
        "pruned_trials", PlantedStore({"study": runs}), [Fact(WINNER, {best.name})],
        allowed=(*RELATION, "edge"), never=("0.9876",),
    )  # fmt: skip


def many_constants(seed: int) -> Planted:
    """Autologging of scikit-learn: forty constant params, one that varies, and training metrics only."""
    rng = random.Random(seed)
    constants = {f"option_{i}": "None" for i in range(40)}
    runs = [
        Run(f"depth{depth}-{s}", {**constants, "max_depth": depth, "random_state": s}, {
            "training_accuracy_score": 0.7 + 0.05 * i + rng.gauss(0, 0.004),
            "training_log_loss": 0.6 - 0.05 * i + rng.gauss(0, 0.004),
        })
        for i, depth in enumerate((2, 4, 8)) for s in range(5)
    ]  # fmt: skip
    return Planted(
        "many_constants", PlantedStore({"trees": runs}), [Fact(WINNER, {f"depth8-{s}" for s in range(5)}, words=("8",))],
        allowed=("factor_effect", "edge", *RELATION), never=("option_",),
    )  # fmt: skip


def negative_scores(seed: int) -> Planted:
    """Scores of scikit-learn that are negated errors, so that higher is better."""
    rng = random.Random(seed)
    runs = [
        Run(f"{model}-{s}", {"model": model, "random_state": s},
            {"test_neg_mean_squared_error": -mse + rng.gauss(0, 0.2), "fit_time": rng.uniform(1, 2)})
        for model, mse in (("ridge", 12.0), ("lasso", 15.0), ("knn", 19.0)) for s in range(6)
    ]  # fmt: skip
    best = {f"ridge-{s}" for s in range(6)}
    return Planted(
        "negative_scores", PlantedStore({"cv": runs}), [Fact(WINNER, best, words=("ridge",))],
        allowed=("factor_effect", "trade_offs"),
    )  # fmt: skip


def percentages(seed: int) -> Planted:
    """Accuracies in percent, near the top: no interval may exceed 100."""
    rng = random.Random(seed)
    runs = [
        Run(f"{aug}-{s}", {"augmentation": aug, "seed": s}, {"test_acc": min(100.0, level + rng.gauss(0, 0.25))})
        for aug, level in (("none", 96.0), ("mixup", 99.2), ("cutmix", 99.1)) for s in range(4)
    ]  # fmt: skip
    level = {f"{aug}-{s}" for aug in ("mixup", "cutmix") for s in range(4)}
    return Planted(
        "percentages", PlantedStore({"mnist": runs}), [Fact(WINNER, level, words=("none",))],
        allowed=("factor_effect",), never=("100.", "101"),
    )  # fmt: skip


def unfinished_leader(seed: int) -> Planted:
    """A running run has the best value so far; the leader is among the finished ones."""
    rng = random.Random(seed)
    runs = [
        Run(f"r{i}", {"lr": 0.1 / (i + 1)}, {"val_acc": [(s, 0.5 + 0.01 * i + 0.001 * s) for s in range(40)]})
        for i in range(6)
    ]
    going = [(s, 0.7 + 0.001 * s + rng.gauss(0, 1e-4)) for s in range(12)]
    runs.append(Run("going", {"lr": 0.5}, {"val_acc": going}, status="RUNNING"))
    return Planted(
        "unfinished_leader", PlantedStore({"runs": runs}), [Fact(WINNER, {"r5"})],
        allowed=("unfinished", "unequal_budgets", "edge", "monotone", "still_improving"),
    )  # fmt: skip


def one_param_for_all(seed: int) -> Planted:
    """No param varies and there is no seed: eight runs of one configuration that differ only by luck."""
    rng = random.Random(seed)
    runs = [Run(f"again{i}", {"lr": 0.1, "epochs": 10}, {"val_loss": 0.4 + rng.gauss(0, 0.01)}) for i in range(8)]
    return Planted(
        "one_param_for_all", PlantedStore({"again": runs}), [Fact(WINNER, {run.name for run in runs}, words=("n = 8",))]
    )


def no_direction(seed: int) -> Planted:
    """A metric of unknown direction: no leader, but a finding that says how to set the direction."""
    rng = random.Random(seed)
    runs = [Run(f"r{i}", {"alpha": i, "seed": 0}, {"quux": rng.gauss(5, 1)}) for i in range(6)]
    return Planted("no_direction", PlantedStore({"odd": runs}), [Fact(("unknown_direction",), keys={"quux"})])


SHAPES = (
    deciding_category, folds, quality_against_latency, pruned_trials, many_constants, negative_scores, percentages,
    unfinished_leader, one_param_for_all, no_direction,
)  # fmt: skip
