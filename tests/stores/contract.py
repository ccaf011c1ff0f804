"""StoreContract: tests that every kind of store has to pass, compared with MLflow's own client.

A subclass defines the fixture `store_uri`, the tracking URI of a store filled by `sample.write_sample`, and also
`oracle_uri` if MLflow has to read another URI (a copy, a server). Their scope is the session or the class.
"""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.protocol import find_experiments

from .mlflow_oracle import MlflowOracle

MISSING_RUN = "0123456789abcdef0123456789abcdef"


def rows(table: pa.Table) -> list[tuple[str, ...]]:
    """The rows of a table, sorted and comparable; NaN equals NaN, and 0.0 differs from -0.0."""
    return sorted(tuple(map(repr, row.values())) for row in table.to_pylist())


def same(ours: pa.Table, theirs: pa.Table, but: tuple[str, ...] = ()) -> None:
    """Assert that both tables have the same rows in any order, ignoring the columns `but`."""
    ours, theirs = ours.drop_columns(list(but)), theirs.drop_columns(list(but))
    assert ours.schema.names == theirs.schema.names
    missing, added = Counter(rows(theirs)) - Counter(rows(ours)), Counter(rows(ours)) - Counter(rows(theirs))
    assert not missing and not added, f"not read: {list(missing)[:5]}; not in the store: {list(added)[:5]}"


class StoreContract:
    """The tests only read, so they share one store."""

    # Columns that this kind of store does not have; the subclass gives the reason.
    unknown_run_columns: tuple[str, ...] = ()

    @pytest.fixture
    def store(self, store_uri):
        store = open_store(store_uri)
        yield store
        store.close()

    @pytest.fixture(scope="class")
    @classmethod
    def oracle_uri(cls, store_uri):
        return store_uri

    @pytest.fixture(scope="class")
    @classmethod
    def oracle(cls, oracle_uri):
        return MlflowOracle(oracle_uri)

    @pytest.fixture(scope="class")
    @classmethod
    def every_run_id(cls, oracle):
        return oracle.runs("all").column("run_id").to_pylist()

    # Experiments

    @pytest.mark.parametrize("view", ["active", "deleted", "all"])
    def test_experiments_match_mlflow(self, store, oracle, view):
        found = store.read_experiments(view)
        assert found.schema.equals(schema.EXPERIMENT_LIST)
        same(found, oracle.experiments(view))

    @pytest.mark.parametrize("view", ["active", "deleted", "all"])
    def test_find_experiments_lists_the_same_experiments(self, store, view):
        found, counted = find_experiments(store, view), store.read_experiments(view)
        assert found.schema.equals(schema.EXPERIMENT_LIST)
        numbers = ["run_count", "last_activity"]
        same(found.drop_columns(numbers), counted.drop_columns(numbers))
        if found.column("run_count").null_count:
            assert all(found.column(name).null_count == found.num_rows for name in numbers)
        else:
            same(found, counted)

    def test_experiments_are_ordered_by_latest_activity_with_nulls_last(self, store):
        moments = store.read_experiments("active").column("last_activity").to_pylist()
        active = [moment for moment in moments if moment is not None]
        assert moments == sorted(active, reverse=True) + [None] * (len(moments) - len(active))
        assert len(active) >= 2

    # Runs

    @pytest.mark.parametrize("view", ["active", "deleted", "all"])
    def test_runs_match_mlflow_in_content_and_order(self, store, oracle, view):
        found, expected = store.read_runs(Query(view=view)), oracle.runs(view)
        assert found.schema.equals(schema.RUNS)
        same(found, expected, self.unknown_run_columns)
        if view != "all":  # with both, MLflow's order depends on pages and the kind of store
            assert found.column("run_id").to_pylist() == expected.column("run_id").to_pylist()

    def test_runs_are_ordered_by_start_time_then_id(self, store):
        found = store.read_runs(Query(view="all")).to_pylist()
        assert found == sorted(found, key=lambda run: (-run["start_time"], run["run_id"]))

    def test_runs_of_one_experiment(self, store, oracle):
        for experiment in store.read_experiments("all").to_pylist():
            experiment_id = experiment["experiment_id"]
            same(
                store.read_runs(Query(experiment_ids=(experiment_id,), view="all")),
                oracle.runs("all", [experiment_id]),
                self.unknown_run_columns,
            )

    def test_runs_by_id(self, store, every_run_id):
        wanted = (*every_run_id[:3], MISSING_RUN)
        assert set(store.read_runs(Query(run_ids=wanted, view="all")).column("run_id").to_pylist()) == set(wanted[:3])

    @pytest.mark.parametrize("limit", [0, 1, 5, 1_000_000])
    def test_a_limit_returns_the_first_runs(self, store, limit):
        everything = store.read_runs(Query())
        assert store.read_runs(Query(limit=limit)).equals(everything.slice(0, limit))

    def test_an_unknown_experiment_has_no_runs(self, store):
        assert store.read_runs(Query(experiment_ids=("987654321",))).num_rows == 0

    def test_child_runs_have_their_parent_run_id(self, store):
        found = {run["run_id"]: run for run in store.read_runs(Query()).to_pylist()}
        children = [run for run in found.values() if run["parent_run_id"]]
        assert len(children) == 3
        assert {found[child["parent_run_id"]]["run_name"] for child in children} == {"sweep"}

    # Tables of runs

    @pytest.mark.parametrize(
        "name", ["experiments", "experiment_tags", "runs", "params", "metrics", "tags", "datasets", "logged_models"]
    )
    def test_tables_of_all_runs_match_mlflow(self, store, oracle, every_run_id, name):
        tables = store.read(every_run_id)
        theirs = getattr(oracle.read(every_run_id), name)
        assert theirs.num_rows > 0
        same(getattr(tables, name), theirs, self.unknown_run_columns if name == "runs" else ())
        assert tables.missing.num_rows == 0
        assert tables.problems.num_rows == 0

    def test_runs_are_in_the_requested_order_without_duplicates(self, store, every_run_id):
        wanted = list(reversed(every_run_id))
        assert list(store.read([*wanted, wanted[0]]).run_ids) == wanted

    def test_rows_are_ordered_by_requested_run_then_key(self, store, every_run_id):
        wanted = list(reversed(every_run_id))
        tables = store.read(wanted)
        for table in (tables.params, tables.metrics, tables.tags):
            found = [(wanted.index(row["run_id"]), row["key"]) for row in table.to_pylist()]
            assert found == sorted(found)

    def test_the_latest_value_has_the_highest_step_then_time_then_value(self, store):
        runs = {run["run_name"]: run["run_id"] for run in store.read_runs(Query()).to_pylist()}
        latest = {row["key"]: (row["step"], row["value"]) for row in store.read([runs["steps"]]).metrics.to_pylist()}
        assert latest["repeated"] == (5, 2.0)
        assert latest["tie"] == (4, 0.75)
        assert latest["negative"] == (-1, 2.0)
        assert latest["backwards"] == (9, 9.0)
        assert latest["far"] == (2**53 + 1, 1.0)

    def test_nan_and_infinity_are_preserved(self, store):
        runs = {run["run_name"]: run["run_id"] for run in store.read_runs(Query()).to_pylist()}
        latest = {row["key"]: row["value"] for row in store.read([runs["numbers"]]).metrics.to_pylist()}
        assert math.isnan(latest["nan"])
        assert math.isnan(latest["diverged"])
        assert latest["recovered"] == 2.0
        assert latest["up"] >= 1.797e308
        assert latest["down"] <= -1.797e308

    def test_missing_runs_are_listed_and_the_others_are_read(self, store, every_run_id):
        tables = store.read([every_run_id[0], MISSING_RUN, every_run_id[1], "'; DROP TABLE runs --", ""])
        assert list(tables.run_ids) == every_run_id[:2]
        assert tables.missing.column("run_id").to_pylist() == [MISSING_RUN, "'; DROP TABLE runs --", ""]
        assert all(tables.missing.column("reason").to_pylist())

    def test_a_deleted_run_is_read_with_its_lifecycle_stage(self, store):
        [deleted] = [run for run in store.read_runs(Query(view="deleted")).to_pylist() if run["run_name"] == "deleted"]
        tables = store.read([deleted["run_id"]])
        assert tables.runs.column("lifecycle_stage").to_pylist() == ["deleted"]
        assert tables.params.num_rows == 1

    def test_reading_no_runs_returns_empty_tables(self, store):
        tables = store.read([])
        assert tables.runs.num_rows == tables.params.num_rows == tables.missing.num_rows == 0

    # Metric history

    def test_the_complete_history_matches_mlflow(self, store, oracle, every_run_id):
        batches = list(store.read_metric_history(every_run_id))
        assert all(batch.schema.equals(schema.METRIC_HISTORY) and batch.num_rows for batch in batches)
        same(pa.Table.from_batches(batches, schema.METRIC_HISTORY), oracle.history(every_run_id))

    def test_the_history_of_some_keys(self, store, oracle, every_run_id):
        keys = ["loss", "no such key"]
        found = pa.Table.from_batches(store.read_metric_history(every_run_id, keys), schema.METRIC_HISTORY)
        assert set(found.column("key").to_pylist()) == {"loss"}
        same(found, oracle.history(every_run_id, keys))

    def test_points_of_a_run_and_key_are_consecutive_and_ordered(self, store, every_run_id):
        found = pa.Table.from_batches(store.read_metric_history(every_run_id), schema.METRIC_HISTORY).to_pylist()
        series = [(row["run_id"], row["key"]) for row in found]
        changes = [name for index, name in enumerate(series) if index == 0 or series[index - 1] != name]
        assert len(changes) == len(set(series))
        for name in changes:
            points = [
                (row["step"], row["timestamp"], row["value"])
                for row in found
                if (row["run_id"], row["key"]) == name and not math.isnan(row["value"])
            ]
            assert points == sorted(points)

    def test_the_history_of_no_runs_or_no_keys_is_empty(self, store, every_run_id):
        assert list(store.read_metric_history([])) == []
        assert list(store.read_metric_history([MISSING_RUN])) == []
        assert list(store.read_metric_history(every_run_id, [])) == []

    # Artifacts

    def test_artifact_files_of_a_run(self, store):
        [run] = [run for run in store.read_runs(Query()).to_pylist() if run["run_name"].startswith("naïve")]
        place = store.artifact_place(run["run_id"], run["artifact_uri"])
        files = {file.path: file.size for file in place.list_files()}
        assert files == {"empty.txt": 0, "notes/hello there.txt": 6}
        assert place.read_bytes("notes/hello there.txt", 5) == b"hello"

    # Threads and closing

    def test_concurrent_reads_of_one_store_return_the_same_as_single_ones(self, store, every_run_id):
        def everything(_=None):
            history = pa.Table.from_batches(store.read_metric_history(every_run_id), schema.METRIC_HISTORY)
            return store.read_experiments("all"), store.read_runs(Query(view="all")), store.read(every_run_id), history

        alone = everything()
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(everything, range(8)))
        assert len(together) == 8
        for experiments, runs, tables, history in together:
            assert experiments.equals(alone[0])
            assert runs.equals(alone[1])
            assert tables.runs.equals(alone[2].runs)
            same(tables.metrics, alone[2].metrics)
            same(history, alone[3])

    def test_a_with_block_closes_a_store_which_reopens_on_the_next_read(self, store_uri):
        closed = []
        with open_store(store_uri) as store:
            before = store.read_runs(Query())
            close, store.close = store.close, lambda: (close(), closed.append(store))
        assert closed == [store]
        store.close()
        assert store.read_runs(Query()).equals(before)
        store.close()
