"""Stores from public repositories: everything in them is read, and they are not changed.

The expected numbers are counted in the files and with sqlite3; values are compared with MLflow's client on a copy.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from qualia_lab import NotebookGenerator
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.notebook.build import build_notebook
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.stores.snapshot.genai import GenAIChoice

from .test_snapshot import snapshot

FOLDERS = (
    "packt-hyperparameter-tuning/mlruns",
    "promptchain-examples/mlruns",
    "pycaret-tutorials/tutorials/mlruns",
    "stock-quant/mlruns",
)
DATABASES = ("omegaml/mlflow.sqlite", "stock-quant/mlflow.db")
PARTS = ("params", "metrics", "tags")
NOT_RUNS = ("tags", "traces", "datasets", "models")


@pytest.fixture(scope="module", params=(*FOLDERS, *DATABASES))
def place(request, shared_data):
    return shared_data / "stores" / request.param


@pytest.fixture(scope="module")
def found(place):
    """Everything that open_store reads, in every lifecycle stage, and the digests of the files before and after."""
    before = digest(place)
    store = open_store(place)
    try:
        run_ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
        read = {
            "experiments": store.read_experiments("all").to_pylist(),
            "listed": run_ids,
            "tables": store.read(run_ids),
            "points": [
                (point["run_id"], point["key"], point["step"], point["timestamp"], point["value"])
                for batch in store.read_metric_history(run_ids)
                for point in batch.to_pylist()
            ],
        }
    finally:
        store.close()
    return read, before, digest(place)


def digest(place):
    """A digest of the names, times and contents of all files of a store, or in the folder of a database."""
    files = sorted(place.rglob("*")) if place.is_dir() else [place, *sorted(place.parent.iterdir())]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file} {file.stat().st_mtime_ns} ".encode())
        total.update(file.read_bytes() if file.is_file() else b"folder")
    return total.hexdigest()


def counted_in_files(folder):
    """The numbers of rows by kind, counted in the files of an mlruns folder."""
    counts = Counter()
    experiments = [
        candidate
        for parent in (folder, folder / ".trash")
        if parent.is_dir()
        for candidate in parent.iterdir()
        if candidate.is_dir() and candidate.name not in (".trash", "models")
    ]
    for experiment in experiments:
        counts["experiments"] += 1
        for run in experiment.iterdir():
            if not run.is_dir() or run.name in NOT_RUNS or run.name.startswith("."):
                continue
            counts["runs"] += 1
            for part in PARTS:
                files = [file for file in (run / part).rglob("*") if file.is_file()]
                counts[part] += len(files)
                if part == "metrics":
                    lines = [line for file in files for line in file.read_text().splitlines()]
                    counts["points"] += len([line for line in lines if line.strip()])
    return counts


def counted_in_database(path):
    """The numbers of rows by kind, counted in the tables of a SQLite file."""
    tables = {kind: kind for kind in ("experiments", "runs", "params", "tags")}
    tables |= {"metrics": "latest_metrics", "points": "metrics"}
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        return Counter(
            {kind: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for kind, table in tables.items()}
        )


def test_everything_in_the_store_is_read(place, found):
    read, _, _ = found
    tables = read["tables"]
    expected = counted_in_files(place) if place.is_dir() else counted_in_database(place)
    assert {
        "experiments": len(read["experiments"]),
        "runs": tables.runs.num_rows,
        "params": tables.params.num_rows,
        "metrics": tables.metrics.num_rows,
        "tags": tables.tags.num_rows,
        "points": len(read["points"]),
    } == {kind: expected[kind] for kind in ("experiments", "runs", "params", "metrics", "tags", "points")}
    assert tables.run_ids == tuple(read["listed"])
    assert tables.missing.num_rows == 0
    assert sum(experiment["run_count"] for experiment in read["experiments"]) == expected["runs"]


def test_no_file_content_or_time_is_changed(found):
    _, before, after = found
    assert before == after


def test_unreadable_values_are_reported_with_subject_and_reason(found):
    tables = found[0]["tables"]
    for problem in tables.problems.to_pylist():
        assert problem["subject"]
        assert problem["reason"]


def test_values_match_mlflow_on_a_copy(place, found, tmp_path, monkeypatch):
    read, _, _ = found
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    copy = tmp_path / place.name
    if place.is_dir():
        shutil.copytree(place, copy)
        for run in [folder for folder in copy.rglob("*") if re.fullmatch("[0-9a-f]{32}", folder.name)]:
            for part in (*PARTS, "artifacts"):  # git does not store empty folders
                (run / part).mkdir(exist_ok=True)
        client = MlflowClient(copy.as_uri())
    else:
        shutil.copy(place, copy)
        client = MlflowClient(f"sqlite:///{copy}")  # MLflow migrates the copy
    ours = rows_by_run(read)
    experiments = client.search_experiments(view_type=ViewType.ALL)
    assert {experiment["name"] for experiment in read["experiments"]} >= {found.name for found in experiments}
    theirs = client.search_runs(
        [experiment.experiment_id for experiment in experiments], run_view_type=ViewType.ALL, max_results=1000
    )
    assert {run.info.run_id for run in theirs} == ours.keys()
    for run in theirs:
        info, mine = run.info, ours[run.info.run_id]
        assert mine["runs"]["status"] == info.status
        assert mine["runs"]["start_time"] == info.start_time
        assert mine["runs"]["end_time"] == info.end_time
        assert mine["runs"]["experiment_id"] == info.experiment_id
        assert mine["params"] == run.data.params
        # MLflow adds the name of a run as a tag.
        assert mine["tags"].items() <= run.data.tags.items()
        assert run.data.tags.keys() - mine["tags"].keys() <= {"mlflow.runName"}
        assert repr(sorted(mine["metrics"].items())) == repr(sorted(run.data.metrics.items()))
        for key in run.data.metrics:
            history = [
                (point.step, point.timestamp, point.value) for point in client.get_metric_history(info.run_id, key)
            ]
            assert repr(sorted(mine["points"][key])) == repr(sorted(history))


def rows_by_run(read):
    tables = read["tables"]
    ours = {
        run["run_id"]: {"runs": run, "params": {}, "tags": {}, "metrics": {}, "points": {}}
        for run in tables.runs.to_pylist()
    }
    for part in PARTS:
        for row in getattr(tables, part).to_pylist():
            ours[row["run_id"]][part][row["key"]] = row["value"]
    for run_id, key, *point in read["points"]:
        ours[run_id]["points"].setdefault(key, []).append(tuple(point))
    return ours


def test_a_snapshot_gives_the_same_notebook(place, tmp_path):
    """Except for the tracking URI and the folder; artifacts are found as from the original store."""
    snapshot(str(place), tmp_path / "a snapshot", genai=GenAIChoice(traces=TraceQuery()))
    ours, theirs = open_store(place), open_store(f"snapshot:{tmp_path / 'a snapshot'}")
    written, moved = (notebook_of(store) for store in (ours, theirs))
    assert len(written) >= 15
    assert moved == written
    listed = ours.read_runs(Query(view="all"))
    assert theirs.read_runs(Query(view="all")).equals(listed)
    for run in listed.to_pylist()[:100]:
        assert artifacts_of(theirs, run) == artifacts_of(ours, run)


def notebook_of(store):
    """Type and source of each cell, without the tracking URI."""
    generator = NotebookGenerator(store=store)
    cells = build_notebook(generator.plan(generator.select()))["cells"]
    named = re.compile(r"(?m)^TRACKING_URI = .*$| from `` .*? ``| --tracking-uri ('[^']*'|\S+)")
    return [(cell["cell_type"], named.sub("", "".join(cell["source"]))) for cell in cells]


def artifacts_of(store, run):
    """Path, size and first bytes of the artifacts of a run, and the note on their place."""
    artifacts = store.artifact_place(run["run_id"], run["artifact_uri"] or "")
    files = list(artifacts.list_files())
    return [(file, artifacts.read_bytes(file.path, 100)) for file in files], artifacts.note
