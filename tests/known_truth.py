"""A store with known truth, written by MLflow's own client; `Truth` describes its runs."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import NormalDist

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

START = 1_760_000_000_000
EPOCHS = 30
SD = 0.0114  # of val_acc over seeds

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass
class Truth:
    """Run ids by what is true of them; the values of mappings are steps."""

    diverges: dict[str, int] = field(default_factory=dict)
    overfits: dict[str, int] = field(default_factory=dict)
    duplicates: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    other_data: set[str] = field(default_factory=set)
    best: set[str] = field(default_factory=set)
    worse_by_two_sd: set[str] = field(default_factory=set)
    worse_by_a_little: set[str] = field(default_factory=set)
    worse_by_half_sd: set[str] = field(default_factory=set)


class _Writer:
    def __init__(self, uri: str) -> None:
        self.client = MlflowClient(uri)
        self.experiment = self.client.create_experiment("truth")
        self.rng = random.Random(3)
        self.count = 0

    def run(self, params, points, *, status="FINISHED", digest="aaaa"):
        """Write a run; its name has no digits, so that every number in a sentence is one of the finding."""
        name = f"run-{_LETTERS[self.count // 26]}{_LETTERS[self.count % 26]}"
        start = START + self.count * 3_600_000
        self.count += 1
        run_id = self.client.create_run(self.experiment, start_time=start, run_name=name).info.run_id
        params = {"epochs": EPOCHS, "optimizer": self.rng.choice(("adam", "sgd")), **params}
        self.client.log_batch(
            run_id,
            [Metric(key, value, start + 1000 * step, step) for key, step, value in points],
            [Param(key, str(value)) for key, value in params.items()],
        )
        data = Dataset("customers", digest, "local", "{}")
        self.client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        self.client.set_terminated(run_id, status, start + 60_000)
        return run_id

    def curves(self, val_acc, *, train_loss=None, val_loss=None, learns_until=EPOCHS):
        """Points of a healthy run that ends at this accuracy; given functions of the epoch replace a curve.

        From the epoch `learns_until` on, accuracy and held-out loss are bad.
        """
        noise = [self.rng.gauss(0, 0.002) for _ in range(EPOCHS)]
        points = []
        for epoch in range(EPOCHS):
            fall = math.exp(-epoch / 8)
            last = epoch == EPOCHS - 1
            score = val_acc - (0 if last else 0.4 * fall + noise[epoch])
            points.append(("val_acc", epoch, score if epoch < learns_until else 0.1 + noise[epoch]))
            points.append(("train_loss", epoch, train_loss(epoch) if train_loss else 0.1 + fall + noise[epoch]))
            held_out = 0.2 + fall if epoch < learns_until else 3
            points.append(("val_loss", epoch, val_loss(epoch) if val_loss else held_out - noise[epoch]))
        return points


def accuracy(lr: float) -> float:
    """The accuracy for a learning rate; the batch size has no effect."""
    return 0.9 - 0.1 * (math.log10(lr) + 2) ** 2


def write_known_truth(uri: str) -> Truth:
    """Fill the empty store at this tracking URI."""
    truth, writer = Truth(), _Writer(uri)
    rng = random.Random(1)
    for _ in range(40):
        lr, batch = float(f"{10 ** rng.uniform(-4, -0.5):.3g}"), rng.choice((32, 64, 256))
        writer.run(
            {"lr": lr, "batch_size": batch, "seed": rng.randrange(1000)},
            writer.curves(accuracy(lr) + rng.gauss(0, SD)),
        )
    _write_configuration(writer, truth.best, 0.01, 128, 10, 0.0)
    _write_configuration(writer, truth.worse_by_two_sd, 0.03, 128, 10, -2.0)
    _write_configuration(writer, truth.worse_by_a_little, 0.01, 512, 3, -0.05)
    _write_configuration(writer, truth.worse_by_half_sd, 0.0173, 512, 3, -0.5)

    for step, bad, batch in ((8, 60.0, 32), (12, math.nan, 64), (15, math.inf, 256)):
        points = writer.curves(
            accuracy(1.0),
            train_loss=lambda epoch, step=step, bad=bad: bad * (epoch + 1) if epoch >= step else 1 - epoch / 40,
            learns_until=step,
        )
        truth.diverges[writer.run({"lr": 1.0, "batch_size": batch, "seed": step}, points)] = step

    turn = 12
    points = writer.curves(
        accuracy(0.02),
        train_loss=lambda epoch: 1.0 * 0.9**epoch,
        val_loss=lambda epoch: 0.5 + (epoch - turn) ** 2 * (0.004 if epoch < turn else 0.002),
    )
    truth.overfits[writer.run({"lr": 0.02, "batch_size": 64, "seed": 7}, points)] = turn

    points = writer.curves(accuracy(0.005))
    for _ in range(2):
        truth.duplicates.add(writer.run({"lr": 0.005, "batch_size": 32, "seed": 11, "optimizer": "adam"}, points))
    for batch, lr in ((32, 0.02), (64, 0.006), (128, 0.01), (256, 0.1), (64, 0.003)):
        params = {"lr": lr, "batch_size": batch, "seed": writer.count, "optimizer": "lbfgs"}
        truth.failed.add(writer.run(params, [], status="FAILED"))
    truth.other_data.add(
        writer.run({"lr": 0.004, "batch_size": 64, "seed": 5}, writer.curves(accuracy(0.004)), digest="bbbb")
    )
    return truth


def _write_configuration(writer, run_ids, lr, batch, n, deviations):
    """Write n runs whose accuracies have this mean, in deviations from the best, and the standard deviation SD."""
    scores = [NormalDist().inv_cdf((index + 0.5) / n) for index in range(n)]
    spread = math.sqrt(sum(score**2 for score in scores) / (n - 1))
    for seed, score in enumerate(scores):
        value = accuracy(0.01) + SD * (deviations + score / spread)
        params = {"lr": lr, "batch_size": batch, "seed": 100 * batch + seed, "optimizer": "adam"}
        run_ids.add(writer.run(params, writer.curves(value)))
