"""Every aggregate of DuckDB equals the one that plain Python computes from the rows of the store."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from statistics import fmean

import numpy as np
import pytest

from qualia_lab import Query, open_store
from qualia_lab.engines.engine import Engine
from qualia_lab.engines.open import open_engine
from qualia_lab.errors import EngineError, StoreUnreadable
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.update import update_snapshot
from tests.promises.planted_secrets import write_store

METRIC, PARAM = "k", "K"
BUCKETS = 3
AGGREGATES = {
    "experiments": lambda engine: engine.experiments(),
    "statuses": lambda engine: engine.statuses(),
    "params": lambda engine: engine.params(),
    "metrics": lambda engine: engine.metrics(),
    "metric_statistics": lambda engine: engine.metric_statistics(METRIC),
    "top_runs": lambda engine: engine.top_runs(METRIC, 7, statistic="mean", greater_is_better=False),
    "params_of": lambda engine: engine.params_of(engine.run_of_each_experiment()),
    "param_values": lambda engine: engine.param_values(METRIC, PARAM, 9),
    "param_ranges": lambda engine: engine.param_ranges(METRIC, PARAM, 3),
    "band": lambda engine: engine.band(METRIC, BUCKETS),
    "bands_by_param": lambda engine: engine.bands_by_param(METRIC, PARAM, 4, BUCKETS),
    "best_so_far": lambda engine: engine.best_so_far(METRIC),
    "run_of_each_experiment": lambda engine: engine.run_of_each_experiment(),
    "take_inventory": lambda engine: engine.take_inventory(("a", "b")),
}


def test_every_public_method_is_covered():
    public = {name for name in vars(Engine) if not name.startswith("_")}
    assert public - {"close"} == AGGREGATES.keys()


# --- The reference ---------------------------------------------------------------------------------------------------


class Reference:
    """The same aggregates in plain Python, from the rows that the store reads."""

    def __init__(self, uri):
        store = open_store(uri)
        self.runs = {row["run_id"]: row for row in store.read_runs(Query()).to_pylist()}
        tables = store.read(list(self.runs))
        self.names = {row["experiment_id"]: row["name"] for row in tables.experiments.to_pylist()}
        self.logged = defaultdict(dict)
        for row in tables.params.to_pylist():
            self.logged[row["key"]][row["run_id"]] = row["value"]
        self.latest = defaultdict(dict)
        self.latest_step = defaultdict(dict)
        for row in tables.metrics.to_pylist():
            self.latest[row["key"]][row["run_id"]] = real(row["value"])
            self.latest_step[row["key"]][row["run_id"]] = row["step"]
        self.points = defaultdict(lambda: defaultdict(list))
        for batch in store.read_metric_history(list(self.runs)):
            for row in batch.to_pylist():
                self.points[row["key"]][row["run_id"]].append((row["step"], row["timestamp"], real(row["value"])))

    def experiments(self):
        rows = []
        for id_, name in self.names.items():
            runs = [run for run in self.runs.values() if run["experiment_id"] == id_]
            moments = [moment for run in runs for moment in (run["start_time"], run["end_time"]) if moment is not None]
            rows.append({"experiment_id": id_, "name": name, "runs": len(runs), "last_activity": max(moments)})
        return sorted(rows, key=lambda row: (-row["last_activity"], row["experiment_id"]))

    def statuses(self):
        starts = defaultdict(list)
        for run in self.runs.values():
            starts[run["status"]].append(run["start_time"])
        rows = [
            {
                "status": status,
                "runs": len(start_times),
                "first_start": min(start_times),
                "last_start": max(start_times),
            }
            for status, start_times in starts.items()
        ]
        return sorted(rows, key=lambda row: (-row["runs"], row["status"]))

    def params(self):
        return [
            {"key": key, "runs": len(value_of_run), "different": len(set(value_of_run.values()))}
            for key, value_of_run in sorted(self.logged.items())
        ]

    def metrics(self):
        rows = []
        for key, value_of_run in sorted(self.latest.items()):
            steps = list(self.latest_step[key].values())
            points = [value for of_run in self.points[key].values() for *_, value in of_run]
            rows.append(
                {
                    "key": key,
                    "runs": len(value_of_run),
                    "different": len(set(map(str, value_of_run.values()))),
                    "last_step": max(steps),
                    "stepped": sum(step != 0 for step in steps),
                    **spread(value_of_run.values()),
                    "points": len(points),
                    "not_finite": len(points) - len(finite(points)),
                }
            )
        return rows

    def metric_statistics(self):
        rows = []
        for run_id in sorted(self.latest[METRIC]):
            points = sorted(self.points[METRIC][run_id], key=lambda point: (*point[:2], math.isnan(point[2]), point[2]))
            finite_points = [(value, step) for step, _, value in points if math.isfinite(value)]
            values = [value for value, _ in finite_points]
            rows.append(
                {
                    "run_id": run_id,
                    "points": len(points),
                    "not_finite": len(points) - len(finite_points),
                    "first": points[0][2],
                    "last": self.latest[METRIC][run_id],
                    "lowest": min(values, default=None),
                    "lowest_step": min(finite_points)[1] if finite_points else None,
                    "highest": max(values, default=None),
                    "highest_step": min((-value, step) for value, step in finite_points)[1] if finite_points else None,
                    "mean": fmean(values) if values else None,
                }
            )
        return rows

    def top_runs(self):
        rows = sorted(self.metric_statistics(), key=lambda row: (row["mean"] is None, row["mean"] or 0, row["run_id"]))
        names = ("run_id", "run_name", "experiment_id", "status", "start_time")
        return [{name: self.runs[row["run_id"]][name] for name in names} | row for row in rows[:7]]

    def params_of(self):
        run_ids = self.run_of_each_experiment()
        rows = [
            {"run_id": run_id, "key": key, "value": value_of_run[run_id]}
            for key, value_of_run in self.logged.items()
            for run_id in run_ids
            if run_id in value_of_run
        ]
        return sorted(rows, key=lambda row: (row["run_id"], row["key"]))

    def run_of_each_experiment(self):
        return sorted(
            min(run_id for run_id, run in self.runs.items() if run["experiment_id"] == id_) for id_ in self.names
        )

    def param_values(self):
        groups = defaultdict(list)
        for run_id, value in self.logged[PARAM].items():
            if run_id in self.latest[METRIC]:
                groups[value].append(self.latest[METRIC][run_id])
        rows = [
            {"value": value, "runs": len(metric_values), **spread(metric_values)}
            for value, metric_values in groups.items()
        ]
        return sorted(rows, key=lambda row: (-row["runs"], row["value"].encode()))[:9]

    def param_ranges(self):
        numbers = []
        for run_id, text in self.logged[PARAM].items():
            if run_id in self.latest[METRIC] and set(text) <= set("0123456789.eE+-"):
                try:
                    number = float(text)
                except ValueError:
                    continue
                if math.isfinite(number):
                    numbers.append((number, run_id))
        rows = []
        for place, part in enumerate(np.array_split(np.arange(len(numbers)), 3), start=1):
            range_ = [sorted(numbers)[index] for index in part]
            values = [self.latest[METRIC][run_id] for _, run_id in range_]
            head = {"place": place, "first_param": range_[0][0], "last_param": range_[-1][0], "runs": len(range_)}
            rows.append({**head, **spread(values)})
        return rows

    def band(self, run_ids=None):
        points = self.points[METRIC]
        steps = [step for of_run in points.values() for step, *_ in of_run]
        low, high = min(steps), max(steps)
        placed = defaultdict(lambda: defaultdict(list))
        for run_id, of_run in points.items():
            if run_ids is None or run_id in run_ids:
                for step, _, value in of_run:
                    placed[math.floor((step - low) * BUCKETS / (high - low + 1))][run_id].append((step, value))
        rows = []
        for _, of_runs in sorted(placed.items()):
            every = [point for run_points in of_runs.values() for point in run_points]
            finite_values = [finite([value for _, value in run_points]) for run_points in of_runs.values()]
            rows.append(
                {
                    "first_step": min(step for step, _ in every),
                    "last_step": max(step for step, _ in every),
                    "points": len(every),
                    "not_finite": len(every) - sum(map(len, finite_values)),
                    **spread([fmean(values) for values in finite_values if values]),
                }
            )
        return rows

    def bands_by_param(self):
        groups = {run_id: value for run_id, value in self.logged[PARAM].items() if run_id in self.points[METRIC]}
        frequent = sorted(Counter(groups.values()).items(), key=lambda item: (-item[1], item[0].encode()))[:4]
        return [
            {"value": value, "runs": runs, **row}
            for value, runs in frequent
            for row in self.band({run_id for run_id, group in groups.items() if group == value})
        ]

    def best_so_far(self):
        rows, best = [], -math.inf
        with_metric = [run for run in self.runs.values() if run["run_id"] in self.latest[METRIC]]
        ordered = sorted(with_metric, key=lambda run: (run["start_time"], run["run_id"]))
        for place, run in enumerate(ordered, start=1):
            value = self.latest[METRIC][run["run_id"]]
            if math.isfinite(value) and value > best:
                best = value
                names = ("run_id", "run_name", "start_time")
                rows.append({"place": place, **{name: run[name] for name in names}, "value": value})
        return rows


def real(value):
    if value is None:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= 1.79e308 else value


def finite(values):
    return [value for value in values if math.isfinite(value)]


def spread(values):
    finite_values = finite(values)
    if not finite_values:
        return {"n": 0, **dict.fromkeys(("lowest", "q1", "median", "q3", "highest", "mean"))}
    q1, median, q3 = np.quantile(finite_values, (0.25, 0.5, 0.75)).tolist()
    return {
        "n": len(finite_values),
        "lowest": min(finite_values),
        "q1": q1,
        "median": median,
        "q3": q3,
        "highest": max(finite_values),
        "mean": fmean(finite_values),
    }


@pytest.fixture(scope="module")
def reference(odd_snapshot):
    return Reference(odd_snapshot)


def assert_same(actual, expected):
    """Compare rows in order; floats up to rounding, NaN equal to NaN."""
    assert len(actual) == len(expected)
    for actual_row, expected_row in zip(actual, expected, strict=True):
        if not isinstance(actual_row, dict):
            assert actual_row == expected_row
            continue
        assert actual_row.keys() == expected_row.keys()
        for name, value in actual_row.items():
            if isinstance(value, float) and isinstance(expected_row[name], float):
                assert value == pytest.approx(expected_row[name], rel=1e-12, abs=1e-15, nan_ok=True), name
            else:
                assert value == expected_row[name], name


TABLES = [name for name in AGGREGATES if name != "take_inventory"]


@pytest.mark.parametrize("name", TABLES)
def test_duckdb_computes_the_same_as_python(name, duckdb, reference):
    assert_same(rows(AGGREGATES[name](duckdb)), getattr(reference, name)())


def rows(answer):
    return answer.to_pylist() if hasattr(answer, "to_pylist") else answer


def test_a_filter_selects_the_same_runs_as_in_a_store(odd_snapshot):
    text = "metrics.k > 0 AND status != 'RUNNING'"
    store = open_store(odd_snapshot)
    expected = set(store.read_runs(Query(filter=text)).column("run_id").to_pylist())
    engine = open_engine(odd_snapshot, filter=text)
    assert engine.run_count == len(expected) > 0
    assert set(engine.metric_statistics("k").column("run_id").to_pylist()) == expected
    engine.close()


def test_run_ids_select_exactly_these_runs(odd_snapshot):
    run_ids = open_store(odd_snapshot).read_runs(Query(view="deleted")).column("run_id").to_pylist()
    engine = open_engine(odd_snapshot, run_ids=[*run_ids, "gone"])
    assert engine.run_count == len(run_ids) == 2
    assert engine.take_inventory((*run_ids, "gone")).missing == 1
    engine.close()


def test_an_unknown_metric_gives_tables_without_rows(duckdb):
    unknown = "'; DROP VIEW runs; --"
    for table in (duckdb.metric_statistics(unknown), duckdb.band(unknown), duckdb.bands_by_param(unknown, unknown)):
        assert table.num_rows == 0
    assert duckdb.param_values(METRIC, unknown).num_rows == 0
    assert duckdb.experiments().num_rows == 2


def test_mean_and_quartiles_of_huge_values_do_not_overflow(tmp_path):
    import pyarrow as pa

    from qualia_lab import schema
    from qualia_lab.tables import run_tables, table_of

    values = {"a": 1.7e308, "b": 1.6e308, "c": -1.7e308}
    runs = [
        {"run_id": run_id, "experiment_id": "1", "status": "FINISHED", "lifecycle_stage": "active"} for run_id in values
    ]
    metrics = [
        {"run_id": run_id, "key": "m", "value": value, "step": 0, "timestamp": 0} for run_id, value in values.items()
    ]
    experiments = [{"experiment_id": "1", "name": "one", "lifecycle_stage": "active"}]
    tables = run_tables(
        runs=table_of(schema.RUNS, runs),
        metrics=table_of(schema.METRICS, metrics),
        experiments=table_of(schema.EXPERIMENTS, experiments),
    )

    class Store:
        def read_metric_history(self, run_ids):
            return [pa.RecordBatch.from_pylist(metrics, schema.METRIC_HISTORY)]

        def artifact_place(self, run_id, artifact_uri):
            return UnopenedPlace(artifact_uri, "")

    from qualia_lab.stores.artifact_places import UnopenedPlace
    from qualia_lab.stores.snapshot.store import write_snapshot

    write_snapshot(tmp_path, Store(), tables, source_uri="sqlite:///x.db")
    engine = open_engine(tmp_path)
    [row] = engine.metrics().to_pylist()
    assert row["mean"] == pytest.approx(1.6e308 / 3)
    assert (row["q1"], row["median"], row["q3"]) == pytest.approx((-0.05e308, 1.6e308, 1.65e308))
    engine.close()


def test_a_snapshot_at_a_url_is_read_in_place(odd_snapshot, duckdb):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(odd_snapshot.removeprefix("snapshot:"), "/far", recursive=True)
    engine = open_engine("snapshot:memory://far")
    assert_same(engine.band(METRIC).to_pylist(), duckdb.band(METRIC).to_pylist())
    engine.close()


@pytest.mark.parametrize(
    ("snapshot", "engine", "message"),
    [
        ("x", "oracle", "No engine is called oracle"),
        ("x", "sc://host:15002/;token=abc", "holds a secret"),
        ("x", "spark://user:word@host:7077", "holds a secret"),
    ],
)
def test_invalid_engines_are_refused(snapshot, engine, message):
    with pytest.raises(EngineError, match=message) as raised:
        open_engine(snapshot, engine)
    assert "abc" not in str(raised.value)


def test_spark_without_java_is_refused_with_a_message(odd_snapshot):
    code = f"from qualia_lab.engines.open import open_engine; open_engine({odd_snapshot!r}, 'local[1]')"
    environment = {**os.environ, "JAVA_HOME": "/nowhere"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "Spark needs Java 17 or newer, which is not installed on this machine." in result.stderr


@pytest.mark.parametrize(
    ("package", "engine", "extra"), [("duckdb", "duckdb", "engine"), ("pyspark", "spark", "spark")]
)
def test_an_engine_without_its_package_names_the_extra(odd_snapshot, package, engine, extra):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from qualia_lab.engines.open import open_engine\n"
        f"open_engine({odd_snapshot!r}, {engine!r})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ExtraMissing: Aggregating with" in result.stderr
    assert f"pip install 'qualia-lab[{extra}]'" in result.stderr


def test_linked_and_missing_files_of_a_snapshot_are_reported(odd_snapshot, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(odd_snapshot.removeprefix("snapshot:"), copy)
    engine = open_engine(copy)
    for file in (copy / "parts").glob("*.parquet"):
        file.rename(tmp_path / file.name)
        file.symlink_to(tmp_path / file.name)
    with pytest.raises(StoreUnreadable, match="is not a regular file"):
        open_engine(copy)
    for file in (copy / "parts").glob("*.parquet"):
        file.unlink()
    with pytest.raises(EngineError, match="DuckDB failed"):
        engine.band(METRIC)
    engine.close()


def test_the_folder_of_a_snapshot_may_have_any_name(odd_snapshot, duckdb, tmp_path):
    for name in ("axb", "a*b", "a?b", "50%20 [a] {b,c} #1"):  # the first would be read with the two that follow it
        folder = shutil.copytree(odd_snapshot.removeprefix("snapshot:"), tmp_path / name)
        with open_engine(folder) as engine:
            assert engine.run_count == duckdb.run_count, name


def test_a_snapshot_that_was_written_with_its_secrets_is_asked_without_them(tmp_path):
    root = tmp_path / "mlruns"
    secrets = write_store(root)
    store = open_store(root, show_secrets=True)
    listed = store.read_runs(Query(view="all"))
    update_snapshot(store, open_location(tmp_path / "snapshot"), listed, old=None, choice={})
    with open_engine(tmp_path / "snapshot") as engine:
        keys = engine.params().column("key").to_pylist()
        said = [engine.experiments(), engine.params_of(listed.column("run_id").to_pylist())]
        said += [engine.top_runs("val_auc", 50), engine.best_so_far("val_auc")]
        for key in (one for one in keys if one != "lr"):
            said += [engine.param_values("val_auc", key), engine.param_ranges("val_auc", key)]
        said += [engine.bands_by_param("val_auc", key) for key in ("password", "note_0")]
        text = json.dumps([table.to_pylist() for table in said], ensure_ascii=False)
        assert engine.param_values("val_auc", "lr").num_rows == 8
    assert "‹masked 1›" in text
    planted = [one for one in secrets if one.where.startswith("params")]
    assert len(planted) > 100
    assert [one.where for one in planted if any(spelling in text for spelling in one.spellings())] == []
