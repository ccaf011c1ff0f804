"""The data of a bundle: equal for equal runs, as of one time, and no more of an artifact than was read."""

from __future__ import annotations

import shutil
import sqlite3

import pyarrow as pa
import pytest

from qualia_lab import NotebookGenerator, load_runs, load_traces, schema
from qualia_lab.bundle.data import write_data
from qualia_lab.errors import NoTraceMatches, StoreUnreadable
from qualia_lab.selection import Conditions
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.artifacts import READ_FILES_VARIABLE
from qualia_lab.stores.snapshot.fixed_names import fix_names
from qualia_lab.stores.snapshot.hand_over import hand_over_runs
from qualia_lab.stores.snapshot.store import SnapshotStore, write_snapshot
from tests.promises.small_store import run_id_of, write_small_store
from tests.stores.content import content
from tests.stores.mlruns import write, write_run

HOUR = 3_600_000
AS_OF = 1_760_000_300_000 + 3 * HOUR
RUNNING = run_id_of(4)


@pytest.fixture
def root(tmp_path):
    run_ids = write_small_store(tmp_path / "mlruns")
    write_run(tmp_path / "mlruns" / "1", RUNNING, status=1, start_time=AS_OF - 3 * HOUR, end_time=None)
    write(tmp_path / "mlruns" / "1" / run_ids[0] / "artifacts" / "long.log", "line\n" * 2000)
    return tmp_path / "mlruns"


def standalone(root, folder):
    """A snapshot of the store for another machine, with the artifacts of the first run."""
    with open_store(root) as store:
        tables = store.read([run_id_of(number) for number in (1, 2, 3, 4)])
        first = [run_id_of(1)]
        write_snapshot(folder, store, tables, source_uri="mine", artifacts_of=first, standalone=True, as_of=AS_OF)
    return folder


def read_names(folder, *reads):
    """{name of the file in the snapshot: bytes} of artifacts that are read from it, as a command finds them."""
    log = folder.with_name("read")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(READ_FILES_VARIABLE, str(log))
        for path, limit in reads:
            SnapshotStore(folder).artifact_place(run_id_of(1), "").read_bytes(path, limit)
    return {line.split()[0]: int(line.split()[1]) for line in log.read_text().splitlines()}


def test_equal_runs_give_equal_files(root, tmp_path):
    folders = [standalone(root, tmp_path / name / "data") for name in "ab"]
    for folder in folders:
        fix_names(folder, read_names(folder, ("notes.txt", 5000), ("long.log", 100)))
    first, second = ({str(path.relative_to(one)): path.read_bytes() for path in one.rglob("*.*")} for one in folders)
    assert first == second
    assert len(first) > 5


def test_only_what_was_read_of_artifacts_is_kept(root, tmp_path):
    folder = standalone(root, tmp_path / "data")
    fix_names(folder, read_names(folder, ("long.log", 100)))
    before = {name: rows for name, rows in content(str(root)).items() if name != "artifacts"}
    shutil.rmtree(root)
    assert content(f"snapshot:{folder}") == before
    with open_store(f"snapshot:{folder}") as store:
        place = store.artifact_place(run_id_of(1), str(root / "1" / run_id_of(1) / "artifacts"))
        assert [(file.path, file.size) for file in place.list_files()] == [("long.log", 10_000), ("notes.txt", 15)]
        assert place.read_bytes("long.log", 100) == b"line\n" * 20
        with pytest.raises(StoreUnreadable, match="Only the first bytes"):
            place.read_bytes("long.log", 101)
        with pytest.raises(StoreUnreadable, match="Only the artifacts that the notebook reads"):
            place.read_bytes("notes.txt", 10)
        other = store.artifact_place(run_id_of(2), str(root / "1" / run_id_of(2) / "artifacts"))
        assert list(other.list_files()) == []
        assert other.note == "the artifacts of this run were not saved with the notebook"


def test_provenance_does_not_say_that_a_snapshot_was_read_from_the_store_now(root, tmp_path):
    uri = f"snapshot:{standalone(root, tmp_path / 'data')}"
    table, moved = (load_runs(one, [RUNNING]).origins.provenance({}) for one in (str(root), uri))
    assert "read" in table.index
    assert "read" not in moved.index
    assert moved.loc["store", "value"] == "mine"


def test_unfinished_runs_last_until_the_time_of_the_data(root, tmp_path):
    uri = f"snapshot:{standalone(root, tmp_path / 'data')}"
    assert "running, silent for 3.0 h" in load_runs(uri, [RUNNING]).failures.troubled().to_string()
    with (
        open_store(uri) as store,
        hand_over_runs(store, store.read([RUNNING]), named=uri, artifacts_of=()) as variables,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in variables.items():
            patch.setenv(name, value)
        assert "running, silent for 3.0 h" in load_runs(uri, [RUNNING]).failures.troubled().to_string()


@pytest.mark.parametrize("shows", [True, False])
def test_the_data_of_a_notebook_of_traces_are_its_traces_whatever_they_show(genai_demo, tmp_path, shows):
    """A filter on words finds the same traces in the bundle, also where these words were left out."""
    notebook, uri = tmp_path / "t.ipynb", f"sqlite:///{genai_demo}"
    conditions = Conditions.of(filter="trace.text LIKE '%cost%'", limit=5)
    with NotebookGenerator(uri, content=shows) as generator:
        plan = generator.plan(generator.choose_traces(conditions))
        generator.write(plan, notebook)
        manifest = write_data(tmp_path, notebook, {"cells": []}, generator.store)
        ids = generator.read_traces(plan.selection.traces).traces.column("trace_id").to_pylist()
        expected = len(pa.Table.from_batches(generator.store.read_spans(ids), schema.SPANS))
    assert (manifest.run_ids, manifest.chosen_by) == ((), conditions.as_data())
    traces = load_traces(f"snapshot:{tmp_path / 'data'}", plan.selection.traces.as_data())
    assert len(ids) == 5
    assert traces.tables.traces.column("trace_id").to_pylist() == ids
    counts = SnapshotStore(tmp_path / "data").genai
    spans = pa.Table.from_batches(counts.read_spans(ids), schema.SPANS)
    assert len(spans) == expected
    assert ("cost" in str(spans.column("inputs").to_pylist())) == shows
    assert "Its spans were not handed over" not in repr(traces.show(ids[0]))
    gone = shutil.copy(genai_demo, tmp_path / "gone.db")
    with sqlite3.connect(gone) as database:
        database.execute(
            "DELETE FROM trace_info WHERE request_id IN (SELECT trace_id FROM spans WHERE content LIKE '%cost%')"
        )
    with open_store(f"sqlite:///{gone}") as store, pytest.raises(NoTraceMatches, match="None of the"):
        write_data(tmp_path / "gone", notebook, {"cells": []}, store)
