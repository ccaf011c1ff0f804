"""Generate the demo runs as plain values; the same seed gives the same runs.

The story: a team tunes two kinds of model on customer churn. It begins with a small sweep; larger batches run out of
memory; a learning rate of 1.0 diverges to NaN; a network without dropout overfits; one run is still running on newer
data.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import Literal

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
_STORY_LENGTH = 6 * DAY
_EPOCHS = 30
_SEEDS_PER_CONFIGURATION = 3

Status = Literal["FINISHED", "FAILED", "RUNNING"]
Params = dict[str, str | int | float]


@dataclass(frozen=True)
class Point:
    """One value of a metric; `at` is the time in ms after the start of the run."""

    key: str
    value: float
    step: int
    at: int


@dataclass(frozen=True)
class DemoRun:
    """One run to write; times are in ms relative to the time of writing (negative: before it).

    Attributes:
        parent: the index in the story of the parent run, or None.
        ending: the last lines of the log of a run that did not end well.
    """

    name: str
    status: Status
    start: int
    end: int | None
    params: Params
    points: tuple[Point, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    data_version: int = 1
    parent: int | None = None
    ending: str = ""

    @property
    def latest(self) -> dict[str, float]:
        """The last value of every metric."""
        return {point.key: point.value for point in self.points}


# Tried manually, in this order; random search follows.
_CONFIGURATIONS: tuple[Params, ...] = (
    {"model": "mlp", "lr": 0.003, "batch_size": 256, "dropout": 0.3, "depth": 3, "optimizer": "adam"},
    {"model": "mlp", "lr": 0.003, "batch_size": 256, "dropout": 0.0, "depth": 5, "optimizer": "adam"},  # overfits
    {"model": "gbm", "lr": 0.1, "depth": 6, "subsample": 0.8},
    {"model": "mlp", "lr": 0.0001, "batch_size": 128, "dropout": 0.3, "depth": 3, "optimizer": "adam"},  # too slow
    {"model": "gbm", "lr": 0.05, "depth": 10, "subsample": 1.0},
    {"model": "mlp", "lr": 0.01, "batch_size": 512, "dropout": 0.5, "depth": 2, "optimizer": "sgd"},
    {"model": "gbm", "lr": 0.2, "depth": 4, "subsample": 0.8},
)
_TOO_LARGE: Params = {**_CONFIGURATIONS[0], "batch_size": 4096}
_TOO_FAST: Params = {**_CONFIGURATIONS[0], "lr": 1.0, "optimizer": "sgd"}

_MEMORY_ERROR = "CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0; 7.79 GiB total capacity)"
_COMMITS = ("5d0c1e7a94b3f2268c1bd7f0e64a39c85b12fa07", "b81f4a60c72e9d35a0f68e1c24d97b5306fe8a1d")


def generate_story(count: int, seed: int = 0) -> list[DemoRun]:
    """Generate `count` runs in the order of their starts; a parent run is always the first.

    Args:
        count: the number of runs. From five on, there is a parent with children, at least one failed run, and one that
            diverges; from six on, one is still running.
        seed: the random seed.

    Returns:
        The runs.
    """
    failed = max(1, count // 10) if count >= 4 else 0
    diverged = 1 if count >= 3 else 0
    running = 1 if count >= 6 else 0
    parents = 1 if count >= 5 else 0
    finished = count - failed - diverged - running - parents

    runs = _finished_runs(finished, seed)
    before = max(2, len(runs) // 2)
    runs[before:before] = [
        *(_diverged_run(seed) for _ in range(diverged)),
        *(_failed_run(number, seed) for number in range(failed)),
    ]
    runs = _spread(runs, seed)
    if parents:
        # The runs of two configurations, or fewer where a run goes wrong before.
        runs = _nested_in_parent(runs, min(2 * _SEEDS_PER_CONFIGURATION, before))
    if running:
        runs.append(_running_run(seed))
    return runs


def _finished_runs(count: int, seed: int) -> list[DemoRun]:
    runs = []
    for index in range(count):
        number, seed_param = divmod(index, _SEEDS_PER_CONFIGURATION)
        configuration = _configuration(number, seed)
        name = f"{configuration['model']}-{number + 1:02d}-seed{seed_param}"
        runs.append(_trained_run(name, {**configuration, "epochs": _EPOCHS, "seed": seed_param}, seed))
    if runs:
        best = max(range(count), key=lambda index: runs[index].latest["val_auc"])
        note = "**Candidate for release.** Best validation AUC so far; ask Ana before deploying."
        runs[best] = replace(runs[best], tags={**runs[best].tags, "mlflow.note.content": note})
    return runs


def _configuration(number: int, seed: int) -> Params:
    if number < len(_CONFIGURATIONS):
        return _CONFIGURATIONS[number]
    rng = _rng(seed, "configuration", number)
    lr = float(f"{10 ** rng.uniform(-3.5, -1):.1g}")
    if rng.random() < 0.5:
        return {"model": "gbm", "lr": lr, "depth": rng.randint(3, 10), "subsample": rng.choice((0.6, 0.8, 1.0))}
    return {
        "model": "mlp",
        "lr": lr,
        "batch_size": rng.choice((128, 256, 512)),
        "dropout": rng.choice((0.0, 0.1, 0.3, 0.5)),
        "depth": rng.randint(2, 5),
        "optimizer": rng.choice(("adam", "sgd")),
    }


def _trained_run(name: str, params: Params, seed: int) -> DemoRun:
    """A finished run; its start is set later by `_spread`."""
    rng = _rng(seed, name)
    epoch_length = _epoch_length(params, rng)
    points = _learning_curves(params, rng, epoch_length)
    end = _EPOCHS * epoch_length + 20_000
    last = {point.key: point.value for point in points}
    for key in ("auc", "acc"):
        points.append(Point(f"test_{key}", round(last[f"val_{key}"] - abs(rng.gauss(0.004, 0.003)), 5), 0, end - 5_000))
    if params["seed"] == 0:
        points += _system_metrics(rng, end)
    return DemoRun(name, "FINISHED", 0, end, params, tuple(points), _tags(params))


def _learning_curves(params: Params, rng: random.Random, epoch_length: int) -> list[Point]:
    """Noisy learning curves: losses fall, and the validation AUC rises towards the maximum for these params."""
    lr = float(params["lr"])
    ceiling, overfitting, pace = _outcome_of(params)
    ceiling += rng.gauss(0, 0.003)
    points = []
    for epoch in range(_EPOCHS):
        at = (epoch + 1) * epoch_length
        learned = 1 - math.exp(-(epoch + 1) / pace)
        beyond = overfitting * max(0.0, epoch - 8) / _EPOCHS
        train_loss = 0.69 - (0.69 - 0.31) * learned - 0.6 * beyond
        val_loss = 0.69 - (0.69 - 0.36) * learned + beyond
        val_auc = 0.5 + (ceiling - 0.5) * learned - 0.12 * beyond
        values = {
            "train_loss": train_loss + rng.gauss(0, 0.004),
            "val_loss": val_loss + rng.gauss(0, 0.008),
            "val_auc": min(0.999, val_auc + rng.gauss(0, 0.003)),
            "val_acc": min(0.999, 0.73 + 0.36 * (val_auc - 0.5) + rng.gauss(0, 0.004)),
            "lr_now": lr * (1 + math.cos(math.pi * epoch / _EPOCHS)) / 2,
        }
        points += [Point(key, float(f"{value:.6g}"), epoch, at) for key, value in values.items()]
    return points


def _outcome_of(params: Params) -> tuple[float, float, float]:
    """(the highest AUC, the strength of overfitting, the time constant in epochs) of these params."""
    lr, depth = float(params["lr"]), int(params["depth"])
    pace = 3.5 * (0.003 / lr) ** 0.5
    if params["model"] == "gbm":
        pace = 3.5 * (0.1 / lr) ** 0.5
        return 0.872 - 0.0012 * (depth - 5) ** 2 - 0.01 * (float(params["subsample"]) - 0.8) ** 2, 0.02 * depth, pace
    distance = math.log10(lr / 0.003)
    slow = 1.6 if params["optimizer"] == "sgd" else 1.0
    dropout = float(params["dropout"])
    return 0.861 - 0.018 * distance**2 - 0.06 * (dropout - 0.3) ** 2, max(0.0, 0.3 - dropout) * depth / 3, pace * slow


def _system_metrics(rng: random.Random, end: int) -> list[Point]:
    """System metrics as MLflow's monitor logs them: every 10 seconds or longer, at most 20 times."""
    steps = min(20, end // 10_000)
    ranges = {
        "system/cpu_utilization_percentage": (35.0, 90.0),
        "system/system_memory_usage_percentage": (41.0, 47.0),
        "system/gpu_0_utilization_percentage": (60.0, 99.0),
    }
    return [
        Point(key, round(rng.uniform(low, high), 1), step, (step + 1) * (end // (steps + 1)))
        for key, (low, high) in ranges.items()
        for step in range(steps)
    ]


def _diverged_run(seed: int) -> DemoRun:
    """A run whose loss grows, overflows and is NaN until the end; nobody stopped it."""
    params: Params = {**_TOO_FAST, "epochs": _EPOCHS, "seed": 0}
    run = _trained_run("mlp-lr-too-high", params, seed)
    points = []
    for point in run.points:
        value = point.value
        if point.key in ("train_loss", "val_loss") and point.step >= 3:
            value = 0.7 * 9.0 ** (point.step - 2) if point.step < 11 else math.inf if point.step == 11 else math.nan
        elif point.key in ("val_auc", "val_acc") and point.step >= 3:
            value = 0.5 if point.step < 11 else math.nan
        elif point.key.startswith("test_"):
            value = math.nan
        points.append(replace(point, value=value))
    return replace(run, points=tuple(points), ending="WARNING loss is not finite since epoch 11")


def _failed_run(number: int, seed: int) -> DemoRun:
    """A run that is out of memory after a few epochs because of its large batches."""
    params: Params = {**_TOO_LARGE, "epochs": _EPOCHS, "seed": number}
    run = _trained_run(f"mlp-large-batch-seed{number}", params, seed)
    epochs = number % 3
    epoch_length = run.points[0].at
    return replace(
        run,
        status="FAILED",
        end=epochs * epoch_length + 9_000,
        points=_points_until(run.points, epochs * epoch_length),
        tags={**run.tags, "error": _MEMORY_ERROR},
        ending=(
            "Traceback (most recent call last):\n"
            '  File "train.py", line 118, in train_epoch\n'
            f"RuntimeError: {_MEMORY_ERROR}"
        ),
    )


def _running_run(seed: int) -> DemoRun:
    """A run on the newer data with two thirds of its epochs done, the last one just now."""
    params: Params = {**_CONFIGURATIONS[2], "epochs": _EPOCHS, "seed": 0}
    run = _trained_run("gbm-new-data", params, seed)
    elapsed = (2 * _EPOCHS // 3) * run.points[0].at
    return replace(
        run,
        status="RUNNING",
        start=-elapsed - 5_000,
        end=None,
        points=_points_until(run.points, elapsed),
        data_version=2,
    )


def _points_until(points: tuple[Point, ...], at: int) -> tuple[Point, ...]:
    return tuple(point for point in points if point.at <= at)


def _spread(runs: list[DemoRun], seed: int) -> list[DemoRun]:
    """Spread the starts of the runs over the days of the story; the newer half has a newer commit."""
    rng = _rng(seed, "days")
    gap = _STORY_LENGTH // max(1, len(runs))
    spread = []
    for index, run in enumerate(runs):
        start = -_STORY_LENGTH - 3 * 60 * MINUTE + index * gap + rng.randrange(gap // 4)
        length = run.end or 0
        tags = {**run.tags, "mlflow.source.git.commit": _COMMITS[2 * index >= len(runs)]}
        spread.append(replace(run, start=start, end=start + length, tags=tags))
    return spread


def _nested_in_parent(runs: list[DemoRun], children: int) -> list[DemoRun]:
    """Nest the first runs in a parent run, which has a tag with the best child."""
    nested, rest = runs[:children], runs[children:]
    best = max(nested, key=lambda run: run.latest["val_auc"])
    end = max(run.end or run.start for run in nested) + 30_000
    start = nested[0].start - MINUTE
    parent = DemoRun(
        name="first-sweep",
        status="FINISHED",
        start=start,
        end=end,
        params={"search": "grid", "n_children": children, "objective": "val_auc"},
        points=(Point("best_val_auc", best.latest["val_auc"], 0, end - start),),
        tags={**nested[0].tags, "best_child": best.name},
    )
    return [parent, *(replace(run, parent=0) for run in nested), *rest]


def _epoch_length(params: Params, rng: random.Random) -> int:
    """The duration of an epoch in ms: large batches and shallow models are faster."""
    seconds = 6.0 if params["model"] == "gbm" else 4.0 + 1500 / int(params["batch_size"])
    return int(1000 * (seconds + 0.8 * int(params["depth"])) * rng.uniform(0.95, 1.1))


def _tags(params: Params) -> dict[str, str]:
    return {
        "team": "growth" if params["model"] == "gbm" else "research",
        "mlflow.user": "ben" if params["model"] == "gbm" else "ana",
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _COMMITS[1],
    }


def _rng(seed: int, *purpose: object) -> random.Random:
    """A random generator for each purpose, so that more runs do not change the curves of the others."""
    return random.Random(f"{seed} {purpose}")  # noqa: S311 - not used for security
