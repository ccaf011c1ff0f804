"""MLflow 2: its stores are read as its own client reads them, and the package works beside it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest

from qualia_lab import Query, load_runs, open_store, schema
from qualia_lab.genai_tables import TraceQuery
from qualia_lab.runs.listed_models import listed_models
from qualia_lab.runs.model_files import model_files
from tests.conftest import missing
from tests.servers import free_port, stop

SCRIPT = Path(__file__).with_name("mlflow2_store.py")
HEAD_OF_2_22 = "0584bdc529eb"


@pytest.fixture(scope="module")
def python2() -> str:
    """The interpreter of the environment that holds MLflow 2."""
    python = os.environ.get("QUALIA_TEST_MLFLOW2_PYTHON", "")
    if not Path(python).is_file():
        missing("no environment with MLflow 2: `make test` makes one and sets QUALIA_TEST_MLFLOW2_PYTHON")
    return python


def run_script(python2: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run([python2, SCRIPT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(python2: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `mlflow.db` and `files/`, both written by MLflow 2."""
    folder = tmp_path_factory.mktemp("mlflow2")
    run_script(python2, "write", "sqlite:///mlflow.db", "files", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def server(python2: str, folder: Path):
    """The URI of an `mlflow server` of MLflow 2 on the database."""
    port = free_port()
    command = [
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        "sqlite:///mlflow.db",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    with (folder / "server.log").open("w") as log:
        running = subprocess.Popen([python2, *command], cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            uri, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                    break
                except OSError:
                    assert running.poll() is None and time.monotonic() < deadline, (folder / "server.log").read_text()
                    time.sleep(0.1)
            yield uri
        finally:
            stop(running)


@pytest.fixture(scope="module")
def read_by_mlflow2(python2: str, folder: Path, server: str) -> dict[str, tuple[str, dict]]:
    """By kind of store: its URI, and what MLflow 2's client reads."""
    uris = {"sqlite": f"sqlite:///{folder}/mlflow.db", "files": str(folder / "files"), "server": server}
    read = json.loads(run_script(python2, "read", *uris.values(), cwd=folder))
    return {kind: (uri, read[uri]) for kind, uri in uris.items()}


def rows(table, *columns: str) -> list[tuple]:
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))


def of_run(table, run_id: str, *columns: str) -> list[tuple]:
    return [row for owner, *row in rows(table, "run_id", *columns) if owner == run_id]


@pytest.mark.parametrize("kind", ["sqlite", "files", "server"])
def test_traces_of_mlflow_2_are_read_as_its_own_client_reads_them(kind, read_by_mlflow2):
    uri, expected = read_by_mlflow2[kind]
    store = open_store(uri).stored
    read = store.read_traces(TraceQuery())
    traces = {row["trace_id"]: row for row in read.traces.to_pylist()}
    expected_traces = expected["traces"]
    assert {row["state"] for row in traces.values()} == {"OK", "ERROR", "IN_PROGRESS"}
    assert read.problems.num_rows == 0
    # MLflow's client leaves out a trace without spans, as one that has not ended.
    assert {one for one, row in traces.items() if row["state"] != "IN_PROGRESS"} == {
        one for one, row in expected_traces.items() if row["state"] != "IN_PROGRESS"
    }
    spans = pa.Table.from_batches(store.read_spans(list(traces)), schema=schema.SPANS).to_pylist()
    for trace_id, wanted in expected_traces.items():
        row = traces[trace_id]
        for name in ("experiment_id", "request_time", "duration", "state"):
            assert row[name] == wanted[name]
        for name in ("tags", "metadata"):
            kept = getattr(read, name).to_pylist()
            assert {one["key"]: one["value"] for one in kept if one["trace_id"] == trace_id} == wanted[name]
        assert row["name"] == wanted["tags"]["mlflow.traceName"]
        assert row["request_preview"] == wanted["metadata"]["mlflow.traceInputs"]
        names = ("span_id", "parent_id", "name", "type", "status", "start_ns", "end_ns")
        found = [
            [
                *(span[name] for name in names),
                *(None if span[name] is None else json.loads(span[name]) for name in ("inputs", "outputs")),
                [event["name"] for event in json.loads(span["events"] or "[]")],
            ]
            for span in spans
            if span["trace_id"] == trace_id
        ]
        assert sorted(found) == wanted["spans"]
    assert len(spans) == 6


@pytest.mark.parametrize("kind", ["sqlite", "files", "server"])
def test_a_store_of_mlflow_2_is_read_as_its_own_client_reads_it(kind, read_by_mlflow2):
    uri, expected = read_by_mlflow2[kind]
    assert expected["mlflow"].startswith("2.22.")
    store = open_store(uri)

    experiments = store.read_experiments("all")
    assert {
        row[0]: list(row[1:]) for row in rows(experiments, "experiment_id", "name", "lifecycle_stage", "creation_time")
    } == {id_: values[:3] for id_, values in expected["experiments"].items()}

    run_ids = (
        store.read_runs(Query(experiment_ids=tuple(expected["experiments"]), view="all")).column("run_id").to_pylist()
    )
    assert sorted(run_ids) == sorted(expected["runs"])

    tables = store.read(run_ids)
    assert (tables.missing.num_rows, tables.problems.num_rows) == (0, 0)
    info = ("experiment_id", "run_name", "status", "start_time", "end_time", "lifecycle_stage")
    for run in tables.runs.to_pylist():
        wanted = expected["runs"][run["run_id"]]
        assert {name: run[name] for name in info} == {name: wanted[name] for name in info}
        assert run["parent_run_id"] == wanted["tags"].get("mlflow.parentRunId")
        assert dict(of_run(tables.params, run["run_id"], "key", "value")) == wanted["params"]
        assert dict(of_run(tables.tags, run["run_id"], "key", "value")) == wanted["tags"]
        latest = of_run(tables.metrics, run["run_id"], "key", "value")
        assert {key: repr(value) for key, value in latest} == wanted["metrics"]
        datasets = of_run(tables.datasets, run["run_id"], "name", "digest", "context")
        assert [[name, digest, [context]] for name, digest, context in datasets] == wanted["datasets"]
        files = store.artifact_place(run["run_id"], run["artifact_uri"]).list_files()
        assert [[file.path, file.size] for file in files] == wanted["artifacts"]
    tags = {key: {} for key in expected["experiments"]}
    for experiment_id, key, value in rows(tables.experiment_tags, "experiment_id", "key", "value"):
        tags[experiment_id][key] = value
    assert tags == {id_: values[3] for id_, values in expected["experiments"].items()}

    history: dict[str, dict[str, list]] = {run_id: {} for run_id in run_ids}
    for batch in store.read_metric_history(run_ids):
        for point in batch.to_pylist():
            points = history[point["run_id"]].setdefault(point["key"], [])
            points.append([point["step"], point["timestamp"], repr(point["value"])])
    assert {run_id: {key: sorted(points) for key, points in keys.items()} for run_id, keys in history.items()} == {
        run_id: run["history"] for run_id, run in expected["runs"].items()
    }
    store.close()


STORES_OF_MODELS = ("sqlite:///models.db", "model-files")


@pytest.fixture(scope="module")
def models_by_mlflow2(python2, folder):
    """{URI: {path of a model: what MLflow 2 says of it}} of stores that it writes."""
    return json.loads(run_script(python2, "models", *STORES_OF_MODELS, cwd=folder))


@pytest.mark.parametrize("uri", STORES_OF_MODELS)
def test_model_files_of_mlflow_2_say_what_its_own_client_reads(models_by_mlflow2, folder, monkeypatch, uri):
    monkeypatch.chdir(folder)
    expected = models_by_mlflow2[uri]
    runs = load_runs(uri, [next(iter(expected.values()))["run_id"]])
    loaded = runs._loaded
    known = listed_models(loaded).models
    read = model_files(loaded, known)
    assert [model.path for model in known] == list(expected)
    for model in known:
        file, said = read[model.key], expected[model.path]
        assert [name for name, _ in file.flavours] == said["flavours"]
        for name in ("run_id", "mlflow_version", "created", "size"):
            assert getattr(file, name) == said[name], name
        [column], [given] = file.signature.inputs.columns, said["inputs"]
        assert column.name == given.get("name", "")
        assert column.type in ("double", "tensor float32 [-1, 3]")
    table = runs.models.table()
    assert table["registered as"].dropna().to_dict() == {"models/net": "flowers v1"}
    assert runs.models.registered()["model"].tolist() == ["models/net"]
    assert "  registered as  flowers v1" in repr(runs.models.cards("models/net")).splitlines()


def digest(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("where", ["sqlite:///mlflow.db", "files"])
def test_a_store_of_mlflow_2_keeps_every_byte_and_its_schema(folder, monkeypatch, where):
    monkeypatch.chdir(folder)
    before = digest(folder)
    store = open_store(where)
    run_ids = store.read_runs(Query(view="all")).column("run_id").to_pylist()
    assert store.read(run_ids).runs.num_rows == len(run_ids) == 10
    assert sum(batch.num_rows for batch in store.read_metric_history(run_ids)) > 400
    store.close()
    assert digest(folder) == before
    with sqlite3.connect("file:mlflow.db?mode=ro", uri=True) as database:
        assert database.execute("select version_num from alembic_version").fetchall() == [(HEAD_OF_2_22,)]


@pytest.mark.slow
def test_the_whole_command_works_with_mlflow_2_and_pandas_2(python2, folder, tmp_path):
    command = [
        python2, "-m", "qualia_lab.scripts.create_observational_notebook",
        "--tracking-uri", f"sqlite:///{folder}/mlflow.db", "--experiment", "churn",
        "--output", "churn.ipynb", "--execute", "--to", "html", "--yes",
    ]  # fmt: skip
    before = digest(folder)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = json.loads((tmp_path / "churn.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in code if cell["source"])
    assert [output for output in outputs if output["output_type"] == "error"] == []
    assert "mlp 5" in (tmp_path / "churn.html").read_text(encoding="utf-8")
    assert digest(folder) == before


@pytest.mark.slow
def test_demo_runs_are_made_with_mlflow_2_and_read_with_mlflow_3(python2, tmp_path):
    command = [python2, "-m", "qualia_lab.scripts.create_demo_runs", "6", "--tracking-uri", "sqlite:///demo.db"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-3000:]
    store = open_store(f"sqlite:///{tmp_path}/demo.db")
    run_ids = store.read_runs(Query()).column("run_id").to_pylist()
    tables = store.read(run_ids)
    assert len(run_ids) >= 6
    assert tables.problems.num_rows == 0
    assert tables.metrics.num_rows > 0
    store.close()
