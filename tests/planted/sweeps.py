"""Synthetic stores with known truth about configurations: sweeps, ablations, interactions, seeds, copies, tags."""

from __future__ import annotations

import math
import random

from .facts import Fact, Planted
from .store import PlantedStore, Run

WINNER = ("best_configuration",)
RELATION = ("matters", "monotone")


def random_sweep(seed: int) -> Planted:
    """One param decides, and two have no effect."""
    rng = random.Random(seed)
    runs = []
    for i in range(36):
        lr, dropout, decay = 10 ** rng.uniform(-5, -1), rng.uniform(0, 0.5), 10 ** rng.uniform(-6, -2)
        value = 0.9 - 0.06 * abs(math.log10(lr) + 1) + rng.gauss(0, 0.008)
        runs.append(Run(f"t{i}", {"lr": lr, "dropout": dropout, "weight_decay": decay}, {"val_acc": value}))
    return Planted(
        "random_sweep", PlantedStore({"sweep": runs}), [Fact(RELATION, keys={"lr"})],
        allowed=(*WINNER, "edge"),
    )  # fmt: skip


def grid_sweep(seed: int) -> Planted:
    """A grid of two additive factors over three seeds; one configuration is best by far."""
    rng = random.Random(seed)
    gains = {16: 0.0, 32: 0.05, 64: 0.08, 128: 0.02}
    runs = [
        Run(
            f"w{width}-{kind}-{s}", {"width": width, "activation": kind, "seed": s},
            {"val_acc": 0.7 + gain + 0.06 * (kind == "gelu") + rng.gauss(0, 0.003)},
        )
        for width, gain in gains.items() for kind in ("relu", "gelu") for s in range(3)
    ]  # fmt: skip
    best = {f"w64-gelu-{s}" for s in range(3)}
    return Planted(
        "grid_sweep", PlantedStore({"grid": runs}), [Fact(WINNER, best, words=("64", "gelu"))],
        allowed=("factor_effect", *RELATION),
    )  # fmt: skip


def interaction(seed: int) -> Planted:
    """The best optimizer depends on the schedule: two configurations lead together."""
    rng = random.Random(seed)
    runs = [
        Run(f"{opt}-{sched}-{s}", {"optimizer": opt, "schedule": sched, "seed": s},
            {"test_f1": (0.85 if (opt == "adam") == (sched == "cosine") else 0.65) + rng.gauss(0, 0.006)})
        for opt in ("adam", "sgd") for sched in ("cosine", "step") for s in range(5)
    ]  # fmt: skip
    leaders = {f"{pair}-{s}" for pair in ("adam-cosine", "sgd-step") for s in range(5)}
    return Planted(
        "interaction", PlantedStore({"both": runs}),
        [Fact(WINNER, leaders), Fact(("interaction",), keys={"optimizer", "schedule"})],
    )  # fmt: skip


def nested_sweep(seed: int) -> Planted:
    """Two parents that repeat the best value of their children; only the children are compared."""
    rng = random.Random(seed)
    runs, children = [], {}
    for parent, level in (("sweep-a", 0.70), ("sweep-b", 0.82)):
        values = [level + rng.gauss(0, 0.01) for _ in range(5)]
        runs.append(Run(parent, {"n_trials": 5}, {"val_auc": max(values)}))
        for s, value in enumerate(values):
            children[f"{parent}-{s}"] = value
            model = "cnn" if parent == "sweep-a" else "vit"
            runs.append(Run(f"{parent}-{s}", {"model": model, "seed": s}, {"val_auc": value}, parent=parent))
    best = {name for name in children if name.startswith("sweep-b")}
    return Planted(
        "nested_sweep", PlantedStore({"nested": runs}), [Fact(WINNER, best, words=("vit",))],
        allowed=("factor_effect", *RELATION), never=("n_trials",),
    )  # fmt: skip


def ablation(seed: int) -> Planted:
    """A full model and two ablations, one of which has no effect."""
    rng = random.Random(seed)
    levels = {"full": 0.88, "no_aug": 0.879, "no_skip": 0.80}
    runs = [
        Run(f"{kind}-{s}", {"variant": kind, "seed": s}, {"val_dice": level + rng.gauss(0, 0.006)})
        for kind, level in levels.items() for s in range(5)
    ]  # fmt: skip
    level = {f"{kind}-{s}" for kind in ("full", "no_aug") for s in range(5)}
    return Planted(
        "ablation", PlantedStore({"ablation": runs}), [Fact(WINNER, level, words=("no_skip",))],
        allowed=("factor_effect", *RELATION),
    )  # fmt: skip


def confounded(seed: int) -> Planted:
    """Two sides meant to differ in one param also differ in another one and in the commit."""
    rng = random.Random(seed)
    runs = [
        Run(f"{loss}-{s}", {"loss": loss, "hidden": hidden, "seed": s}, {"val_map": level + rng.gauss(0, 0.006)},
            tags={"mlflow.source.git.commit": commit * 40})
        for loss, hidden, level, commit in (("focal", 256, 0.62, "a"), ("ce", 128, 0.55, "b")) for s in range(5)
    ]  # fmt: skip
    return Planted(
        "confounded", PlantedStore({"confounded": runs}),
        [Fact(("confounded",), {run.name for run in runs}), Fact(WINNER, {f"focal-{s}" for s in range(5)})],
        allowed=(),
    )  # fmt: skip


def many_configurations(seed: int) -> Planted:
    """Forty configurations of three seeds; width decides, and the rest has no effect."""
    rng = random.Random(seed)
    widths = [8 * 2 ** (i % 8) for i in range(40)]
    runs = [
        Run(f"c{i}-{s}", {"width": width, "group": i // 8, "seed": s},
            {"val_r2": 0.5 + 0.05 * math.log2(width) + rng.gauss(0, 0.01)})
        for i, width in enumerate(widths) for s in range(3)
    ]  # fmt: skip
    return Planted(
        "many_configurations", PlantedStore({"many": runs}), [Fact(RELATION, keys={"width"})],
        allowed=(*WINNER, "edge", "factor_effect"),
    )  # fmt: skip


def tags_as_factors(seed: int) -> Planted:
    """A tag says which of two methods ran on each of seven data sets."""
    rng = random.Random(seed)
    runs = [
        Run(f"{method}-d{i}", {"dataset": f"d{i}", "random_state": 7},
            {"roc_auc": 0.6 + 0.04 * i + gain + rng.gauss(0, 0.008)}, tags={"method": method, "host": f"node{i % 3}"})
        for i in range(7) for method, gain in (("boosted", 0.1), ("linear", 0.0))
    ]  # fmt: skip
    return Planted(
        "tags_as_factors", PlantedStore({"bench": runs}),
        [Fact(("factor_effect",), {run.name for run in runs}, words=("boosted", "linear", "7 of 7"))],
        allowed=(*WINNER, *RELATION),
    )  # fmt: skip


def edge_of_the_range(seed: int) -> Planted:
    """The largest value tried is the best, and each step towards it was better."""
    rng = random.Random(seed)
    runs = [
        Run(f"d{depth}-{s}", {"depth": depth, "seed": s}, {"val_f1": 0.5 + 0.07 * i + rng.gauss(0, 0.004)})
        for i, depth in enumerate((2, 4, 8, 16)) for s in range(5)
    ]  # fmt: skip
    best = {f"d16-{s}" for s in range(5)}
    return Planted(
        "edge_of_the_range", PlantedStore({"edge": runs}), [Fact(("edge",), best, {"depth"}), Fact(WINNER, best)],
        allowed=(*RELATION, "factor_effect"),
    )  # fmt: skip


def copies(seed: int) -> Planted:
    """One computation logged five times, and six real repeats of another configuration that are no better."""
    rng = random.Random(seed)
    value = rng.gauss(0.8, 0.01)
    runs = [Run(f"a{i}", {"depth": 3, "random_state": 1}, {"test_accuracy": value}) for i in range(5)]
    runs += [
        Run(f"b{s}", {"depth": 5, "random_state": s}, {"test_accuracy": 0.8 + rng.gauss(0, 0.01)}) for s in range(6)
    ]
    return Planted(
        "copies", PlantedStore({"copies": runs}), [Fact(("duplicates",), {f"a{i}" for i in range(5)})],
        allowed=WINNER, never=("n = 5",),
    )  # fmt: skip


def seed_collapse(seed: int) -> Planted:
    """One seed of one configuration falls to chance level."""
    rng = random.Random(seed)
    runs = [
        Run(f"{model}-{s}", {"model": model, "seed": s},
            {"val_acc": 0.1 if (model, s) == ("b", 2) else 0.9 + rng.gauss(0, 0.004)})
        for model in "abc" for s in range(6)
    ]  # fmt: skip
    return Planted(
        "seed_collapse", PlantedStore({"seeds": runs}), [Fact(("seed_collapse",), {"b-2"})],
        allowed=(*WINNER, "seeds_vary_more"),
    )  # fmt: skip


def two_tasks(seed: int) -> Planted:
    """Two experiments of different scale, each with a best configuration of its own."""
    rng = random.Random(seed)
    experiments = {
        task: [
            Run(f"{task}-{lr}-{s}", {"lr": lr, "seed": s}, {"val_mae": scale * (1 + cost) + rng.gauss(0, scale / 200)})
            for lr, cost in ((0.1, 0.0), (0.01, 0.2), (0.001, 0.1)) for s in range(4)
        ]
        for task, scale in (("houses", 100.0), ("rents", 4.0))
    }  # fmt: skip
    return Planted(
        "two_tasks", PlantedStore(experiments),
        [Fact(WINNER, {f"{task}-0.1-{s}" for s in range(4)}) for task in experiments],
        allowed=("factor_effect",),
    )  # fmt: skip


def out_of_memory(seed: int) -> Planted:
    """Runs fail only with large batches of the large model."""
    rng = random.Random(seed)
    runs = []
    for i, (size, batch, _) in enumerate(
        (size, batch, k) for size in ("small", "large") for batch in (64, 256, 512, 1024) for k in range(4)
    ):
        fails = size == "large" and batch >= 512
        metrics = {} if fails else {"val_acc": 0.8 + rng.gauss(0, 0.01)}
        runs.append(
            Run(
                f"r{i}",
                {"model": size, "batch_size": batch, "seed": i},
                metrics,
                status="FAILED" if fails else "FINISHED",
            )
        )
    failed = {run.name for run in runs if run.status == "FAILED"}
    return Planted(
        "out_of_memory", PlantedStore({"oom": runs}), [Fact(("failed_apart",), failed, {"model", "batch_size"})],
        allowed=(*WINNER, "failed", "seeds_vary_more"),
    )  # fmt: skip


def noise(seed: int) -> Planted:
    """No differences: some configurations, some seeds, and params without effect."""
    rng = random.Random(seed)
    k, n = rng.choice([(2, 3), (2, 5), (3, 3), (4, 5), (6, 3), (6, 5), (12, 3), (24, 2), (40, 1)])
    configurations = [
        {"lr": 10 ** rng.uniform(-4, -1), "width": rng.randint(1, 500), "model": rng.choice("ab")} for _ in range(k)
    ]
    runs = [
        Run(f"k{i}-{s}", {**one, "seed": s}, {"val_acc": 0.8 + rng.gauss(0, 0.02)})
        for i, one in enumerate(configurations) for s in range(n)
    ]  # fmt: skip
    return Planted("noise", PlantedStore({"noise": runs}), [])


SHAPES = (
    random_sweep, grid_sweep, interaction, nested_sweep, ablation, confounded, many_configurations, tags_as_factors,
    edge_of_the_range, copies, seed_collapse, two_tasks, out_of_memory,
)  # fmt: skip
