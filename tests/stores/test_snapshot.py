"""Snapshots: their contents, which runs an update reads, and interrupted updates."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from qualia_lab.errors import EmptyStore, ExtraMissing, OutputExists, OutputNotWritable, StoreNotFound, StoreUnreadable
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot import grouping as snapshot_grouping
from qualia_lab.stores.snapshot import history as snapshot_history
from qualia_lab.stores.snapshot import parts as snapshot_parts
from qualia_lab.stores.snapshot.location import SnapshotLocation, open_location
from qualia_lab.stores.snapshot.update import old_snapshot, update_snapshot
from tests.forked import client_of, socket_of
from tests.servers import missing
from tests.stores.empty import new_client

from .content import content
from .contract import StoreContract

EVERYTHING = Query(view="all")


def snapshot(uri, where, query=EVERYTHING, *, choice=None, force=False, **how):
    """Create or update a snapshot of all runs, or of the runs of a query."""
    store = uri if not isinstance(uri, str) else open_store(uri)
    place = open_location(where)
    old = old_snapshot(place, store.uri, choice or {}, force=force)
    return update_snapshot(store, place, store.read_runs(query), old=old, choice=choice or {}, **how)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


class RecordingStore:
    """A store that records which runs were read."""

    def __init__(self, uri):
        self._store = open_store(uri)
        self.uri = self._store.uri
        self.read_runs_of: list[str] = []
        self.histories_of: list[str] = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self, run_ids):
        self.read_runs_of += run_ids
        return self._store.read(run_ids)

    def read_metric_history(self, run_ids, keys=None):
        self.histories_of += run_ids
        return self._store.read_metric_history(run_ids, keys)


class TestSnapshotInAFolder(StoreContract):
    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, oracle_uri, tmp_path_factory):
        folder = tmp_path_factory.mktemp("a snapshot") / "of Ωμέγα"
        snapshot(oracle_uri, folder)
        return f"snapshot:{folder}"

    @pytest.fixture(scope="class")
    @classmethod
    def oracle_uri(cls, sqlite_sample):
        return f"sqlite:///{sqlite_sample}"


class TestSnapshotInMemory(TestSnapshotInAFolder):
    """Through fsspec, from an mlruns folder, with artifacts, in several updates."""

    @pytest.fixture(scope="class")
    @classmethod
    def store_uri(cls, oracle_uri):
        for count in (1, 3, 4, 1000):
            snapshot(oracle_uri, "memory://contract/of files", Query(view="all", limit=count), artifacts=True)
        return "snapshot:memory://contract/of files"

    @pytest.fixture(scope="class")
    @classmethod
    def oracle_uri(cls, mlruns_sample):
        return str(mlruns_sample)


@pytest.fixture
def changing_store(sqlite_sample, tmp_path):
    """A store that tests may change, its client, and the folder for its snapshot."""
    path = shutil.copy(sqlite_sample, tmp_path)
    shutil.copytree(sqlite_sample.parent / "artifacts", tmp_path / "artifacts")
    moved = (str(sqlite_sample.parent), str(tmp_path))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", moved)
    return f"sqlite:///{path}", MlflowClient(f"sqlite:///{path}"), tmp_path / "out"


def add_runs(client, number, experiment="churn", prefix="new"):
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    found = []
    for index in range(number):
        run_id = client.create_run(experiment_id, run_name=f"{prefix} {index}").info.run_id
        client.log_batch(run_id, metrics=[Metric("loss", index + step, step, step) for step in range(5)])
        client.set_terminated(run_id)
        found.append(run_id)
    return found


# Updates


def test_an_update_reads_only_new_runs(changing_store):
    uri, client, out = changing_store
    client.set_terminated(
        next(run for run in open_store(uri).read_runs(Query()).to_pylist() if run["run_name"] == "running")["run_id"]
    )
    snapshot(uri, out)
    new = add_runs(client, 10)
    store = RecordingStore(uri)
    update = snapshot(store, out)
    assert sorted(store.read_runs_of) == sorted(store.histories_of) == sorted(new)
    assert (update.read, update.removed) == (10, 0)
    assert content(f"snapshot:{out}") == content(uri)
    again = RecordingStore(uri)
    assert snapshot(again, out).read == 0
    assert again.read_runs_of == again.histories_of == []


def test_a_run_that_was_running_is_read_until_it_has_ended(changing_store):
    uri, client, out = changing_store
    [running] = [run["run_id"] for run in open_store(uri).read_runs(Query(filter="status = 'RUNNING'")).to_pylist()]
    for _ in range(2):
        snapshot(uri, out)
        client.log_metric(running, "loss", 0.5, step=int(time.time()))
        store = RecordingStore(uri)
        snapshot(store, out)
        assert store.read_runs_of == [running]
        assert content(f"snapshot:{out}") == content(uri)
    client.set_terminated(running)
    snapshot(uri, out)
    store = RecordingStore(uri)
    snapshot(store, out)
    assert store.read_runs_of == []


def test_changes_in_the_listed_columns_are_detected(changing_store):
    uri, client, out = changing_store
    snapshot(uri, out)
    runs = {run["run_name"]: run["run_id"] for run in open_store(uri).read_runs(EVERYTHING).to_pylist()}
    client.delete_run(runs["failed"])
    client.restore_run(runs["deleted"])
    client.update_run(runs["empty"], name="not empty any more")
    client.rename_experiment(client.get_experiment_by_name("churn").experiment_id, "churn of customers")
    store = RecordingStore(uri)
    snapshot(store, out)
    assert set(store.read_runs_of) == {runs[name] for name in ("failed", "deleted", "empty", "running")}
    assert content(f"snapshot:{out}") == content(uri)


def test_other_changes_of_ended_runs_are_read_only_with_again(changing_store):
    uri, client, out = changing_store
    snapshot(uri, out)
    runs = {run["run_name"]: run["run_id"] for run in open_store(uri).read_runs(EVERYTHING).to_pylist()}
    client.set_tag(runs["failed"], "reviewed", "yes")
    client.log_metric(runs["failed"], "loss", 0.25, step=100)
    snapshot(uri, out)
    assert "reviewed" not in str(content(f"snapshot:{out}")["tags"])
    snapshot(uri, out, again=True)
    assert content(f"snapshot:{out}") == content(uri)


def test_removed_runs_are_removed_from_the_snapshot(changing_store):
    uri, _, out = changing_store
    snapshot(uri, out)
    gone = open_store(uri).read_runs(Query(filter="run_name LIKE 'child%'")).column("run_id").to_pylist()
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.executemany(f"DELETE FROM {table} WHERE run_uuid = ?", [(run_id,) for run_id in gone])
    store = RecordingStore(uri)
    assert snapshot(store, out).removed == 3
    assert len(store.read_runs_of) == 1  # the running one
    assert content(f"snapshot:{out}") == content(uri)


def test_many_updates_leave_few_files(changing_store, monkeypatch):
    """Also if experiments are large enough for parts of their own, which can be read alone."""
    monkeypatch.setattr(snapshot_grouping, "_SMALL_EXPERIMENT", 8)
    uri, client, out = changing_store
    for call in range(22):
        add_runs(client, 1, ("churn", "prices / Ωμέγα")[call % 2], prefix=f"call {call}")
        if call == 20:
            client.set_experiment_tag(client.get_experiment_by_name("churn").experiment_id, "team", "retention")
            add_runs(client, 1)  # tags of an experiment are read together with its runs
        snapshot(uri, out)
    assert len(manifest_of(out)["parts"]) < 8
    assert content(f"snapshot:{out}") == content(uri)
    files = {file["file"] for part in manifest_of(out)["parts"] for file in part["files"]}
    files |= {file["file"] for file in manifest_of(out)["tables"]}
    assert {f"parts/{path.name}" for path in (out / "parts").iterdir()} == files


def test_saved_artifacts_survive_updates_without_artifacts(changing_store, monkeypatch):
    monkeypatch.setattr(snapshot_grouping, "_TOLERATED_EXTRA_PARTS", 0)
    uri, client, out = changing_store
    snapshot(uri, out, artifacts=True)
    for _ in range(4):
        add_runs(client, 1)
        snapshot(uri, out)
    assert len(manifest_of(out)["parts"]) == 2  # one of them for the running run
    store = open_store(f"snapshot:{out}")
    [run] = [run for run in store.read_runs(Query()).to_pylist() if run["run_name"].startswith("naïve")]
    (out.parent / "artifacts").rename(out.parent / "elsewhere")
    assert store.artifact_place(run["run_id"], run["artifact_uri"]).read_bytes("notes/hello there.txt", 5) == b"hello"


# Reading one experiment or one metric


# Metrics of each run of the large store, and points of each metric.
LARGE_METRICS, LARGE_STEPS = 12, 80


def large_store(path):
    """A SQLite store with three experiments, one of them small, written with SQL."""
    runs, metrics, steps = (60, 60, 3), LARGE_METRICS, LARGE_STEPS
    client = new_client(f"sqlite:///{path}")
    ids = [client.create_experiment(f"experiment {number}") for number in range(len(runs))]
    numbers = random.Random(7)
    with closing(sqlite3.connect(path)) as database, database:
        for experiment, count in zip(ids, runs, strict=True):
            for place in range(count):
                run_id = f"{numbers.getrandbits(128):032x}"
                database.execute(
                    "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id, user_id, source_type, source_name, entry_point_name, source_version, artifact_uri)"
                    " VALUES (?, ?, 'FINISHED', ?, ?, 'active', ?, 'ana', 'LOCAL', '', '', '', '')",
                    (run_id, f"run {place}", 1_760_000_000_000 + place, 1_760_000_060_000 + place, experiment),
                )
                rows = [
                    (f"m{metric}", numbers.random(), step, run_id, step, 0)
                    for metric in range(metrics)
                    for step in range(steps)
                ]
                for table, some in (("metrics", rows), ("latest_metrics", rows[steps - 1 :: steps])):
                    database.executemany(
                        f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
                        some,
                    )
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return large_store(tmp_path_factory.mktemp("large") / "mlflow.db")


@pytest.fixture(scope="module")
def all_of_large(large):
    """The content of the large store."""
    return content(large)


@pytest.fixture(scope="module")
def large_snapshot(large, tmp_path_factory):
    out = tmp_path_factory.mktemp("large") / "snapshot"
    snapshot(large, out)
    return out


def test_one_experiment_is_read_only_from_its_own_files(large_snapshot, monkeypatch):
    store = open_store(f"snapshot:{large_snapshot}")
    opened = Counter()
    original = SnapshotLocation.open
    monkeypatch.setattr(SnapshotLocation, "open", lambda self, name: opened.update([name]) or original(self, name))
    runs = store.read_runs(Query(filter="experiment.name = 'experiment 1'"))
    opened.clear()
    points = sum(batch.num_rows for batch in store.read_metric_history(runs.column("run_id").to_pylist()))
    assert points == 60 * LARGE_METRICS * LARGE_STEPS
    [part] = [part for part in manifest_of(large_snapshot)["parts"] if part["experiments"] == ["2"]]
    assert set(opened) <= {file["file"] for file in part["files"]}


def test_one_metric_is_read_without_the_others(large_snapshot):
    store = open_store(f"snapshot:{large_snapshot}")
    run_ids = store.read_runs(EVERYTHING).column("run_id").to_pylist()
    assert sum(batch.num_rows for batch in store.read_metric_history(run_ids, ["m7"])) == 123 * LARGE_STEPS
    histories = [
        file
        for part in manifest_of(large_snapshot)["parts"]
        for file in part["files"]
        if file["table"] == "metric_history"
    ]
    for file in histories:
        keys = pq.ParquetFile(large_snapshot / file["file"]).read().column("key").to_pylist()
        assert keys == sorted(keys)
        assert sorted(set(keys)) == file["keys"]
    metadata = max(
        (pq.ParquetFile(large_snapshot / file["file"]).metadata for file in histories), key=lambda one: one.num_rows
    )
    assert metadata.num_row_groups > 1  # so that other metrics can be skipped


def test_a_metric_that_was_just_read_is_not_read_again_for_other_runs(large_snapshot, monkeypatch):
    def points(store, runs, key):
        return pa.Table.from_batches(store.read_metric_history(runs, [key])).to_pylist()

    store, uri = open_store(f"snapshot:{large_snapshot}"), f"snapshot:{large_snapshot}"
    run_ids = store.read_runs(Query(filter="experiment.name = 'experiment 1'")).column("run_id").to_pylist()
    some, others = run_ids[:20], run_ids[20:]
    expected = [points(open_store(uri), runs, key) for runs, key in ((some, "m7"), (others, "m7"), (others, "m8"))]
    opened = []
    original = snapshot_parts.read_encoded
    monkeypatch.setattr(snapshot_parts, "read_encoded", lambda file, keys: opened.append(keys) or original(file, keys))
    found = [points(store, some, "m7"), points(store, others, "m7")]
    assert len(opened) == 1
    assert [*found, points(store, others, "m8")] == expected
    assert [len(rows) for rows in expected] == [20 * LARGE_STEPS, 40 * LARGE_STEPS, 40 * LARGE_STEPS]


@pytest.mark.parametrize("buffer_size", [7, 50, 1000])
def test_histories_above_the_buffer_size_are_written_to_several_files(buffer_size, large, tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot_history, "_MAX_BUFFERED_POINTS", buffer_size)
    query = Query(experiment_ids=("3",))
    snapshot(large, tmp_path / "out", query)
    ids = open_store(large).read_runs(query).column("run_id").to_pylist()

    def series(uri):
        points = [row for batch in open_store(uri).read_metric_history(ids) for row in batch.to_pylist()]
        grouped = [
            (key, [row["value"] for row in rows])
            for key, rows in itertools.groupby(points, key=lambda row: (row["run_id"], row["key"]))
        ]
        assert len(grouped) == len({key for key, _ in grouped}), "a series stands in one piece"
        return dict(grouped)

    assert series(f"snapshot:{tmp_path / 'out'}") == series(large)


# The manifest


def test_the_manifest_lists_the_contents(changing_store):
    uri, _, out = changing_store
    snapshot(uri, out)
    manifest = manifest_of(out)
    assert manifest["tracking_uri"] == uri
    assert manifest["schema_version"] == 2
    files = [*manifest["tables"], *(file for part in manifest["parts"] for file in part["files"])]
    for file in files:
        data = (out / file["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        assert pq.read_metadata(out / file["file"]).num_rows == file["rows"]
    there = content(uri)
    assert manifest["counts"]["runs"] == len(there["runs"])
    assert manifest["counts"]["metric_history"] == len(there["points"])
    assert manifest["counts"]["experiments"] == 5


def test_no_password_is_written(postgresql_sample, tmp_path):
    scheme, _, rest = postgresql_sample.partition("://")
    userinfo, _, where = rest.rpartition("@")
    uri = f"{scheme}://{userinfo.partition(':')[0] or 'postgres'}:s3cretpassword@{where}"
    snapshot(uri, tmp_path / "out")
    for file in (tmp_path / "out").rglob("*"):
        assert file.is_dir() or b"s3cretpassword" not in file.read_bytes()
    assert "@" in manifest_of(tmp_path / "out")["tracking_uri"]


# Interrupted updates


KILLED_COMMAND = """
import os, sys
from pathlib import Path
from qualia_lab.stores.snapshot import location as snapshot_location
from qualia_lab.cli.main import main
what, moment, uri, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
left = [moment]
def count(*_):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), 9)
def counted(function):
    def call(*arguments, **named):
        count()
        return function(*arguments, **named)
    return call
for owner, name in ((snapshot_location.HashedFile, "write"), (Path, "replace"), (os, "fsync")):
    if what in (name, "any"):
        setattr(owner, name, counted(getattr(owner, name)))
sys.argv = ["qualia", "snapshot", uri, out, *sys.argv[5:]]
main()
"""


def killed_at(moment, uri, out, what="any"):
    """Run `qualia snapshot`, killed by SIGKILL before its nth write, fsync or rename; whether it was killed."""
    done = subprocess.run(
        [*client_of(socket_of("command")), "-c", KILLED_COMMAND, what, str(moment), uri, out], capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


@pytest.mark.slow
def test_after_a_kill_at_any_moment_the_old_snapshot_is_intact_and_updatable(large, all_of_large, tmp_path):
    out = tmp_path / "out"
    snapshot(large, out, Query(experiment_ids=("3",)))
    before, after = content(f"snapshot:{out}"), all_of_large
    moment = times = 0
    while killed_at(moment, large, out):
        now = content(f"snapshot:{out}")
        assert now in (before, after)
        before = now
        times += 1
        moment += 1 + moment
    assert times > 4
    assert content(f"snapshot:{out}") == after


def test_a_killed_first_call_is_continued_by_the_next(large, all_of_large, tmp_path):
    out = tmp_path / "out"
    assert killed_at(1, large, out, "replace")  # the first part is finished, the second is not
    with pytest.raises(StoreNotFound):
        open_store(f"snapshot:{out}")
    assert len(list((out / "parts").glob("*.json"))) == 1
    store = RecordingStore(large)
    snapshot(store, out)
    assert len(store.read_runs_of) == 63
    assert content(f"snapshot:{out}") == all_of_large
    assert not list(out.glob("**/.*"))


def test_a_kill_while_replacing_the_manifest_requires_no_new_reads(large, all_of_large, tmp_path):
    out = tmp_path / "out"
    assert killed_at(3, large, out, "replace")
    store = RecordingStore(large)
    snapshot(store, out)
    assert store.read_runs_of == []
    assert content(f"snapshot:{out}") == all_of_large
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "parts"]


def test_parts_finished_by_an_interrupted_call_are_not_read_again(large, tmp_path):
    class Cut(RecordingStore):
        def read(self, run_ids):
            if self.read_runs_of:
                raise KeyboardInterrupt
            return super().read(run_ids)

    first, second = Cut(large), RecordingStore(large)
    with pytest.raises(KeyboardInterrupt):
        snapshot(first, tmp_path / "out")
    snapshot(second, tmp_path / "out")
    assert len(first.read_runs_of) == 60
    assert sorted(first.read_runs_of + second.read_runs_of) == sorted(
        open_store(large).read_runs(EVERYTHING).column("run_id").to_pylist()
    )


def test_two_commands_cannot_write_concurrently(large, tmp_path):
    place = open_location(tmp_path / "out")
    with place.writing(), pytest.raises(OutputNotWritable, match="Another command"):
        snapshot(large, tmp_path / "out")
    snapshot(large, tmp_path / "out")


# Files of others


def test_files_of_the_user_are_never_removed(large, tmp_path):
    (tmp_path / "out/parts").mkdir(parents=True)
    thesis = tmp_path / "out/parts/thesis.parquet"
    thesis.write_text("mine")
    with pytest.raises(OutputExists, match="holds no snapshot"):
        snapshot(large, tmp_path / "out")
    thesis.unlink()
    snapshot(large, tmp_path / "out")
    thesis.write_text("mine")
    (tmp_path / "out/README.md").write_text("mine")
    snapshot(large, tmp_path / "out", again=True)
    assert thesis.read_text() == (tmp_path / "out/README.md").read_text() == "mine"


def test_a_different_snapshot_is_replaced_only_with_force(large, all_of_large, changing_store):
    uri, _, out = changing_store
    snapshot(uri, out)
    before = content(f"snapshot:{out}")
    with pytest.raises(OutputExists, match=r"is of sqlite:///.*mlflow\.db"):
        snapshot(large, out)
    with pytest.raises(OutputExists, match="a different choice of runs: all runs"):
        snapshot(uri, out, Query(limit=2), choice={"limit": 2})
    with pytest.raises(EmptyStore):
        snapshot(uri, out, Query(filter="params.no = '1'"))
    assert content(f"snapshot:{out}") == before
    snapshot(uri, out, Query(limit=2), choice={"limit": 2}, force=True)
    assert manifest_of(out)["counts"]["runs"] == 2
    snapshot(large, out, force=True)
    assert content(f"snapshot:{out}") == all_of_large


@pytest.mark.parametrize("damage", [
    "{", "[]", '{"schema_version": 2}', '{"schema_version": 99}', '{"schema_version": 1e999}', "[" * 100_000,
])  # fmt: skip
def test_an_invalid_manifest_raises_an_error_and_can_be_replaced(damage, large, large_snapshot, all_of_large, tmp_path):
    shutil.copytree(large_snapshot, tmp_path / "out")
    (tmp_path / "out/manifest.json").write_text(damage)
    with pytest.raises(StoreUnreadable, match=r"damaged|has version 99"):
        open_store(f"snapshot:{tmp_path / 'out'}")
    with pytest.raises(StoreUnreadable, match="--force"):
        snapshot(large, tmp_path / "out")
    snapshot(large, tmp_path / "out", force=True)
    assert content(f"snapshot:{tmp_path / 'out'}") == all_of_large


@pytest.mark.parametrize("lost", [True, False])
def test_missing_and_truncated_files_are_reported_and_read_again(lost, large, large_snapshot, all_of_large, tmp_path):
    out = shutil.copytree(large_snapshot, tmp_path / "out")
    largest = max((out / "parts").iterdir(), key=lambda path: path.stat().st_size)
    if lost:
        largest.unlink()
    else:
        largest.write_bytes(largest.read_bytes()[:-100])
    with pytest.raises(StoreUnreadable, match="is gone" if lost else "cannot be read"):
        content(f"snapshot:{out}")
    snapshot(large, out)
    assert content(f"snapshot:{out}") == all_of_large


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "parts/../../secret", "parts/.secret"])
def test_a_manifest_cannot_reference_files_outside_the_snapshot(name, large_snapshot, tmp_path):
    manifest = manifest_of(large_snapshot)
    manifest["tables"][0]["file"] = name
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreUnreadable, match="damaged"):
        open_store(f"snapshot:{tmp_path}")


def test_a_link_in_a_snapshot_is_not_followed(large_snapshot, tmp_path):
    out = shutil.copytree(large_snapshot, tmp_path / "out")
    file = out / manifest_of(out)["tables"][0]["file"]
    file.rename(tmp_path / "elsewhere.parquet")
    file.symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(StoreUnreadable, match="is not a regular file"):
        open_store(f"snapshot:{out}").read_experiments()


def test_a_file_as_location_and_an_unknown_scheme_raise_errors(large, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputNotWritable, match="file is a file"):
        snapshot(large, tmp_path / "file")
    with pytest.raises(OutputNotWritable, match="file is a file"):
        snapshot(large, tmp_path / "file" / "below")
    with pytest.raises(StoreNotFound, match="Protocol not known"):
        open_location("nosuch://somewhere")
    with pytest.raises(StoreNotFound, match="There is no snapshot"):
        open_store(f"snapshot:{tmp_path / 'file'}")


def test_a_url_with_a_missing_package_raises_an_error_without_the_password(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(ExtraMissing, match="paramiko") as raised:
        open_location("sftp://ana:s3cretpassword@localhost/x")
    assert "s3cretpassword" not in str(raised.value)


def test_a_file_url_is_a_local_folder(large, all_of_large, tmp_path):
    snapshot(large, f"local://{tmp_path}/out")
    assert content(f"snapshot:{tmp_path / 'out'}") == content(f"snapshot:file://{tmp_path}/out") == all_of_large


def test_a_snapshot_can_be_in_another_filesystem_than_temporary_files(large, all_of_large):
    temporary = Path(tempfile.gettempdir()).stat().st_dev
    places = [place for place in ("/dev/shm", "/var/tmp") if os.access(place, os.W_OK)]
    others = [place for place in places if Path(place).stat().st_dev != temporary]
    if not others:
        missing("there is no second filesystem at /dev/shm or /var/tmp")
    with tempfile.TemporaryDirectory(dir=others[0]) as folder:
        snapshot(large, f"{folder}/out")
        assert content(f"snapshot:{folder}/out") == all_of_large


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_an_unwritable_folder_raises_an_error_before_the_store_is_read(mode, tmp_path):
    folder = Path(tempfile.mkdtemp())  # other users cannot read pytest's folders
    folder.chmod(0o755)
    target = folder / "locked"
    target.mkdir()
    target.chmod(mode)
    process = os.fork()
    if process == 0:  # as a user other than root, to whom permissions apply
        if os.geteuid() == 0:
            os.setuid(65534)
        correct = 0
        for out in (target, target / "deeper"):
            try:
                old_snapshot(open_location(out), "sqlite:///x.db", {}, force=False)
            except OutputNotWritable as error:
                correct += error.message.startswith("Cannot write") and "--output" not in error.hint
            except BaseException:
                os._exit(100)
        os._exit(correct)
    _, status = os.waitpid(process, 0)
    target.chmod(0o755)
    shutil.rmtree(folder)
    assert os.waitstatus_to_exitcode(status) == 2
