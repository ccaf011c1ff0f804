"""Models, traces, spans and evaluation datasets in snapshots: the same tables as the store gives."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import fields

import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.genai import SPANS, SPANS_IN_PART, GenAIChoice
from qualia_lab.stores.snapshot.location import open_location
from qualia_lab.stores.snapshot.manifest import read_manifest
from qualia_lab.stores.snapshot.store import SnapshotStore, snapshot_below, write_snapshot
from qualia_lab.stores.snapshot.update import update_snapshot
from qualia_lab.stores.sql.store import SqlStore
from qualia_lab.stores.uri import split_uri

EVERYTHING = GenAIChoice(traces=TraceQuery())


def update(store, folder, genai=EVERYTHING):
    location = open_location(folder)
    old = read_manifest(location) if (folder / "manifest.json").exists() else None
    update_snapshot(store, location, store.read_runs(Query(view="all")), old=old, choice={}, genai=genai)
    return SnapshotStore(folder)


def files(folder, table):
    return {file.file for file in read_manifest(open_location(folder)).tables if file.table == table}


@pytest.fixture(scope="module")
def ids(genai_sample):
    return json.loads((genai_sample / "ids.json").read_text())


@pytest.fixture(scope="module")
def store(genai_sample):
    with SqlStore(split_uri(f"sqlite:///{genai_sample / 'mlflow.db'}")) as opened:
        yield opened


@pytest.fixture(scope="module")
def snapshot(store, tmp_path_factory):
    return update(store, tmp_path_factory.mktemp("snapshot") / "all")


def same(ours, theirs):
    for field in fields(ours):
        rows, expected = (sorted(map(repr, getattr(tables, field.name).to_pylist())) for tables in (ours, theirs))
        assert rows == expected, field.name
        assert field.name == "problems" or rows or not expected


def spans(store, trace_ids, **options):
    return pa.Table.from_batches(store.read_spans(trace_ids, **options), schema.SPANS).to_pylist()


@pytest.mark.parametrize("by", ["nothing", "experiment_ids", "run_ids"])
def test_models_and_versions_are_those_of_the_store(snapshot, store, ids, by):
    wanted = {
        "nothing": {},
        "experiment_ids": list(ids["experiments"].values())[:1],
        "run_ids": list(ids["runs"].values())[:1],
    }
    chosen = {} if by == "nothing" else {by: wanted[by]}
    same(snapshot.read_models(**chosen), store.read_models(**chosen))
    assert snapshot.read_models(**chosen).models.num_rows


@pytest.mark.parametrize(
    "query",
    [
        TraceQuery(),
        TraceQuery(limit=2),
        TraceQuery(filter="status = 'ERROR'"),
        TraceQuery(filter="span.type = 'TOOL' OR duration > 1 s", order_by=("duration DESC",)),
    ],
    ids=["all", "limit", "filter", "spans"],
)
def test_traces_are_those_of_the_store_in_its_order(snapshot, store, query):
    found, expected = snapshot.read_traces(query), store.read_traces(query)
    assert found.traces.column("trace_id").to_pylist() == expected.traces.column("trace_id").to_pylist()
    same(found, expected)


def test_traces_of_runs_and_of_ids(snapshot, store, ids):
    for run_id in ids["runs"].values():
        same(snapshot.read_traces(TraceQuery(run_ids=(run_id,))), store.read_traces(TraceQuery(run_ids=(run_id,))))
    some = tuple(ids["traces"].values())[:2]
    same(snapshot.read_traces(TraceQuery(trace_ids=some)), store.read_traces(TraceQuery(trace_ids=some)))


def test_only_the_parts_that_were_asked_for_are_filled(snapshot):
    tables = snapshot.read_traces(TraceQuery(), ("tags",))
    assert tables.traces.num_rows and tables.tags.num_rows
    assert not tables.metadata.num_rows and not tables.assessments.num_rows


@pytest.mark.parametrize("content", [True, False])
def test_spans_are_those_of_the_store_in_the_order_of_the_traces(snapshot, store, content):
    trace_ids = store.read_traces(TraceQuery(), ("traces",)).traces.column("trace_id").to_pylist()[::-1]
    expected = spans(store, trace_ids, content=content)
    assert spans(snapshot, trace_ids, content=content) == expected
    assert len({span["trace_id"] for span in expected}) > 3


def test_counts_and_evaluation_datasets(snapshot, store, ids):
    assert snapshot.count_traces() == store.count_traces()
    assert snapshot.count_traces(["no such"]) == {}
    same(snapshot.read_evaluation_datasets(), store.read_evaluation_datasets())
    for experiment_id in ids["experiments"].values():
        same(snapshot.read_evaluation_datasets([experiment_id]), store.read_evaluation_datasets([experiment_id]))


def test_an_update_reads_the_spans_of_new_and_unfinished_traces_only(genai_sample, tmp_path):
    shutil.copy(genai_sample / "mlflow.db", tmp_path / "mlflow.db")
    with SqlStore(split_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")) as store:
        asked = []
        read_spans = store.read_spans
        store.read_spans = lambda trace_ids, **options: (
            asked.append(list(trace_ids)),
            read_spans(trace_ids, **options),
        )[1]
        update(store, tmp_path / "s")
        before, first = files(tmp_path / "s", SPANS), asked.pop()
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            state = dict(database.execute("SELECT request_id, status FROM trace_info"))
            ended = sorted(trace_id for trace_id in first if state[trace_id] in ("OK", "ERROR"))
            changed, gone = ended[0], ended[1]
            database.execute("UPDATE trace_info SET execution_time_ms = 77 WHERE request_id = ?", [changed])
            database.execute("UPDATE spans SET name = 'renamed' WHERE trace_id = ?", [changed])
            database.execute("DELETE FROM spans WHERE trace_id = ?", [gone])
            database.execute("DELETE FROM trace_info WHERE request_id = ?", [gone])
        again = update(store, tmp_path / "s")
        (read,) = asked
        assert set(read) == {changed} | {trace_id for trace_id in first if trace_id not in ended}
        assert files(tmp_path / "s", SPANS) != before
        trace_ids = again.read_traces(TraceQuery(), ("traces",)).traces.column("trace_id").to_pylist()
        assert gone not in trace_ids and not spans(again, [gone])
        assert spans(again, trace_ids) == spans(store, trace_ids)
        assert {span["name"] for span in spans(again, [changed])} == {"renamed"}


def test_a_snapshot_for_a_notebook_holds_what_was_chosen(store, ids, tmp_path):
    run_ids = list(ids["runs"].values())
    traces = store.read_traces(TraceQuery(), ("traces",)).traces.column("trace_id").to_pylist()
    choice = GenAIChoice(
        run_ids=tuple(run_ids),
        traces=TraceQuery(),
        spans_of=tuple(traces[:1]),
        few_inputs_of=tuple(traces[1:3]),
        bare_spans_of=tuple(traces[3:]),
    )
    write_snapshot(tmp_path, store, store.read(run_ids), source_uri=store.uri, genai=choice)
    found = SnapshotStore(tmp_path)
    assert files(tmp_path, SPANS) and files(tmp_path, SPANS_IN_PART)
    assert snapshot_below(store) is None
    assert snapshot_below(found) is found
    assert (found.traces_of, found.has_spans_in_part) == (None, True)
    assert spans(found, traces[:1]) == spans(store, traces[:1])
    assert spans(found, traces[3:]) == spans(store, traces[3:], content=False)
    few, everything = (spans(of, traces[1:3]) for of in (found, store))
    assert [one["inputs"] for one in few] == [
        one["inputs"] if one["parent_id"] is None or one["type"] == "TOOL" else None for one in everything
    ]
    assert any(one["inputs"] for one in few)
    assert not any(one[name] for one in few for name in ("outputs", "attributes", "events"))
    same(found.read_models(run_ids=run_ids), store.read_models(run_ids=run_ids))


def test_a_snapshot_of_a_store_without_such_tables_is_as_before(demo_store, tmp_path):
    with open_store(f"sqlite:///{demo_store}") as store:
        snapshot = update(store, tmp_path / "s")
    assert not snapshot.read_traces(TraceQuery()).traces.num_rows
    assert snapshot.count_traces() == {}
