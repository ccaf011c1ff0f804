"""GenAIContract: tests that every store with models, traces and evaluation datasets has to pass, against MLflow's client.

A subclass defines the fixture `store_uri`, the tracking URI of a store filled by `fill_genai`, and also `oracle_uri` if
MLflow has to read another URI (a copy, a server). Their scope is the session or the class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.stores.open import open_store
from qualia_lab.stores.protocol import ReadsGenAI
from qualia_lab.stores.series_store import in_series

from .contract import same
from .genai_oracle import GenAIOracle, in_one_spelling

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTS = ("traces", "tags", "metadata", "links", "assessments")


def spelled(table: pa.Table, *names: str) -> pa.Table:
    """The table with the JSON of these columns in one spelling."""
    for name in names:
        place = table.schema.get_field_index(name)
        texts = [in_one_spelling(text) for text in table.column(name).to_pylist()]
        table = table.set_column(place, name, column(texts, schema.STRING))
    return table


class GenAIContract:
    """The tests only read, so they share one store."""

    in_database = True  # whether the store can hold links of traces to runs and evaluation datasets

    @pytest.fixture(scope="class")
    @classmethod
    def genai_store(cls, store_uri):
        store = open_store(store_uri)
        yield getattr(store, "stored", store)
        store.close()

    @pytest.fixture(scope="class")
    @classmethod
    def oracle_uri(cls, store_uri):
        return store_uri

    @pytest.fixture(scope="class")
    @classmethod
    def oracle(cls, oracle_uri):
        return GenAIOracle(oracle_uri)

    @pytest.fixture(scope="class")
    @classmethod
    def read(cls, genai_store):
        return genai_store.read_traces(TraceQuery())

    def test_it_can_be_asked(self, genai_store):
        assert isinstance(genai_store, ReadsGenAI)

    # Models

    def check_models(self, ours, theirs):
        for name in schema.MODEL_TABLES:
            same(getattr(ours, name), getattr(theirs, name))

    def test_models_and_versions_match_mlflow(self, genai_store, oracle):
        ours = genai_store.read_models()
        assert ours.models.num_rows >= 6
        assert ours.metrics.num_rows >= 16
        assert ours.versions.num_rows >= 4
        assert ours.problems.num_rows == 0
        self.check_models(ours, oracle.models())

    def test_models_of_one_experiment_or_run(self, genai_store, oracle):
        for experiment_id in oracle.experiment_ids:
            self.check_models(
                genai_store.read_models(experiment_ids=[experiment_id]), oracle.models(experiment_ids=[experiment_id])
            )
        counts = set()
        for run in oracle.runs:
            run_id = run.info.run_id
            ours = genai_store.read_models(run_ids=[run_id])
            counts.add((ours.models.num_rows, ours.versions.num_rows))
            self.check_models(ours, oracle.models(run_ids=[run_id]))
        assert len(counts) >= 3

    def test_a_metric_of_two_datasets_in_one_run_is_two_series(self, genai_store, oracle):
        run = next(run for run in oracle.runs if run.info.run_name == "train")
        tables = genai_store.read([run.info.run_id])
        store, split = in_series(genai_store, tables)
        assert tables.metrics.column("key").to_pylist() == ["accuracy", "calibration", "loss", "perplexity"]
        latest = {row["key"]: row["value"] for row in split.metrics.to_pylist()}
        assert list(latest) == ["accuracy (test)", "accuracy (valid)", "calibration", "loss", "perplexity"]
        assert (latest["accuracy (test)"], latest["accuracy (valid)"]) == (0.69 - 0.02, 0.7 + 0.02)
        keys = ["accuracy (valid)", "accuracy"]
        points = [row for batch in store.read_metric_history(tables.run_ids, keys) for row in batch.to_pylist()]
        assert [(row["key"], row["step"], row["value"]) for row in points] == [
            ("accuracy (valid)", step, 0.7 + place / 100) for place, step in enumerate((10, 20, 30))
        ]

    def test_models_are_in_order(self, genai_store):
        ours = genai_store.read_models()
        assert_sorted(ours.models, "creation_time", "model_id")
        assert_sorted(ours.versions, "name", "version")
        models = ours.models.column("model_id").to_pylist()
        points = [(models.index(row["model_id"]), row["key"], row["dataset_name"] or "~", row["step"], row["timestamp"]) for row in ours.metrics.to_pylist()]  # fmt: skip
        assert points == sorted(points)

    def test_what_does_not_exist_is_empty(self, genai_store):
        for found in (genai_store.read_models(experiment_ids=["987654"]), genai_store.read_models(run_ids=["none"])):
            assert not any(getattr(found, name).num_rows for name in schema.MODEL_TABLES)
        for query in (TraceQuery(experiment_ids=("987654",)), TraceQuery(trace_ids=("tr-0",)), TraceQuery(limit=0)):
            found = genai_store.read_traces(query)
            assert not any(getattr(found, name).num_rows for name in schema.TRACE_TABLES)
        assert genai_store.count_traces(["987654"]) == {}
        assert genai_store.read_evaluation_datasets(["987654"]).datasets.num_rows == 0
        assert list(genai_store.read_spans(["tr-0"])) == []

    # Traces

    def test_traces_match_mlflow(self, read, oracle):
        assert read.traces.num_rows >= 20
        assert read.assessments.num_rows >= 40
        assert read.links.num_rows == (4 if self.in_database else 0)
        expected = oracle.traces()
        for name in schema.TRACE_TABLES:
            ours = getattr(read, name)
            if name == "assessments":
                ours = spelled(ours, "value", "metadata")
            same(ours, getattr(expected, name))

    def test_traces_are_in_order(self, read):
        found = [(-row["request_time"], row["trace_id"]) for row in read.traces.to_pylist()]
        assert found == sorted(found)
        ids = read.traces.column("trace_id").to_pylist()
        for name, *then in (
            ("tags", "key"),
            ("metadata", "key"),
            ("links", "run_id"),
            ("assessments", "creation_time"),
        ):
            rows = getattr(read, name).to_pylist()
            keys = [(ids.index(row["trace_id"]), *(row[one] for one in then)) for row in rows]
            assert keys == sorted(keys), name

    @pytest.mark.parametrize("limit", [1, 7, 1000])
    def test_a_limit_returns_the_latest(self, genai_store, read, limit):
        found = genai_store.read_traces(TraceQuery(limit=limit))
        assert found.traces.equals(read.traces.slice(0, limit))
        ids = set(found.traces.column("trace_id").to_pylist())
        for name in PARTS[1:]:
            expected = [row for row in getattr(read, name).to_pylist() if row["trace_id"] in ids]
            assert getattr(found, name).to_pylist() == expected

    def test_only_what_is_asked_for_is_read(self, genai_store, read):
        for parts in ((), ("tags",), ("metadata", "links"), ("assessments",)):
            found = genai_store.read_traces(TraceQuery(), parts)
            assert found.traces.equals(read.traces)
            for name in PARTS[1:]:
                assert getattr(found, name).equals(getattr(read, name).slice(0, None if name in parts else 0)), name

    def test_traces_by_experiment_run_and_id(self, genai_store, read, oracle):
        for experiment_id in oracle.experiment_ids:
            expected = [info.trace_id for info in oracle.infos if info.experiment_id == experiment_id]
            query = TraceQuery(experiment_ids=(experiment_id,))
            assert ids_of(genai_store.read_traces(query, ())) == expected
        linked = {(row["trace_id"], row["run_id"]) for row in read.links.to_pylist()}
        counts = set()
        for run in oracle.runs:
            run_id = run.info.run_id
            expected = [
                info.trace_id
                for info in oracle.infos
                if info.trace_metadata.get("mlflow.sourceRun") == run_id or (info.trace_id, run_id) in linked
            ]
            counts.add(len(expected))
            assert ids_of(genai_store.read_traces(TraceQuery(run_ids=(run_id,)), ())) == expected
        assert len(counts) >= 3
        some = ids_of(read)[3:9]
        assert ids_of(genai_store.read_traces(TraceQuery(trace_ids=(*reversed(some), "tr-0")), ())) == some
        assert ids_of(genai_store.read_traces(TraceQuery(trace_ids=tuple(some), limit=2), ())) == some[:2]

    @pytest.mark.parametrize(
        "condition",
        [
            "status = 'ERROR'",
            "status != 'OK'",
            "tags.slice = 'even'",
            "trace.name = 'answer' AND trace.execution_time_ms > 600",
            "metadata.`mlflow.trace.user` = 'ada'",
            "feedback.correctness = 'true'",
            "span.type = 'TOOL' AND span.status = 'ERROR'",
            "span.name LIKE 'level%'",
            "tags.slice = 'nowhere'",
        ],
    )
    def test_filters_match_mlflow(self, genai_store, oracle, condition):
        if not self.in_database and condition.startswith("span"):
            pytest.skip("MLflow cannot filter the spans of files")
        expected = oracle.matching(condition)
        assert len(expected) < len(oracle.infos)
        found = genai_store.read_traces(TraceQuery(filter=condition))
        assert ids_of(found) == expected
        whole = genai_store.read_traces(TraceQuery(trace_ids=tuple(expected or ["none"])))
        for name in PARTS:
            assert getattr(found, name).equals(getattr(whole, name)), name
        assert ids_of(genai_store.read_traces(TraceQuery(filter=condition, limit=2))) == expected[:2]

    def test_an_order_and_a_limit(self, genai_store, read):
        found = genai_store.read_traces(TraceQuery(order_by=("duration DESC",), limit=3))
        durations = [row["duration"] or -1 for row in read.traces.to_pylist()]
        assert found.traces.column("duration").to_pylist() == sorted(durations, reverse=True)[:3]
        ids = ids_of(found)
        assert [ids.index(one) for one in found.tags.column("trace_id").to_pylist()] == sorted(
            ids.index(one) for one in found.tags.column("trace_id").to_pylist()
        )

    def test_counts(self, genai_store, oracle):
        counts = {}
        for info in oracle.infos:
            counts[info.experiment_id] = counts.get(info.experiment_id, 0) + 1
        assert genai_store.count_traces() == counts
        first = min(counts)
        assert genai_store.count_traces([first]) == {first: counts[first]}

    # Spans

    def test_spans_match_mlflow(self, genai_store, read, oracle):
        ids = ids_of(read)
        ours = pa.Table.from_batches(genai_store.read_spans(ids), schema=schema.SPANS)
        assert ours.num_rows >= 60
        same(spelled(ours, "inputs", "outputs", "attributes", "events"), oracle.spans(ids))

    def test_spans_are_in_the_order_that_was_asked_for(self, genai_store, read):
        ids = ids_of(read)[::-1]
        rows = pa.Table.from_batches(genai_store.read_spans(ids), schema=schema.SPANS).to_pylist()
        keys = [(ids.index(row["trace_id"]), row["start_ns"], row["span_id"]) for row in rows]
        assert keys == sorted(keys)

    def test_spans_without_content(self, genai_store, read):
        content = ["inputs", "outputs", "attributes", "events"]
        whole = pa.Table.from_batches(genai_store.read_spans(ids_of(read)), schema=schema.SPANS)
        bare = pa.Table.from_batches(genai_store.read_spans(ids_of(read), content=False), schema=schema.SPANS)
        assert bare.drop_columns(content).equals(whole.drop_columns(content))
        assert all(bare.column(name).null_count == bare.num_rows for name in content)

    # Evaluation datasets

    def test_evaluation_datasets_match_mlflow(self, genai_store, oracle):
        if not self.in_database:
            assert genai_store.read_evaluation_datasets().datasets.num_rows == 0
            return
        found = genai_store.read_evaluation_datasets()
        assert (found.datasets.num_rows, found.records.num_rows, found.uses.num_rows) == (2, 6, 3)
        self.check_evaluation(found, oracle.evaluation())
        for experiment_id in oracle.experiment_ids:
            found = genai_store.read_evaluation_datasets([experiment_id])
            self.check_evaluation(found, oracle.evaluation([experiment_id]))

    def check_evaluation(self, ours, theirs):
        same(ours.datasets, theirs.datasets)
        same(ours.uses, theirs.uses)
        same(spelled(ours.records, "inputs", "outputs", "expectations", "tags", "source"), theirs.records)
        assert_sorted(ours.datasets, "name")


def ids_of(tables) -> list[str]:
    return tables.traces.column("trace_id").to_pylist()


def assert_sorted(table: pa.Table, *names: str) -> None:
    found: Iterable[tuple] = [tuple(row[name] for name in names) for row in table.to_pylist()]
    assert list(found) == sorted(found)
