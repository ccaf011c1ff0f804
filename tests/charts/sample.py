"""Small tables for chart tests: learning curves, latest metrics, params."""

import math
import random

from qualia_lab import schema
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.tables import run_tables, table_of


class WithoutHistories:
    """A store without metric histories."""

    def read_metric_history(self, run_ids, keys=None):
        return iter(())


def run_ids(count):
    return [f"r{index:03}" for index in range(count)]


def labels(count):
    return {run_id: f"churn-{run_id}" for run_id in run_ids(count)}


def history(points, key="val_loss"):
    """A table of histories; `points` is run id → list of values, or of (step, timestamp, value)."""
    rows = []
    for run_id, values in points.items():
        for index, value in enumerate(values):
            step, timestamp, number = value if isinstance(value, tuple) else (index, 1000 * index, value)
            rows.append({"run_id": run_id, "key": key, "step": step, "timestamp": timestamp, "value": number})
    return table_of(schema.METRIC_HISTORY, rows)


def curves(count, steps):
    noise = random.Random(7)
    return history(
        {
            run_id: [index / 100 + 2 * math.exp(-3 * step / steps) + noise.gauss(0, 0.001) for step in range(steps)]
            for index, run_id in enumerate(run_ids(count))
        }
    )


def metrics(values, key="val_auc"):
    rows = [
        {"run_id": run_id, "key": key, "value": value, "step": 1, "timestamp": 1} for run_id, value in values.items()
    ]
    return table_of(schema.METRICS, rows)


def params(values):
    return table_of(
        schema.PARAMS, [{"run_id": run_id, "key": "lr", "value": value} for run_id, value in values.items()]
    )


def runs_with(rows):
    """Tables of one finished run per (params, metrics)."""
    ids = [f"run{place}" for place in range(len(rows))]
    settings = [(i, key, value) for i, (params, _) in zip(ids, rows, strict=True) for key, value in params.items()]
    values = [(i, key, value) for i, (_, metrics) in zip(ids, rows, strict=True) for key, value in metrics.items()]
    return run_tables(
        runs=table_of(schema.RUNS, [{"run_id": i, "experiment_id": "1", "status": "FINISHED"} for i in ids]),
        params=table_of(schema.PARAMS, [dict(zip(("run_id", "key", "value"), row, strict=True)) for row in settings]),
        metrics=table_of(schema.METRICS, [dict(zip(("run_id", "key", "value"), row, strict=True)) for row in values]),
    )


def study_of(tables, **settings):
    return describe_study(tables, take_inventory(tables), StudySettings(**settings))
