"""write_sample: fills a store with varied data through MLflow's own client; only ids differ between calls."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param

from tests.stores.empty import new_client

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow import MlflowClient

START = 1_760_000_000_000
MINUTE = 60_000

ODD_TEXT = 'it\'s "quoted" \\ back, 100% naïve Ωμέγα 🐙\n<b>second</b> line\t{{x}} ${y}'


def write_sample(tracking_uri: str, artifacts: Path | None = None) -> None:
    """Fill the empty store at this tracking URI.

    artifacts: a folder for artifacts, for stores without a default (databases).
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # MLflow may create ./mlruns
        _Sample(new_client(tracking_uri), artifacts).write()


class _Sample:
    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self.client = client
        self.artifacts = artifacts

    def write(self) -> None:
        churn = self.experiment("churn", {"team": "growth", "mlflow.note.content": ODD_TEXT})
        prices = self.experiment("prices / Ωμέγα", {"mlflow.experiment.primaryMetric.name": "rmse"})
        self.experiment("nothing here yet", {})
        gone = self.experiment("gone", {"why": "old"})
        self.sweep(churn)
        self.odd_runs(churn)
        self.inputs_and_models(prices)
        forgotten = self.run(gone, "forgotten", START - 90 * MINUTE, params={"lr": "1"}, metrics=[("auc", 0.5, 0)])
        assert forgotten
        self.client.delete_experiment(gone)

    def experiment(self, name: str, tags: dict[str, str]) -> str:
        location = None
        if self.artifacts is not None:
            location = (self.artifacts / f"{len(list(self.artifacts.glob('*')))}").absolute()
            location.mkdir(parents=True)
            location = location.as_uri()
        return self.client.create_experiment(name, artifact_location=location, tags=tags)

    def run(
        self,
        experiment_id: str,
        name: str,
        start: int,
        *,
        end: int | None = None,
        status: str | None = "FINISHED",
        params: dict[str, str] | None = None,
        metrics: list[tuple[str, float, int]] = (),
        tags: dict[str, str] | None = None,
    ) -> str:
        """Create a run. Each metric point is (key, value, step), ten milliseconds after the previous one."""
        run_id = self.client.create_run(experiment_id, start_time=start, run_name=name, tags=tags).info.run_id
        points = [Metric(key, value, start + 10 * place, step) for place, (key, value, step) in enumerate(metrics)]
        for first in range(0, len(points), 500):
            self.client.log_batch(run_id, metrics=points[first : first + 500])
        self.client.log_batch(run_id, params=[Param(*item) for item in (params or {}).items()])
        if status is not None:
            self.client.set_terminated(run_id, status, end_time=end or start + MINUTE)
        return run_id

    def sweep(self, experiment_id: str) -> None:
        """A parent run and its children, with histories of 40 steps; two of them started in the same millisecond."""
        parent = self.run(experiment_id, "sweep", START, params={"space": "lr x depth"}, tags={"stage": "sweep"})
        for place, (rate, depth) in enumerate([("0.1", "3"), ("0.01", "3"), ("1e-3", "7")]):
            self.run(
                experiment_id,
                f"child {place}",
                START + max(place, 1) * MINUTE,
                params={"lr": rate, "depth": depth, "seed": str(place)},
                metrics=[
                    point
                    for step in range(40)
                    for point in (("loss", 2.0 / (step + 1 + place), step), ("val/auc", 0.5 + step / 100, step))
                ],
                tags={"mlflow.parentRunId": parent, "mlflow.user": "ada"},
            )

    def odd_runs(self, experiment_id: str) -> None:
        """Values that are easily read wrong: special numbers, steps and texts, and runs that did not finish."""
        self.run(
            experiment_id,
            "numbers",
            START + 10 * MINUTE,
            metrics=[
                ("nan", float("nan"), 0),
                ("up", float("inf"), 0),
                ("down", float("-inf"), 0),
                ("zero", -0.0, 0),
                ("tiny", 5e-324, 0),
                ("precise", 0.1 + 0.2, 0),
                ("diverged", 1.0, 0),
                ("diverged", float("nan"), 1),
                ("recovered", float("nan"), 0),
                ("recovered", 2.0, 1),
            ],
        )
        steps = self.run(
            experiment_id,
            "steps",
            START + 11 * MINUTE,
            metrics=[
                ("repeated", 1.0, 0),
                ("repeated", 3.0, 5),
                ("repeated", 2.0, 5),
                ("negative", 1.0, -3),
                ("negative", 2.0, -1),
                ("backwards", 9.0, 9),
                ("backwards", 1.0, 1),
                ("far", 1.0, 2**53 + 1),
            ],
        )
        tie = [Metric("tie", value, START, 4) for value in (0.25, 0.75, 0.5)]
        self.client.log_batch(steps, metrics=tie)
        texts = self.run(
            experiment_id,
            "naïve 'run' \"Ωμέγα\" 🐙 100%",
            START + 12 * MINUTE,
            params={"text": ODD_TEXT, "empty": "", "unicode/ключ 1": "да", "long": "x" * 5000, "number": "1e400"},
            metrics=[("точность @ k".replace("@", "at"), 0.5, 0)],
            tags={"text": ODD_TEXT, "empty": "", "mlflow.note.content": "# A *note*"},
        )
        self.client.log_text(texts, "hello\n", "notes/hello there.txt")
        self.client.log_text(texts, "", "empty.txt")
        self.run(
            experiment_id,
            "failed",
            START + 13 * MINUTE,
            status="FAILED",
            params={"lr": "100"},
            metrics=[("loss", 1e30, 0)],
        )
        self.run(experiment_id, "running", START + 14 * MINUTE, status=None, params={"lr": "0.5"})
        self.run(experiment_id, "killed", START + 15 * MINUTE, status="KILLED")
        self.run(experiment_id, "empty", START + 16 * MINUTE)
        deleted = self.run(
            experiment_id, "deleted", START + 17 * MINUTE, params={"lr": "7"}, metrics=[("loss", 7.0, 0)]
        )
        self.client.delete_run(deleted)

    def inputs_and_models(self, experiment_id: str) -> None:
        """Runs with datasets in several contexts, and with logged models."""
        run_id = self.run(
            experiment_id, "with inputs", START - 30 * MINUTE, params={"trees": "10"}, metrics=[("rmse", 3.5, 0)]
        )
        train = Dataset(
            "houses", "ab12cd34", "local", '{"uri": "a b.csv"}', '{"mlflow_colspec": []}', '{"num_rows": 3}'
        )
        test = Dataset("houses", "ffffffff", "http", '{"url": "https://example.org/x?y=1"}')
        unlabelled = Dataset("unlabelled", "00000000", "code", "{}")
        self.client.log_inputs(
            run_id,
            [
                DatasetInput(train, [InputTag("mlflow.data.context", "training"), InputTag("other", "1")]),
                DatasetInput(test, [InputTag("mlflow.data.context", "evaluation")]),
                DatasetInput(unlabelled, []),
            ],
        )
        again = self.run(experiment_id, "same data", START - 29 * MINUTE, metrics=[("rmse", 3.25, 0)])
        self.client.log_inputs(again, [DatasetInput(train, [InputTag("mlflow.data.context", "training")])])
        ready = self.client.create_logged_model(experiment_id, "forest", source_run_id=run_id, model_type="sklearn")
        self.client.finalize_logged_model(ready.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(ready.model_id, step=0)])
        self.client.create_logged_model(experiment_id, "unfinished", source_run_id=run_id)
        failed = self.client.create_logged_model(experiment_id, "broken", source_run_id=again)
        self.client.finalize_logged_model(failed.model_id, "FAILED")
        dropped = self.client.create_logged_model(experiment_id, "dropped", source_run_id=again)
        self.client.finalize_logged_model(dropped.model_id, "READY")
        self.client.delete_logged_model(dropped.model_id)
