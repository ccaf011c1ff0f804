"""Synthetic stores with known truth for rules that hardly any other store triggers."""

from __future__ import annotations

import math
import random

from .facts import Fact, Planted
from .store import PlantedStore, Run

WINNER = ("best_configuration",)
COMMIT = "mlflow.source.git.commit"


def _curve(rng, end):
    """A score that rises to its level within the first third and stays there."""
    return [end - 0.5 * math.exp(-step / 5) + rng.gauss(0, 0.004) for step in range(60)]


def oscillation(seed: int) -> Planted:
    """One of six runs oscillates around its level by as much as it has learned."""
    rng = random.Random(seed)
    runs = []
    for i in range(6):
        values = _curve(rng, 0.8 + i / 100)
        if i == 2:
            values = [value - 0.3 + 0.3 * math.sin(2 * math.pi * step / 10) for step, value in enumerate(values)]
        runs.append(Run(f"o{i}", {"lr": 10.0 ** (i - 6)}, {"val_acc": list(enumerate(values))}))
    return Planted(
        "oscillation", PlantedStore({"waves": runs}), [Fact(("oscillation",), {"o2"}, {"val_acc"})],
        allowed=(*WINNER, "plateau", "edge", "monotone"),
    )  # fmt: skip


def best_on_its_own_commit(seed: int) -> Planted:
    """The best of six runs has a commit of its own."""
    rng = random.Random(seed)
    runs = [
        Run(f"b{i}", {"depth": 3 * i % 7}, {"val_auc": 0.7 + 0.02 * i + rng.gauss(0, 0.001)},
            {COMMIT: ("c0ffee" if i == 5 else "decade") + "0" * 34})
        for i in range(6)
    ]  # fmt: skip
    return Planted(
        "best_on_its_own_commit", PlantedStore({"code": runs}), [Fact(("best_alone",), {"b5"})],
        allowed=(*WINNER, "edge"),
    )  # fmt: skip


def temporarily_non_finite(seed: int) -> Planted:
    """A gradient norm is NaN in three points of one run, which recovers."""
    rng = random.Random(seed)
    runs = []
    for i in range(4):
        norms = [1 + abs(rng.gauss(0, 0.2)) for _ in range(60)]
        if i == 1:
            norms[20:23] = [math.nan] * 3
        metrics = {"val_acc": list(enumerate(_curve(rng, 0.8 + i / 100))), "grad_norm": list(enumerate(norms))}
        runs.append(Run(f"n{i}", {"width": 2**i}, metrics))
    return Planted(
        "temporarily_non_finite", PlantedStore({"norms": runs}), [Fact(("non_finite",), {"n1"}, {"grad_norm"})],
        allowed=(*WINNER, "plateau", "edge"),
    )  # fmt: skip


def nearly_as_good_and_cheaper(seed: int) -> Planted:
    """The best model is hardly better than one with a tenth of its latency."""
    rng = random.Random(seed)
    kinds = {"large": (0.900, 100.0), "small": (0.899, 10.0), "tiny": (0.70, 2.0), "old": (0.60, 90.0)}
    luck = (-0.006, -0.002, 0.002, 0.006)
    runs = [
        Run(f"{kind}-{s}", {"model": kind, "seed": s}, {"val_acc": score + by, "latency_ms": cost + rng.gauss(0, 0.05)})
        for kind, (score, cost) in kinds.items()
        for s, by in enumerate(rng.sample(luck, 4))
    ]
    level = {f"{kind}-{s}" for kind in ("large", "small") for s in range(4)}
    return Planted(
        "nearly_as_good_and_cheaper", PlantedStore({"models": runs}), [Fact(("cheaper",), level, {"latency_ms"})],
        allowed=(*WINNER, "factor_effect"),
    )  # fmt: skip


def validation_unrelated_to_test(seed: int) -> Planted:
    """Twelve configurations whose ranking on validation data is unrelated to that on test data."""
    rng = random.Random(seed)
    tests = [6, 9, 2, 8, 4, 11, 1, 5, 10, 3, 7, 0]
    runs = [
        Run(f"c{i}-{s}", {"batch_size": 2**i, "seed": s},
            {"val_acc": 0.8 + 0.01 * tests[i - 3] + rng.gauss(0, 0.002), "test_acc": 0.75 + 0.01 * tests[i]})
        for i in range(12) for s in range(3)
    ]  # fmt: skip
    return Planted(
        "validation_unrelated_to_test", PlantedStore({"search": runs}),
        [Fact(("carries_over",), keys={"val_acc", "test_acc"})], allowed=(*WINNER, "factor_effect"),
    )  # fmt: skip


def still_learning(seed: int) -> Planted:
    """All runs stopped while their score was still rising."""
    rng = random.Random(seed)
    runs = [
        Run(f"s{i}", {"lr": [1e-4, 1e-3, 1e-2][i % 3], "seed": i // 3},
            {"val_acc": [(s, 0.2 + (0.5 + 0.03 * (i % 3)) * s / 40 + rng.gauss(0, 0.004)) for s in range(40)]})
        for i in range(9)
    ]  # fmt: skip
    return Planted(
        "still_learning", PlantedStore({"short": runs}),
        [Fact(("still_improving",), {f"s{i}" for i in range(9)}, {"val_acc"})],
        allowed=(*WINNER, "factor_effect", "edge"),
    )  # fmt: skip


def scores_that_were_not_computed(seed: int) -> Planted:
    """One of eight models has an AUC at exactly chance level, since it gives no probabilities."""
    rng = random.Random(seed)
    runs = [
        Run(f"a{i}", {"depth": 5 * i % 8}, {"val_auc": 0.5 if i == 3 else 0.8 + rng.gauss(0, 0.02)}) for i in range(8)
    ]
    return Planted(
        "scores_that_were_not_computed", PlantedStore({"models": runs}), [Fact(("not_computed",), {"a3"}, {"val_auc"})],
        allowed=WINNER,
    )  # fmt: skip


def percent_among_shares(seed: int) -> Planted:
    """Two of nine runs logged their accuracy in percent: the largest numbers, and not the best runs."""
    rng = random.Random(seed)
    runs = [
        Run(f"u{i}", {"depth": 5 * i % 9}, {"val_acc": (100 if i in (2, 5) else 1) * (0.8 + rng.gauss(0, 0.02))})
        for i in range(9)
    ]
    return Planted(
        "percent_among_shares", PlantedStore({"units": runs}), [Fact(("mixed_units",), {"u2", "u5"}, {"val_acc"})],
        allowed=WINNER, never=("u2", "u5"),
    )  # fmt: skip


SHAPES = (
    oscillation,
    best_on_its_own_commit,
    temporarily_non_finite,
    nearly_as_good_and_cheaper,
    validation_unrelated_to_test,
    still_learning,
    scores_that_were_not_computed,
    percent_among_shares,
)
