"""The temporary snapshot that a command passes to its kernel, how `load_runs` uses it, and its removal."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from qualia_lab import load_runs
from qualia_lab.errors import SelectionError, StoreNotFound
from qualia_lab.masking.keys import MaskRules
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.hand_over import hand_over_runs, read_runs, remove_stale_snapshots


@pytest.fixture
def uri(sqlite_sample):
    return f"sqlite:///{sqlite_sample}"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A private folder for temporary files, so that other processes' files are not involved."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def ids(uri):
    from qualia_lab.selection import Query

    return open_store(uri).read_runs(Query()).column("run_id").to_pylist()


@pytest.fixture
def kernel(uri, ids, temporary, monkeypatch):
    """The environment of a kernel with a snapshot of the first two runs and one that is missing."""
    store = open_store(uri)
    with hand_over_runs(store, store.read([*ids[:2], "f" * 32]), named=uri, artifacts_of=()) as handed:
        for name, value in handed.items():
            monkeypatch.setenv(name, value)
        yield


def test_handed_over_and_missing_runs_are_read_from_the_snapshot(kernel, uri, ids):
    store, tables = read_runs(uri, [ids[1], "f" * 32], MaskRules())
    assert store.uri.startswith("snapshot:")
    assert list(tables.run_ids) == [ids[1]]
    assert "snapshot" not in tables.missing.to_pylist()[0]["reason"]


def test_other_runs_are_read_from_the_store(kernel, uri, ids):
    runs = load_runs(uri, ids[:4])
    assert list(runs) == ids[:4]
    assert "Missing" not in repr(runs)
    assert "Missing: run " + "e" * 32 in repr(load_runs(uri, [ids[0], "e" * 32]))


def test_an_unreadable_store_raises_an_error_with_the_runs_not_handed_over(uri, ids, temporary, monkeypatch):
    store = open_store(uri)
    named = "sqlite:////nowhere/mlflow.db"
    with hand_over_runs(store, store.read(ids[:2]), named=named, artifacts_of=()) as handed:
        for name, value in handed.items():
            monkeypatch.setenv(name, value)
        assert len(load_runs(named, ids[:2])) == 2
        assert len(load_runs(named, ids[:3])) == 3, "the store is read at its current URI, not at the named one"
    gone = open_store(uri)
    gone.uri = named
    with hand_over_runs(gone, store.read(ids[:2]), named=named, artifacts_of=()) as handed:
        for name, value in handed.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(StoreNotFound, match=rf"1 run of 3 was not handed over .*{ids[2]}.*cannot be") as error:
            load_runs(named, ids[:3])
    assert "Run the cell in Jupyter" in error.value.hint


def test_tracking_uris_are_compared_without_secrets(uri, ids, temporary, monkeypatch):
    store = open_store(uri)
    named = "postgresql://ada:s3cr3t@db/x"
    with hand_over_runs(store, store.read(ids[:1]), named=named, artifacts_of=()) as handed:
        assert "s3cr3t" not in str(handed)
        for name, value in handed.items():
            monkeypatch.setenv(name, value)
        assert list(load_runs(named, ids[:1])) == ids[:1]


@pytest.mark.parametrize(
    ("run_ids", "message"), [("abc", "one text, 'abc'"), ('["a"]', "one text"), ([3], "3 is no run id")]
)
def test_run_ids_passed_by_papermill_as_text_raise_a_clear_error(uri, run_ids, message):
    with pytest.raises(SelectionError, match=message):
        load_runs(uri, run_ids)


# Stale snapshots

HOLDING_COMMAND = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[2]
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.hand_over import hand_over_runs
from qualia_lab.interruptions import raise_on_sigterm
raise_on_sigterm()
store = open_store(sys.argv[1])
with hand_over_runs(store, store.read([]), named=sys.argv[1], artifacts_of=()):
    print("there", flush=True)
    time.sleep(60)
"""


def holding(uri, temporary):
    command = [sys.executable, "-c", HOLDING_COMMAND, uri, temporary]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "there\n"
    return process


def test_only_snapshots_of_killed_commands_are_removed(uri, temporary):
    with holding(uri, temporary) as living, holding(uri, temporary) as dying:
        try:
            assert len(list(temporary.iterdir())) == 2
            dying.kill()
            dying.wait()
            others = [temporary / "qualia-lab-runs-mine", temporary / "qualia-lab-runs-12345678"]
            for other in others:
                other.mkdir()
                (other / "a person's file").touch()
            remove_stale_snapshots()
            left = set(temporary.iterdir()) - set(others)
            assert len(left) == 1
            assert (left.pop() / "manifest.json").is_file()
            assert all((other / "a person's file").is_file() for other in others)
        finally:
            living.send_signal(signal.SIGTERM)
            dying.kill()
        living.wait(20)
    assert set(temporary.iterdir()) == set(others), "SIGTERM cleans up"


def test_a_folder_removed_before_it_was_locked_is_created_again(uri, temporary, monkeypatch):
    from qualia_lab.stores.snapshot import hand_over

    lock, seen = hand_over.lock_folder, []

    def removed_first(folder, *, wait):
        seen.append(folder)
        descriptor = lock(folder, wait=wait)
        if len(seen) == 1:
            folder.rmdir()
        return descriptor

    monkeypatch.setattr(hand_over, "lock_folder", removed_first)
    store = open_store(uri)
    with hand_over_runs(store, store.read([]), named=uri, artifacts_of=()) as handed:
        assert Path(handed[hand_over.SNAPSHOT_VARIABLE]) == seen[1]
        assert (seen[1] / "manifest.json").is_file()
    assert not list(temporary.iterdir())
