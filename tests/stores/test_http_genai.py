"""Servers: models, the registry, traces, spans and evaluation datasets, also of servers that have only some of them."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.errors import StoreUnreadable
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.stores.http import spans as http_spans
from qualia_lab.stores.http import traces as http_traces
from qualia_lab.stores.open import open_store
from tests import servers
from tests.conftest import running
from tests.lying_server import endless, lie, server_that, true_answer

from .genai_contract import GenAIContract, ids_of
from .recording_proxy import recording_proxy


@pytest.fixture(scope="session")
def genai_server(genai_sample, tmp_path_factory):
    """The URI of an `mlflow server` over a copy of the SQLite file that `fill_genai` filled."""
    folder = tmp_path_factory.mktemp("genai server")
    shutil.copy(genai_sample / "mlflow.db", folder)
    with running(servers.mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder, by_command=True)) as uri:
        yield uri


def stored(uri):
    return open_store(uri).stored


def spans_of(store, trace_ids):
    return pa.Table.from_batches(store.read_spans(trace_ids), schema=schema.SPANS)


class TestServer(GenAIContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, genai_server):
        return genai_server


def test_small_pages_and_batches_return_the_same(genai_server, monkeypatch):
    whole = stored(genai_server).read_traces(TraceQuery())
    spans = spans_of(stored(genai_server), ids_of(whole))
    counts = stored(genai_server).count_traces()
    for module, name, size in [
        (http_traces, "_PAGE_SIZE", 7),
        (http_traces, "_FEW", 3),
        (http_traces, "_TRACES_PER_REQUEST", 3),
        (http_traces, "_EXPERIMENTS_PER_REQUEST", 1),
        (http_spans, "_TRACES_PER_REQUEST", 3),
    ]:
        monkeypatch.setattr(module, name, size)
    store = stored(genai_server)
    for query in (TraceQuery(), TraceQuery(trace_ids=tuple(ids_of(whole)))):
        found = store.read_traces(query)
        assert all(getattr(found, name).equals(getattr(whole, name)) for name in schema.TRACE_TABLES), query
    assert spans_of(store, ids_of(whole)).equals(spans)
    assert store.count_traces() == counts


def test_links_of_many_runs_are_not_read_and_that_is_said(genai_server, monkeypatch):
    monkeypatch.setattr(http_traces, "_MOST_LINKING_RUNS", 2)
    found = stored(genai_server).read_traces(TraceQuery())
    assert found.links.num_rows == 0
    [problem] = found.problems.to_pylist()
    assert problem["subject"] == "links of traces to runs"
    assert "2 runs" in problem["reason"]
    assert stored(genai_server).read_traces(TraceQuery(), ("tags",)).problems.num_rows == 0


def test_links_are_asked_for_only_where_traces_that_were_found_can_have_some(genai_server):
    with recording_proxy(genai_server) as proxy:
        store = stored(proxy.uri)
        whole = store.read_traces(TraceQuery())
        links = whole.links.to_pylist()
        by_source: dict[str | None, list[str]] = {}
        for row in whole.traces.to_pylist():
            by_source.setdefault(row["run_id"], []).append(row["trace_id"])
        assert len(links) > 1 and {None} < by_source.keys()
        for source, trace_ids in by_source.items():
            proxy.requests.clear()
            found = store.read_traces(TraceQuery(trace_ids=tuple(trace_ids)))
            bodies = [json.loads(asked[len(path) :]) for path, asked, _ in proxy.requests if "sourceRun" in asked]
            filters = [body["filter"] for body in bodies]
            assert filters and all(("IS NULL" in text) == (source is None) for text in filters)
            assert not [text for text in filters if f"run_id = '{source}'" in text]
            assert found.links.to_pylist() == [row for row in links if row["trace_id"] in trace_ids]


def test_the_server_evaluates_states_and_times(genai_server):
    with recording_proxy(genai_server) as proxy:
        store = stored(proxy.uri)
        whole = store.read_traces(TraceQuery(), ()).traces.to_pylist()
        failed = [row for row in whole if row["state"] == "ERROR"]
        time = failed[0]["request_time"]
        later = [row["trace_id"] for row in whole if row["request_time"] >= time]
        last = f"request_time >= {time} AND tags.slice = 'odd'"
        for text, limit, expected, given in (
            ("status = 'ERROR'", None, [row["trace_id"] for row in failed], len(failed)),
            (f"request_time >= {time}", 2, later[:2], 2),
            (last, 1, [failed[0]["trace_id"]], len(later)),
            ("status = 'ERROR' OR tags.slice = 'nowhere'", None, [row["trace_id"] for row in failed], len(whole)),
        ):
            proxy.requests.clear()
            assert ids_of(store.read_traces(TraceQuery(filter=text, limit=limit), ())) == expected
            assert sum(len(answer.get("traces", ())) for _, _, answer in proxy.requests) == given, text


# Older servers


def test_a_server_of_mlflow_2_gives_its_traces(genai_server):
    """MLflow 3 still has the endpoints of MLflow 2; the others are taken away."""
    with recording_proxy(genai_server, absent=lambda path: "/3.0/" in path) as proxy:
        old, new = stored(proxy.uri), stored(genai_server)
        ours, theirs = old.read_traces(TraceQuery()), new.read_traces(TraceQuery())
        for name in ("traces", "tags", "metadata", "links"):
            unknown = ["request_preview", "response_preview", "client_request_id", "duration"]
            tables = [getattr(tables, name) for tables in (ours, theirs)]
            tables = [table.drop_columns(unknown) if name == "traces" else table for table in tables]
            assert tables[0].equals(tables[1]), name
        assert ours.assessments.num_rows == 0
        some = tuple(ids_of(ours)[2:5])
        assert ids_of(old.read_traces(TraceQuery(trace_ids=(*some, "tr-0")))) == list(some)
        assert old.count_traces() == new.count_traces()
        assert spans_of(old, ids_of(ours)[:4]).equals(spans_of(new, ids_of(ours)[:4]))
        assert old.read_evaluation_datasets().datasets.num_rows == 0


def test_a_server_without_traces_and_models_has_none():
    with server_that(true_answer) as (server, uri):
        store = stored(uri)
        assert store.count_traces() == {}
        assert store.read_traces(TraceQuery()).problems.num_rows == 0
        for query in (
            TraceQuery(experiment_ids=("1",)),
            TraceQuery(run_ids=("1" * 32,)),
            TraceQuery(trace_ids=("tr-1",)),
        ):
            [problem] = store.read_traces(query).problems.to_pylist()
            assert "before 2.14" in problem["reason"]
        assert list(store.read_spans(["tr-1"])) == []
        assert store.read_evaluation_datasets().problems.num_rows == 0
        found = store.read_models()
        assert (found.models.num_rows, found.versions.num_rows, found.problems.num_rows) == (1, 0, 0)
        assert {method for method, *_ in server.questions} >= {"/api/2.0/mlflow/model-versions/search?max_results=100"}


# Misbehaving servers


def _trace(number):
    return {"trace_id": f"tr-{number}", "request_time": "2026-01-20T12:51:36Z", "state": "OK"}


@pytest.mark.parametrize(
    "infos",
    [lambda _, n: [], lambda _, n: [_trace(1)], lambda _, n: [_trace(n * 100 + one) for one in range(100)]],
    ids=["empty", "the same", "new"],
)
def test_pages_of_traces_without_end_are_given_up(infos, monkeypatch):
    monkeypatch.setenv("QUALIA_LAB_MOST_ENTRIES", "1000")
    with server_that(lie("traces/search", endless("traces", infos))) as (server, uri):
        with pytest.raises(StoreUnreadable, match="without end"):
            stored(uri).read_traces(TraceQuery())
        assert len(server.questions) < 50


def test_invalid_traces_are_reported_and_the_others_are_read():
    odd = [
        {"state": "OK"},
        "no object",
        {**_trace(1), "request_time": 3, "execution_duration": "long", "trace_metadata": {"mlflow.trace.cost": "{"}},
        {**_trace(2), "tags": [7], "assessments": [{"assessment_id": "a-1"}, {"feedback": {"value": float("nan")}}]},
        {**_trace(3), "tags": {"\ud800": "x", "list": [1]}, "trace_location": [], "request_preview": {"a": 1}},
    ]
    with server_that(lie("traces/search", lambda it: it.say({"traces": odd}))) as (_, uri):
        found = stored(uri).read_traces(TraceQuery(), ("tags", "metadata", "assessments"))
    assert found.traces.column("trace_id").to_pylist() == ["tr-2", "tr-3", "tr-1"]
    assert found.assessments.column("value").to_pylist() == ["NaN", None]
    assert [row["subject"] for row in found.problems.to_pylist()] == [
        "the list of traces",
        "trace tr-1 mlflow.trace.cost",
        "trace tr-1 request_time",
        "trace tr-1 execution_duration",
        "assessment a-1 of trace tr-2",
        "trace tr-3 value of list",
        "trace tr-3 request_preview",
    ]


def test_a_server_that_refuses_models_still_gives_the_registry(genai_server):
    def refuse(_, response):
        return None if "models" in response else response

    with recording_proxy(genai_server, change_response=refuse) as proxy:
        found = stored(proxy.uri).read_models()
    assert found.versions.num_rows == 4
    assert found.problems.column("subject").to_pylist() == ["logged models"]
