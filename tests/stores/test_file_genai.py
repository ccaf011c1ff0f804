"""Folders of files: models, the registry and traces, in the formats of MLflow 2.22, 3.0 and later."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from qualia_lab import schema
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.stores.file.store import FileStore
from qualia_lab.stores.file.yaml_values import nested_yaml
from qualia_lab.stores.trace_rows import duration_ms, milliseconds
from tests.genai_stores import fill_genai

from .contract import same
from .genai_contract import GenAIContract, spelled
from .genai_oracle import GenAIOracle
from .mlruns import write, write_experiment, write_trace

RUN = "a" * 32
OLD, THREE, NEW = "ad042db8598e46bea8180c65a67ca31d", "7bcd17405a86421a96299f389f4c656e", "tr-" + "5" * 32
ODD = "naïve: yes? it's\n# two"


class TestFolder(GenAIContract):
    in_database = False

    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, made_once):
        def fill(folder):
            fill_genai(str(folder / "mlruns"), in_database=False)

        return str(made_once("genai-files", fill) / "mlruns")

    @pytest.fixture(autouse=True)
    def skip_what_mlflow_cannot_filter(self, request):
        parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
        if str(parameters.get("condition", "")).startswith("feedback"):
            pytest.skip("MLflow cannot filter the assessments of files")

    def check_models(self, ours, theirs):
        """MLflow loses a metric that a run of another experiment logged for a model."""
        names = ours.metrics.column("dataset_name")
        kept = ours.metrics.filter(pc.fill_null(pc.not_equal(names, "other"), True))
        if "net" in ours.models.column("name").to_pylist():
            assert ours.metrics.filter(pc.equal(names, "other")).column("value").to_pylist() == [0.5]
        super().check_models(replace(ours, metrics=kept), theirs)

    def test_nothing_is_written(self, genai_store, read):
        def times():
            return {path: path.lstat().st_mtime_ns for path in [genai_store.path, *genai_store.path.rglob("*")]}

        before = times()
        ids = read.traces.column("trace_id").to_pylist()
        assert sum(batch.num_rows for batch in genai_store.read_spans(ids)) >= 60
        assert genai_store.read_models().models.num_rows
        assert times() == before


@pytest.fixture
def three_versions(tmp_path):
    """An mlruns folder with a trace of MLflow 2.22, one of 3.0 and one of 3.12, as they wrote them."""
    experiment = write_experiment(tmp_path / "mlruns", 1, artifact_location=str(tmp_path / "mlruns" / "1"))
    of_2 = {"assessments": [], "execution_time_ms": 12, "experiment_id": "1", "status": "OK"}
    context = {"span_id": "369d456e36a8d121", "trace_id": "2abd09ff7c022293c28ecaa74ab05eff"}
    attributes = {
        "mlflow.spanType": '"CHAIN"',
        "mlflow.spanInputs": '{"q": "naïve"}',
        "mlflow.spanOutputs": '"no"',
        "n": "3",
    }
    event = {"name": "first token", "attributes": {"a": 1}}
    error = {
        "status_code": "ERROR",
        "status_message": "ValueError: boom",
        "events": [{**event, "timestamp": 1795969830626886}],
    }
    span = {"name": "root", "start_time": 1795969830626518460, "end_time": 1795969830626972724}
    said = {"mlflow.sourceRun": RUN, "mlflow.traceInputs": ODD, "mlflow.traceOutputs": "no"}
    write_trace(
        experiment,
        OLD,
        of_2 | {"request_id": OLD, "timestamp_ms": 1795969830614, "status": "ERROR"},
        tags={"mlflow.traceName": "root", "mlflow.source.name": "fill.py"},
        metadata=said | {"mlflow.trace_schema.version": "2"},
        spans=[
            {**span, **error, "context": context, "parent_id": None}
            | {"attributes": {"mlflow.traceRequestId": f'"{OLD}"', **attributes}}
        ],
    )
    of_3 = {"name": "root", "start_time_unix_nano": 1795969835519096071, "end_time_unix_nano": 1795969835519493340}
    of_3 |= {"trace_id": "NDXdr+z6o7Lc//loWCFJ5w==", "span_id": "wh8uHzd9+z8="}
    of_3 |= {"status": {"message": "", "code": "STATUS_CODE_OK"}}
    child = {"name": "llm", "span_id": "4I93DStHD28=", "parent_span_id": "wh8uHzd9+z8="}
    write_trace(
        experiment,
        THREE,
        of_2 | {"request_id": THREE, "timestamp_ms": 1795969835507},
        tags={"mlflow.traceName": "root"},
        metadata=said | {"mlflow.trace_schema.version": "3", "mlflow.user": "root"},
        spans=[
            {**of_3, "trace_state": "", "parent_span_id": ""}
            | {"attributes": {"mlflow.traceRequestId": f'"{THREE}"', **attributes}},
            {**of_3, **child, "attributes": {"mlflow.traceRequestId": f'"{THREE}"'}}
            | {"events": [{**event, "time_unix_nano": 1795969835519413}]},
        ],
    )
    when = {"create_time": "2026-11-29T16:28:03.369Z", "last_update_time": "2026-11-29T16:28:04Z", "valid": True}
    judge = {"source": {"source_id": "judge", "source_type": "LLM_JUDGE"}, **when}
    write_trace(
        experiment,
        NEW,
        {
            "execution_duration_ms": 322,
            "request_preview": ODD,
            "request_time": "2026-11-29T16:28:01.172Z",
            "response_preview": '"no"',
            "client_request_id": "c-1",
            "state": "OK",
            "trace_id": NEW,
            "trace_location": {"mlflow_experiment": {"experiment_id": "1"}, "type": "MLFLOW_EXPERIMENT"},
        },
        tags={"mlflow.traceName": "root", "a/b": ODD},
        metadata=said | {"mlflow.trace.tokenUsage": '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}'},
        assessments=[
            {"assessment_id": "a-1", "assessment_name": "ok", "feedback": {"value": {"a": 1.5, "b": [True, None]}}}
            | {**judge, "rationale": ODD, "metadata": {"k": "1"}},
            {
                "assessment_id": "a-2",
                "assessment_name": "ok",
                "feedback": {"value": "yes"},
                **judge,
                "overrides": "a-1",
            },
            {"assessment_id": "a-3", "assessment_name": "expected", **judge}
            | {"expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"z": [1]}'}}},
            {"assessment_id": "a-4", "assessment_name": "failed", **judge, "valid": False}
            | {"feedback": {"value": None, "error": {"error_code": "ValueError", "error_message": "judge failed"}}},
        ],
        spans=[
            {**of_3, "parent_span_id": None, "events": [], "links": []}
            | {"attributes": {"mlflow.traceRequestId": f'"{NEW}"', **attributes}}
        ],
    )
    return tmp_path / "mlruns"


def read_spans(store, trace_ids):
    return pa.Table.from_batches(store.read_spans(trace_ids), schema=schema.SPANS)


def test_traces_of_mlflow_2_22_3_0_and_3_12_match_mlflow(three_versions):
    store, oracle = FileStore(three_versions), GenAIOracle(str(three_versions))
    ours, theirs = store.read_traces(TraceQuery()), oracle.traces()
    assert ours.traces.column("trace_id").to_pylist() == [THREE, OLD, NEW]
    for name in schema.TRACE_TABLES:
        table = getattr(ours, name)
        same(spelled(table, "value", "metadata") if name == "assessments" else table, getattr(theirs, name))
    ids = [NEW, OLD, THREE]
    spans = read_spans(store, ids)
    assert spans.column("trace_id").to_pylist() == [NEW, OLD, THREE, THREE]
    same(spelled(spans, "inputs", "outputs", "attributes", "events"), oracle.spans(ids))


def test_real_traces_whose_recorded_address_is_of_another_machine(shared_data):
    store = FileStore(shared_data / "stores" / "promptchain-examples" / "mlruns")
    traces = store.read_traces(TraceQuery()).traces
    assert store.count_traces() == {"814324303839750732": 8}
    spans = read_spans(store, traces.column("trace_id").to_pylist())
    assert set(spans.column("trace_id").to_pylist()) == set(traces.column("trace_id").to_pylist())
    assert spans.num_rows > 8
    assert store.read_traces(TraceQuery(filter="span.name = 'TAO_THINK_iter_0'")).traces.num_rows


# Damaged and hostile files


def test_damaged_files_of_traces_are_reported_and_the_rest_is_read(three_versions):
    traces = three_versions / "1" / "traces"
    (traces / OLD / "trace_info.yaml").unlink()
    write(traces / "tr-half" / "trace_info.yaml", "trace_id: tr-half\nstate: 'OK")
    write(traces / "tr-artifacts-only" / "artifacts" / "traces.json", "{}")
    write(traces / NEW / "tags" / "huge", b"x" * (5 << 20))
    os.mkfifo(traces / NEW / "tags" / "pipe")
    write(traces / NEW / "assessments" / "a-5.yaml", "- 1\n- [")
    write(traces / NEW / "assessments" / "a-6.yaml", "")
    write(traces / NEW / "assessments" / "a-7.yaml", "assessment_id: a-7\nfeedback: {value: 1}\ncreate_time: soon\n")
    write(traces / NEW / "request_metadata" / "mlflow.trace.tokenUsage", "{")
    write(traces / THREE / "artifacts" / "traces.json", '{"spans": [')
    store = FileStore(three_versions)
    found = store.read_traces(TraceQuery())
    assert found.traces.column("trace_id").to_pylist() == [THREE, NEW]
    assert found.traces.column("input_tokens").to_pylist() == [None, None]
    assert sorted(row["subject"] for row in found.problems.to_pylist()) == sorted(
        [
            f"trace {OLD}",
            "trace tr-half",
            f"trace {NEW} tags huge",
            f"trace {NEW} tags pipe",
            f"trace {NEW} assessment a-5.yaml",
            f"trace {NEW} assessment a-6.yaml",
            f"assessment a-7 of trace {NEW} create_time",
            f"trace {NEW} mlflow.trace.tokenUsage",
        ]
    )
    assert found.assessments.column("assessment_id").to_pylist() == ["a-1", "a-2", "a-3", "a-4", "a-7"]
    assert set(read_spans(store, [THREE, NEW, OLD]).column("trace_id").to_pylist()) == {NEW, OLD}


def test_links_out_of_the_store_are_not_followed(three_versions, tmp_path):
    traces, outside = three_versions / "1" / "traces", tmp_path / "outside"
    shutil.copytree(traces, outside)
    (traces / "tr-link").symlink_to(outside / NEW)
    shutil.rmtree(traces / NEW / "assessments")
    (traces / NEW / "assessments").symlink_to(outside / NEW / "assessments")
    shutil.rmtree(traces / OLD / "artifacts")
    (traces / OLD / "artifacts").symlink_to(outside / NEW / "artifacts")
    (three_versions / "1" / "models").symlink_to(outside)
    store = FileStore(three_versions)
    found = store.read_traces(TraceQuery())
    assert found.traces.num_rows == 3
    assert found.assessments.num_rows == 0
    assert {row["subject"] for row in found.problems.to_pylist()} == {"trace tr-link", f"trace {NEW} assessments"}
    assert read_spans(store, [OLD, "tr-link", "../traces/" + NEW, "..", "."]).num_rows == 0
    assert store.read_models().problems.num_rows == 1
    shutil.rmtree(traces)
    traces.symlink_to(outside)
    assert store.read_traces(TraceQuery(trace_ids=(NEW,))).traces.num_rows == 0
    assert read_spans(store, [NEW]).num_rows == 0


def test_damaged_models_and_versions_are_reported_and_the_rest_is_read(three_versions):
    model, version = three_versions / "1" / "models" / "m-1", three_versions / "models" / "net" / "version-2"
    status = "model_id: m-1\nexperiment_id: '1'\nname: net\nsource_run_id: null\nstatus: 1\ncreation_timestamp: soon\n"
    write(model / "meta.yaml", status)
    write(model / "metrics" / "acc", f"1000 0.5 1 {RUN}\nx\n2000 0.7 2 {RUN} my data abc\n3000 0.9")
    write(three_versions / "1" / "models" / "m-2" / "params" / "lr", "1")
    write(version / "meta.yaml", "name: net\nversion: 2\nsource: models:/m-" + "0" * 32 + "\nrun_id: ''\n")
    write(version.parent / "version-3" / "meta.yaml", "name: net\ncurrent_stage: Deleted_Internal\n")
    write(version.parent / "version-x" / "meta.yaml", "name: net\n")
    write(version.parent / "aliases" / "champion", "2")
    write(version.parent / "aliases" / "odd", "two")
    write(three_versions / "models" / "prompt" / "tags" / "mlflow.prompt.is_prompt", "true")
    write(three_versions / "models" / "prompt" / "version-1" / "meta.yaml", "name: prompt\n")
    found = FileStore(three_versions).read_models()
    assert found.models.column("model_id").to_pylist() == ["m-1"]
    points = [(row["value"], row["dataset_name"], row["dataset_digest"]) for row in found.metrics.to_pylist()]
    assert points == [(0.7, "my data", "abc"), (0.5, None, None)]
    assert [(row["version"], row["model_id"]) for row in found.versions.to_pylist()] == [(2, "m-" + "0" * 32)]
    assert [(row["alias"], row["version"]) for row in found.aliases.to_pylist()] == [("champion", 2)]
    assert {row["subject"] for row in found.problems.to_pylist()} == {
        "logged model m-1 creation_timestamp",
        "logged model m-1 metric acc",
        "logged model m-2",
        "registered model net alias odd",
    }


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: yes\nb: 'yes'\nc: 1.50\nd: [null, 0x10, .inf]\n", {"a": True, "b": "yes", "c": 1.5, "d": [None, 16, float("inf")]}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": None}),
        ("a: 2026-11-29\n1: one\n", {"a": "2026-11-29", "1": "one"}),
        ("", None),
    ],
)  # fmt: skip
def test_values_of_yaml(text, expected):
    assert nested_yaml(text) == expected


@pytest.mark.parametrize("text", ["a: [", "[" * 30, "a: !!python/object:os.system x\nb: {"])
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        nested_yaml(text)


def test_times_and_durations_of_messages():
    assert milliseconds("2026-01-20T12:51:36.189Z") == 1768913496189
    assert milliseconds("1969-12-31T23:59:59.999999999Z") == -1
    assert (duration_ms("17.129s"), duration_ms("0.000000001s"), duration_ms("3s"), duration_ms(None)) == (17129, 0, 3000, None)  # fmt: skip
    for wrong in ("soon", 3, "2026-13-01T00:00:00Z"):
        with pytest.raises(ValueError, match=r"."):
            milliseconds(wrong)
    with pytest.raises(ValueError, match="not a duration"):
        duration_ms("3 min")
