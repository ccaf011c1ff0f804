"""Synthetic stores of training curves with known truth: healthy ones of several kinds of training, and failures."""

from __future__ import annotations

import math
import random

from .facts import Fact, Planted
from .store import START, PlantedStore, Run

WINNER = ("best_configuration",)
NO_PROBLEM_WORDS = ("diverge", "overfit", "spike", "collapse", "oscillat")


def _series(values):
    return list(enumerate(values))


def _healthy(rng, steps=60, *, level=0.85):
    """Losses that fall and a score that rises, with noise."""
    fall = [math.exp(-i / (steps / 6)) for i in range(steps)]
    return {
        "train_loss": _series(0.2 + f + rng.gauss(0, 0.01) for f in fall),
        "val_loss": _series(0.3 + f + rng.gauss(0, 0.015) for f in fall),
        "val_acc": _series(level - 0.6 * f + rng.gauss(0, 0.006) for f in fall),
    }


def gan(seed: int) -> Planted:
    """Healthy GANs: the losses of generator and discriminator fluctuate while FID falls."""
    rng = random.Random(seed)

    def losses(first, level):
        return _series(first if i == 0 else abs(level + rng.gauss(0, 0.4)) for i in range(60))

    runs = [
        Run(f"g{i}", {"z_dim": 32 * (i + 1)}, {
            "loss/G": losses(0.005, 2.5), "loss/D": losses(0.4, 0.7),
            "fid": [(s, 30 + 60 * math.exp(-s / 15) + 2 * i + rng.gauss(0, 0.3)) for s in range(0, 60, 5)],
        }) for i in range(6)
    ]  # fmt: skip
    return Planted(
        "gan", PlantedStore({"gan": runs}), [Fact(WINNER, {"g0"})], allowed=("monotone", "edge"), never=NO_PROBLEM_WORDS
    )


def vae(seed: int) -> Planted:
    """Healthy VAEs: the KL term rises from almost zero while the loss falls."""
    rng = random.Random(seed)
    runs = []
    for i in range(6):
        kl = [max(1e-4, 12 * (1 - math.exp(-s / 10)) + rng.gauss(0, 0.1)) if s else 1e-4 for s in range(60)]
        recon = [90 * math.exp(-s / 8) + 25 + i + rng.gauss(0, 0.3) for s in range(60)]
        total = [a + b for a, b in zip(kl, recon, strict=True)]
        runs.append(
            Run(f"v{i}", {"latent_dim": 2 ** (i + 2)}, {
                "kl_loss": _series(kl), "recon_loss": _series(recon), "train_loss": _series(total),
                "val_loss": _series(v + 2 + rng.gauss(0, 0.2) for v in total),
            })
        )  # fmt: skip
    return Planted(
        "vae",
        PlantedStore({"vae": runs}),
        [Fact(WINNER, {"v0"})],
        allowed=("monotone", "edge", "plateau"),
        never=NO_PROBLEM_WORDS,
    )


def ppo(seed: int) -> Planted:
    """Healthy PPO: the value loss grows with the returns."""
    rng = random.Random(seed)
    runs = []
    for clip in (0.1, 0.2, 0.3):
        for s in range(4):
            returns = [200 * (1 - math.exp(-i / 20)) * (1.5 - 2 * clip) + rng.gauss(0, 4) for i in range(80)]
            runs.append(
                Run(f"p{clip}-{s}", {"clip_range": clip, "seed": s}, {
                    "rollout/ep_rew_mean": _series(returns),
                    "train/value_loss": _series(abs(0.01 + (max(r, 0) ** 2) / 400 + rng.gauss(0, 1)) for r in returns),
                    "train/approx_kl": _series(abs(rng.gauss(0.01, 0.003)) for _ in returns),
                    "train/entropy_loss": _series(-1.3 + i / 100 for i in range(80)),
                })
            )  # fmt: skip
    return Planted(
        "ppo", PlantedStore({"ppo": runs}), [Fact(WINNER, {f"p0.1-{s}" for s in range(4)})],
        allowed=("factor_effect", "edge", "plateau"), never=NO_PROBLEM_WORDS,
    )  # fmt: skip


def warm_up(seed: int) -> Planted:
    """The loss rises during the warm-up of the learning rate and then falls as it should."""
    rng = random.Random(seed)
    runs = []
    for i in range(6):
        loss = [2.3 + 0.8 * s / 8 if s < 8 else 0.3 + 2.8 * math.exp(-(s - 8) / 12) for s in range(70)]
        runs.append(Run(f"w{i}", {"hidden": 64 + i}, {
            "train_loss": _series(v + rng.gauss(0, 0.02) for v in loss),
            "val_loss": _series(v + 0.1 + rng.gauss(0, 0.02) for v in loss),
        }))  # fmt: skip
    return Planted("warm_up", PlantedStore({"warm": runs}), [], allowed=(*WINNER, "plateau"), never=NO_PROBLEM_WORDS)


def cyclic(seed: int) -> Planted:
    """Warm restarts: the loss jumps up at each restart and ends lower every time."""
    rng = random.Random(seed)
    runs = []
    for i in range(6):
        loss = [0.4 + 1.5 * math.exp(-s / 40) + 0.5 * (1 - (s % 20) / 20) for s in range(100)]
        runs.append(Run(f"c{i}", {"hidden": 64 + i}, {
            "train_loss": _series(v + rng.gauss(0, 0.02) for v in loss),
            "val_loss": _series(v + 0.1 + rng.gauss(0, 0.02) for v in loss),
        }))  # fmt: skip
    return Planted("cyclic", PlantedStore({"cyclic": runs}), [], allowed=(*WINNER, "oscillation"),
                   never=("diverge", "overfit", "spike", "collapse"))  # fmt: skip


def saturated(seed: int) -> Planted:
    """Every run reaches the maximum accuracy, so there is nothing left to compare."""
    rng = random.Random(seed)
    runs = [
        Run(f"s{i}", {"lr": 10 ** rng.uniform(-4, -2)}, {"val_acc": 1.0, "train_time": rng.uniform(50, 80)})
        for i in range(12)
    ]
    return Planted("saturated", PlantedStore({"easy": runs}), [Fact(("saturated",), keys={"val_acc"})], allowed=WINNER)


def divergence(seed: int) -> Planted:
    """Three of twelve runs diverge from some step on, and one of them ends as NaN."""
    rng = random.Random(seed)
    runs, bad = [], set()
    for i in range(12):
        metrics = _healthy(rng)
        if i in (2, 5, 9):
            at = rng.randint(20, 45)
            for key in ("train_loss", "val_loss"):
                metrics[key] = [
                    (s, v if s < at else math.nan if i == 9 and s > at + 3 else 5.0 * 1.4 ** (s - at))
                    for s, v in metrics[key]
                ]
            metrics["val_acc"] = [(s, v if s < at else 0.1 + rng.gauss(0, 0.005)) for s, v in metrics["val_acc"]]
            bad.add(f"r{i}")
        runs.append(Run(f"r{i}", {"lr": 0.1 if i in (2, 5, 9) else 0.01, "width": 2 ** (i % 3), "seed": i}, metrics))
    return Planted(
        "divergence", PlantedStore({"explodes": runs}), [Fact(("diverged",), bad)],
        allowed=(*WINNER, "non_finite", "plateau", "failed_apart", "seeds_vary_more"), never=("overfit", "collapse"),
    )  # fmt: skip


def overfitting(seed: int) -> Planted:
    """In three of ten runs the held-out loss rises again while the training loss keeps falling."""
    rng = random.Random(seed)
    runs, bad = [], set()
    for i in range(10):
        metrics = _healthy(rng)
        if i < 3:
            metrics["val_loss"] = [(s, v + max(0, s - 20) * 0.02) for s, v in metrics["val_loss"]]
            metrics["train_loss"] = [(s, 0.02 + 1.2 * math.exp(-s / 25) + rng.gauss(0, 0.004)) for s in range(60)]
            metrics["val_acc"] = [(s, v - max(0, s - 20) * 0.002) for s, v in metrics["val_acc"]]
            bad.add(f"r{i}")
        runs.append(Run(f"r{i}", {"dropout": 0.0 if i < 3 else 0.3, "seed": i}, metrics))
    return Planted(
        "overfitting", PlantedStore({"overfits": runs}), [Fact(("overfitting",), bad)],
        allowed=(*WINNER, "plateau", "factor_effect"), never=("diverge", "collapse"),
    )  # fmt: skip


def late_collapse(seed: int) -> Planted:
    """Two of eight runs fall to chance level within three steps, near their end."""
    rng = random.Random(seed)
    runs, bad = [], set()
    for i in range(8):
        metrics = _healthy(rng)
        if i in (1, 4):
            metrics["val_acc"] = [(s, v if s < 54 else 0.1 + rng.gauss(0, 0.006)) for s, v in metrics["val_acc"]]
            bad.add(f"r{i}")
        runs.append(Run(f"r{i}", {"lr": 0.01, "seed": i}, metrics))
    return Planted(
        "late_collapse", PlantedStore({"collapses": runs}), [Fact(("collapse",), bad)],
        allowed=(*WINNER, "plateau", "seed_collapse"), never=("overfit", "diverge"),
    )  # fmt: skip


def resumed(seed: int) -> Planted:
    """A training that stopped is continued in another run, with a gap of steps; both are one training."""
    rng = random.Random(seed)
    runs = [Run(f"r{i}", {"width": 2**i}, _healthy(rng, level=0.8 + 0.01 * i)) for i in range(5)]
    first, second = _healthy(rng, level=0.9), _healthy(rng, level=0.95)
    runs.append(Run("part-1", {"width": 64}, {k: v[:30] for k, v in first.items()}))
    runs.append(Run("part-2", {"width": 64}, {k: v[30:] for k, v in second.items()}, tags={"resumed_from": "part-1"}))
    return Planted(
        "resumed", PlantedStore({"resumed": runs}), [Fact(WINNER, {"part-2"})],
        allowed=("edge", "monotone", "step_gaps", "plateau"), never=("part-1",),
    )  # fmt: skip


def unequal_budgets(seed: int) -> Planted:
    """Two finished runs stopped after a quarter of the steps of the others."""
    rng = random.Random(seed)
    runs = []
    for i in range(8):
        metrics = _healthy(rng, 80)
        if i in (3, 6):
            metrics = {key: points[:20] for key, points in metrics.items()}
        runs.append(Run(f"r{i}", {"lr": 0.001 * (i + 1)}, metrics))
    return Planted(
        "unequal_budgets", PlantedStore({"budgets": runs}), [Fact(("unequal_budgets",), {"r3", "r6"})],
        allowed=(*WINNER, "plateau"),
    )  # fmt: skip


def leak(seed: int) -> Planted:
    """Held-out accuracy is far above training accuracy in every run."""
    rng = random.Random(seed)
    runs = [
        Run(f"r{i}", {"depth": i + 2}, {"train_acc": 0.72 + rng.gauss(0, 0.01), "val_acc": 0.93 + rng.gauss(0, 0.01)})
        for i in range(9)
    ]
    return Planted("leak", PlantedStore({"leak": runs}), [Fact(("leak",), {run.name for run in runs})], allowed=WINNER)


def never_learned(seed: int) -> Planted:
    """Two of nine runs stay at chance level from their first step on."""
    rng = random.Random(seed)
    runs, bad = [], {"r2", "r7"}
    for i in range(9):
        metrics = _healthy(rng)
        if f"r{i}" in bad:
            metrics = {
                "train_loss": _series(2.303 + rng.gauss(0, 0.003) for _ in range(60)),
                "val_loss": _series(2.303 + rng.gauss(0, 0.003) for _ in range(60)),
                "val_acc": _series(0.1 + rng.gauss(0, 0.003) for _ in range(60)),
            }
        runs.append(Run(f"r{i}", {"init": "zeros" if f"r{i}" in bad else "he", "seed": i}, metrics))
    return Planted(
        "never_learned", PlantedStore({"dead": runs}), [Fact(("never_learned",), bad)],
        allowed=(*WINNER, "plateau", "factor_effect", "monotone"), never=("overfit", "diverge"),
    )  # fmt: skip


def step_gaps(seed: int) -> Planted:
    """One run lacks a third of its steps; another logged some steps twice after a resume."""
    rng = random.Random(seed)
    runs = [Run(f"r{i}", {"width": 2**i}, _healthy(rng)) for i in range(6)]
    runs[1].metrics = {key: [p for p in points if not 20 <= p[0] < 42] for key, points in runs[1].metrics.items()}
    again = _healthy(rng)
    runs[4].metrics = {
        key: [(s, v, START + 1000 * s) for s, v in points if s < 40]
        + [(s, v, START + 1000 * (s + 300)) for s, v in again[key] if s >= 30]
        for key, points in runs[4].metrics.items()
    }
    return Planted(
        "step_gaps", PlantedStore({"gaps": runs}), [Fact(("step_gaps",), {"r1", "r4"})],
        allowed=(*WINNER, "plateau", "unequal_budgets"),
    )  # fmt: skip


SHAPES = (
    gan, vae, ppo, warm_up, cyclic, saturated, divergence, overfitting, late_collapse, resumed, unequal_budgets, leak,
    never_learned, step_gaps,
)  # fmt: skip
