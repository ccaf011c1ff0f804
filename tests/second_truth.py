"""A second store with known truth, for the rules that do not fire on the first one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

START = 1_760_000_000_000
STEPS = 40
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_COMMIT = "mlflow.source.git.commit"


@dataclass
class SecondTruth:
    """The points as written, by run id and key, and run ids by what is true of them."""

    points: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    best_not_last: set[str] = field(default_factory=set)
    plateau: set[str] = field(default_factory=set)
    spiked: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    running: dict[str, tuple[int, int]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)


def write_second_truth(uri: str) -> SecondTruth:
    """Fill the empty store at this tracking URI: fifteen normal runs, and a few of each special kind."""
    client, truth = MlflowClient(uri), SecondTruth()
    experiment = client.create_experiment("second")

    def write(curves, *, status="FINISHED", commit=None):
        index = len(truth.points)
        name, start = f"run-{_LETTERS[index // 26]}{_LETTERS[index % 26]}", START + index * 3_600_000
        run_id = client.create_run(experiment, start_time=start, run_name=name).info.run_id
        points = [
            Metric(key, value, start + 1000 * step, step)
            for key, values in curves.items()
            for step, value in enumerate(values)
        ]
        client.log_batch(run_id, points, [Param("lr", str(index / 100))])
        if commit:
            client.set_tag(run_id, _COMMIT, commit)
            truth.commits[run_id] = commit
        if status != "RUNNING":
            client.set_terminated(run_id, status, start + 60_000)
        else:
            truth.running[run_id] = (start, start + 1000 * (STEPS - 1))
        truth.points[run_id] = curves
        return run_id

    def calm(end, latency):
        rise = [end * (0.2 + 0.8 * step / (STEPS - 1)) for step in range(STEPS)]
        return {"val_acc": rise, "latency_ms": [latency]}

    for index in range(15):  # the more accurate, the slower
        write(
            calm(0.6 + index / 100, 10.0 + index + 2.5 * (index % 5 == 2)), commit="c0ffee" if index < 9 else "decade"
        )
    for index in range(2):
        curves = calm(0.5, 1.0 + index)
        curves["val_acc"] = [min(value, 0.2 + index / 100) for value in curves["val_acc"]]
        truth.plateau.add(write(curves))
        curves = calm(0.5, 3.5 + index)
        curves["val_acc"] = [0.7 + index / 50 - abs(step - 18 - index) / 100 for step in range(STEPS)]
        truth.best_not_last.add(write(curves))
    curves = calm(0.55, 8.5)
    wave = [1 - step / 60 + math.sin(step) / 100 for step in range(STEPS)]
    curves["train_loss"] = [value + (3.0 if step in (21, 22) else 0) for step, value in enumerate(wave)]
    truth.spiked.add(write(curves))
    truth.silent.add(write({}))
    write({}, status="FAILED")  # its status says so
    write(calm(0.52, 7.5), status="RUNNING")
    return truth
