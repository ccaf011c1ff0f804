"""Runs as in-memory tables, without a store on disk, for thousands of small synthetic stores in a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.tables import run_tables, table_of
from tests.stores.mlruns import write_experiment, write_run

START = 1_760_000_000_000
STATUSES = {"RUNNING": 1, "FINISHED": 3, "FAILED": 4, "KILLED": 5}


@dataclass
class Run:
    """One run; a metric is its last value, or a list of (step, value) or (step, value, milliseconds)."""

    name: str
    params: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    status: str = "FINISHED"
    parent: str | None = None
    seconds: int = 600
    data: tuple[str, str] | None = None  # name and digest of the training data


class PlantedStore:
    """Experiments by name, each a list of runs; run ids are 32 hexadecimal digits in the order of the runs."""

    def __init__(self, experiments: dict[str, list[Run]]):
        self.experiments = experiments
        self.ids: dict[str, str] = {}
        for runs in experiments.values():
            for run in runs:
                assert run.name not in self.ids, f"{run.name} twice"
                self.ids[run.name] = f"{len(self.ids) + 1:032x}"
        self.names = {run_id: name for name, run_id in self.ids.items()}

    def points(self, run: Run) -> dict[str, list[tuple[int, float, int]]]:
        """The points of every metric: step, value and milliseconds."""
        start = self._start(run)
        points = {}
        for key, value in run.metrics.items():
            rows = value if isinstance(value, list) else [(0, value)]
            points[key] = [(*row, start + 1000 * row[0]) if len(row) == 2 else row for row in rows]
        return points

    def tables(self):
        """The RunTables of all runs."""
        rows = {name: [] for name in schema.TABLES}
        for number, (experiment, runs) in enumerate(self.experiments.items(), 1):
            rows["experiments"].append({"experiment_id": str(number), "name": experiment, "lifecycle_stage": "active"})
            for run in runs:
                run_id, start = self.ids[run.name], self._start(run)
                rows["runs"].append(
                    {
                        "run_id": run_id,
                        "experiment_id": str(number),
                        "run_name": run.name,
                        "status": run.status,
                        "start_time": start,
                        "end_time": None if run.status == "RUNNING" else start + 1000 * run.seconds,
                        "lifecycle_stage": "active",
                        "artifact_uri": f"file:///nowhere/{number}/{run_id}/artifacts",
                        "parent_run_id": self.ids.get(run.parent or ""),
                    }
                )
                rows["params"] += [{"run_id": run_id, "key": k, "value": str(v)} for k, v in run.params.items()]
                rows["tags"] += [{"run_id": run_id, "key": k, "value": str(v)} for k, v in self._tags(run).items()]
                for key, points in self.points(run).items():
                    step, value, time = max((step, time, value) for step, value, time in points), None, None
                    step, time, value = step
                    rows["metrics"].append(
                        {"run_id": run_id, "key": key, "value": value, "step": step, "timestamp": time}
                    )
                if run.data:
                    rows["datasets"].append(
                        {"run_id": run_id, "name": run.data[0], "digest": run.data[1], "context": "training"}
                    )
        return run_tables(**{name: table_of(schema.TABLES[name], of) for name, of in rows.items() if of})

    def read_history(self, run_ids, keys):
        """All points of these runs and metrics (schema.METRIC_HISTORY); those of one run and metric are together."""
        wanted = set(run_ids)
        for run in (run for runs in self.experiments.values() for run in runs):
            run_id = self.ids[run.name]
            rows = [
                {"run_id": run_id, "key": key, "step": step, "timestamp": time, "value": value}
                for key, points in self.points(run).items()
                if run_id in wanted and key in keys
                for step, value, time in sorted(points, key=lambda point: (point[0], point[2]))
            ]
            if rows:
                yield pa.RecordBatch.from_pylist(rows, schema=schema.METRIC_HISTORY)

    def write(self, root: Path) -> str:
        """Write the store as an `mlruns` folder and return its path."""
        for number, (experiment, runs) in enumerate(self.experiments.items(), 1):
            folder = write_experiment(root, number, experiment, artifact_location=f"file:///nowhere/{number}")
            for run in runs:
                run_id, start = self.ids[run.name], self._start(run)
                write_run(
                    folder,
                    run_id,
                    params={key: str(value) for key, value in run.params.items()},
                    metrics={
                        key: [(time, value, step) for step, value, time in points]
                        for key, points in self.points(run).items()
                    },
                    tags={key: str(value) for key, value in self._tags(run).items()},
                    artifact_uri=f"file:///nowhere/{number}/{run_id}/artifacts",
                    run_name=run.name,
                    status=STATUSES[run.status],
                    start_time=start,
                    end_time=None if run.status == "RUNNING" else start + 1000 * run.seconds,
                    user_id="someone",
                )
        return str(root)

    def _tags(self, run: Run) -> dict:
        tags = {"mlflow.runName": run.name, **run.tags}
        tags = {key: self.ids.get(value, value) if key == "resumed_from" else value for key, value in tags.items()}
        return tags | ({"mlflow.parentRunId": self.ids[run.parent]} if run.parent else {})

    def _start(self, run: Run) -> int:
        return START + 3_600_000 * int(self.ids[run.name], 16)
