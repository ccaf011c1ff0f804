"""Commands with flags: their files, output and errors. MLflow's client is the oracle."""

import csv
import io
import json
import math
import sys
from pathlib import Path

import nbformat
import pytest

from qualia_lab.cli.execute import tracking_uri_of
from qualia_lab.cli.main import COMMANDS
from qualia_lab.notebook.headline import read_headline
from tests.stores.empty import new_client

from .command import CREATE, QUALIA, run, run_here, tree

pytestmark = pytest.mark.usefixtures("quick_kernels")

HEAVY = {
    "mlflow",
    "pandas",
    "pyarrow",
    "numpy",
    "sqlalchemy",
    "matplotlib",
    "plotly",
    "nbformat",
    "nbconvert",
    "rich",
    "sqlglot",
}


@pytest.fixture
def uri(sqlite_sample):
    return f"sqlite:///{sqlite_sample}"


# --- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(), *((name,) for name in COMMANDS)])
def test_help_imports_little_is_fast_and_has_examples(args, tmp_path):
    code = (
        "import sys, contextlib, resource\nfrom qualia_lab.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, *sys.modules, file=sys.stderr)"
    )
    done = run([sys.executable, "-c", code], *args, "--help", cwd=tmp_path)
    seconds, *modules = done.stderr.split()
    assert "Examples:\n" in done.stdout
    assert "Usage: qualia" in done.stdout
    assert not HEAVY & {name.partition(".")[0] for name in modules}
    assert not {"importlib.metadata", "qualia_lab.entry_points"} & set(modules)  # other packages are not looked at
    assert float(seconds) < 0.5


def test_the_script_runs_the_same_command(tmp_path):
    ours, qualia = run(CREATE, "--help", cwd=tmp_path).stdout, run(QUALIA, "new", "--help", cwd=tmp_path).stdout
    assert ours.splitlines()[1:] == qualia.splitlines()[1:]
    assert ours.startswith("Usage: create-observation-notebook [OPTIONS]")
    for flag in ["tracking-uri", "experiment", "run", "filter", "order-by", "top", "by", "limit", "where", "since", "status", "explain", "output", "title", "template", "execute", "timeout", "to", "dry-run", "force", "yes", "debug"]:  # fmt: skip
        assert f"--{flag} " in ours


def test_calling_without_a_command_and_with_version(tmp_path):
    done = run(QUALIA, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: qualia" in done.stderr
    assert run(QUALIA, "--version", cwd=tmp_path).stdout.startswith("qualia, version ")


# --- templates ----------------------------------------------------------------------------------------------------


def test_a_template_is_copied_and_never_replaces_a_file_unasked(tmp_path):
    done = run_here(QUALIA, "templates", "copy", "observe", "notebooks/templates/mine", cwd=tmp_path)
    assert done.stdout == "notebooks/templates/mine.py\n"
    assert "next: change it, then qualia new --template notebooks/templates/mine.py" in done.stderr
    file = tmp_path / "notebooks/templates/mine.py"
    file.write_text(file.read_text() + "\n# %%\n1 + 1\n")
    changed = file.read_text()
    done = run_here(QUALIA, "templates", "copy", "debug", file, cwd=tmp_path)
    assert (done.returncode, file.read_text()) == (31, changed)
    assert "--force" in done.stderr
    done = run_here(QUALIA, "templates", "copy", "mine", "other.ipynb", cwd=tmp_path)
    assert done.returncode == 2
    assert "the template mine is a .py file, and other.ipynb is not named like one" in done.stderr
    assert run_here(QUALIA, "templates", "copy", "no", "other", cwd=tmp_path).returncode == 20
    assert not list(tmp_path.glob("other*"))
    assert run_here(QUALIA, "templates", "copy", "mine", "other", cwd=tmp_path).returncode == 0
    assert (tmp_path / "other.py").read_text() == changed
    assert run_here(QUALIA, "templates", "copy", "debug", file, "--force", cwd=tmp_path).returncode == 0
    rows = json.loads(run_here(QUALIA, "templates", "--json", cwd=tmp_path).stdout)
    assert rows[0] | rows[-1] == {
        "template": "mine",
        "from": "notebooks/templates/mine.py",
        "description": "Failed against successful runs.",
    }


# --- listings -----------------------------------------------------------------------------------------------------


def test_experiments_equal_those_of_the_mlflow_client(uri, sample_client, tmp_path):
    rows = json.loads(run(QUALIA, "experiments", "--tracking-uri", uri, "--json", cwd=tmp_path).stdout)
    known = {row.experiment_id: row.name for row in sample_client.search_experiments()}
    assert {row["experiment_id"]: row["name"] for row in rows} == known
    for row in rows:
        assert row["run_count"] == len(sample_client.search_runs([row["experiment_id"]]))
    as_csv = run_here(QUALIA, "experiments", "--tracking-uri", uri, "--csv", cwd=tmp_path).stdout
    assert [row["name"] for row in csv.DictReader(io.StringIO(as_csv))] == [row["name"] for row in rows]
    table = run(QUALIA, "experiments", "--tracking-uri", uri, cwd=tmp_path)
    assert all(name in table.stdout for name in known.values())
    assert table.stderr == f"{len(known)} experiments in {uri}\n"
    deleted = json.loads(
        run_here(QUALIA, "experiments", "--deleted", "--tracking-uri", uri, "--json", cwd=tmp_path).stdout
    )
    assert [row["name"] for row in deleted] == ["gone"]


def test_runs_and_values_equal_those_of_the_mlflow_client(uri, sample_client, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", uri, "--experiment", "churn", "--json", cwd=tmp_path)
    rows = json.loads(done.stdout)
    experiment = sample_client.get_experiment_by_name("churn")
    runs = sample_client.search_runs([experiment.experiment_id])
    assert [row["run_id"] for row in rows] == [entry.info.run_id for entry in runs]
    for row, entry in zip(rows, runs, strict=True):
        assert row["params"] == entry.data.params
        assert row["tags"] == entry.data.tags
        assert row["start_time"] == entry.info.start_time
        assert {
            key: float(value) if isinstance(value, str) else value for key, value in row["metrics"].items()
        } == pytest.approx(entry.data.metrics, nan_ok=True)


def test_explain_writes_to_stderr_and_results_to_stdout(uri, tmp_path):
    flags = ["--where", "lr=0.1", "--order-by", "metrics.loss.min", "--explain"]
    done = run_here(QUALIA, "runs", "--tracking-uri", uri, *flags, "--json", cwd=tmp_path)
    rows = json.loads(done.stdout)
    lines = done.stderr.splitlines()
    assert len(rows) > 0
    assert lines[0].startswith("the database  active runs of every experiment  -> ")
    assert lines[1].startswith(f"the database  params.lr = 0.1  -> {len(rows)} run")
    assert lines[2] == "the database  ORDER BY metrics.loss.min ASC"
    assert lines[3].startswith("    SELECT runs.run_uuid")
    plan = run_here(CREATE, "--tracking-uri", uri, *flags, "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0
    assert "the database  params.lr = 0.1  -> " in plan.stderr
    assert "the database" not in plan.stdout


def test_csv_has_every_value_once_and_no_formula(uri, sample_client, tmp_path):
    done = run_here(QUALIA, "runs", "--tracking-uri", uri, "--experiment", "churn", "--csv", cwd=tmp_path)
    rows = {row["run_id"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    for entry in sample_client.search_runs([sample_client.get_experiment_by_name("churn").experiment_id]):
        row = rows[entry.info.run_id]
        for key, value in entry.data.params.items():
            assert row[f"params.{key}"] == value
        for key, value in entry.data.metrics.items():
            assert float(row[f"metrics.{key}"]) == value or math.isnan(value)
    assert not [value for row in rows.values() for value in row.values() if value.startswith(("=", "@", "\t"))]


def test_a_table_shows_the_requested_columns_and_the_total_count(uri, tmp_path):
    done = run_here(
        QUALIA, "runs", "--tracking-uri", uri, "--limit", 2, "--params", "lr,depth", "--metrics", "loss", cwd=tmp_path
    )
    assert "showing 2 of more than 2 runs in " in done.stderr
    everything = run_here(QUALIA, "runs", "--tracking-uri", uri, "--run", "0" * 32, cwd=tmp_path)
    assert "more than" not in everything.stderr
    assert done.stdout.splitlines()[0].split() == ["run", "run", "id", "started", "took", "lr", "depth", "loss"]
    assert len(done.stdout.splitlines()) == 3
    only = run_here(QUALIA, "runs", "--tracking-uri", uri, "--metrics", "loss", "--json", cwd=tmp_path)
    assert {key for row in json.loads(only.stdout) for kind in ("params", "metrics", "tags") for key in row[kind]} == {
        "loss"
    }


# --- the notebook -------------------------------------------------------------------------------------------------


def test_flags_create_a_notebook(uri, sqlite_sample, tmp_path):
    before = tree(sqlite_sample.parent)
    done = run(
        CREATE, "--experiment", "churn", "--top", 2, "--by", "val/auc:max", cwd=tmp_path, MLFLOW_TRACKING_URI=uri
    )
    assert done.returncode == 0, done.stderr
    (path,) = done.stdout.splitlines()
    said = done.stderr.splitlines()
    assert said[0].startswith(f"reading {uri} (from MLFLOW_TRACKING_URI) ... ")
    assert said[0].endswith(" experiments, 13 runs") or " runs" in said[0]
    assert said[1] == "2 runs of churn, best val/auc first"
    assert said[-1] == f"next: jupyter lab {path}"
    nbformat.validate(nbformat.read(tmp_path / path, 4))
    assert tree(sqlite_sample.parent) == before


def test_a_dry_run_shows_the_plan_and_writes_nothing(uri, tmp_path):
    done = run_here(
        CREATE, "--tracking-uri", uri, "--limit", 3, "--dry-run", "--title", "A \x1b[31mtitle", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "parameters" in done.stdout
    assert "3 runs" in done.stdout
    assert "\x1b" not in done.stdout
    assert "Nothing was written." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_selection_by_run_ids_since_and_status(uri, sample_client, tmp_path):
    runs = sample_client.search_runs([sample_client.get_experiment_by_name("churn").experiment_id])
    wanted = [entry.info.run_id for entry in runs[3:5]]
    done = run_here(
        CREATE, "--tracking-uri", uri, "--run", wanted[1], "--run", wanted[0], "--output", "two", cwd=tmp_path
    )
    assert done.stdout == "two.ipynb\n", done.stderr
    notebook = (tmp_path / "two.ipynb").read_text()
    assert notebook.index(wanted[1]) < notebook.index(wanted[0])
    done = run_here(CREATE, "--tracking-uri", uri, "--status", "failed", "--output", "failed.ipynb", cwd=tmp_path)
    assert "1 run of churn\n" in done.stderr
    done = run_here(CREATE, "--tracking-uri", uri, "--since", "1 day", "--output", "new.ipynb", cwd=tmp_path)
    assert done.returncode == 14


def test_no_questions_are_asked_without_a_terminal(tmp_path, uri):
    done = run_here(CREATE, "--tracking-uri", uri, "--title", "x", cwd=tmp_path)
    assert done.returncode == 16
    assert "--experiment" in done.stderr
    assert run_here(CREATE, "--tracking-uri", uri, "--yes", "--dry-run", cwd=tmp_path).returncode == 0


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    new_client(f"sqlite:///{path}").search_experiments()
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--tracking-uri", "sqlite:///nowhere.db", "--yes"], 4, ["nowhere.db"]),
        (["--tracking-uri", "nowhere", "--yes"], 4, ["nowhere"]),
        (["--tracking-uri", "gopher://x", "--yes"], 4, ["gopher"]),
        (["--tracking-uri", "postgresql://ada:s3cr3t@127.0.0.1:1/x", "--yes"], 5, ["127.0.0.1"]),
        (["--tracking-uri", "http://ada:s3cr3t@127.0.0.1:1", "--yes"], 5, ["127.0.0.1"]),
        (["--tracking-uri", "EMPTY", "--yes"], 11, ["no runs"]),
        (["--tracking-uri", "SAMPLE", "--experiment", "chrun"], 12, ["chrun", "Did you mean churn?"]),
        (["--tracking-uri", "SAMPLE", "--run", "0123"], 13, ["0123"]),
        (["--tracking-uri", "SAMPLE", "--filter", "metrics.loss > 1e300"], 14, ["of the 13 runs"]),
        (["--tracking-uri", "SAMPLE", "--filter", "metrics.loss >> 3"], 15, ["  metrics.loss >> 3", "^"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--order-by", "colour"], 15, ["colour"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--since", "teatime"], 15, ["teatime"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--template", "obsreve"], 20, ["Did you mean observe?"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--output", "file/x.ipynb"], 32, ["file"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--output", "x.html"], 32, [".ipynb"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--output", "there.ipynb"], 31, ["there.ipynb", "--force"]),
        (["--tracking-uri", "SAMPLE", "--yes", "--output", "page", "--to", "html"], 31, ["page.html", "--force"]),
        (["--tracking-uri", "SAMPLE", "--top", "3"], 2, ["--by"]),
        (["--tracking-uri", "SAMPLE", "--limit", "many"], 2, ["--limit"]),
        (["--bogus"], 2, ["--bogus", "--help"]),
    ],
)
def test_invalid_input_gives_one_sentence_and_an_exit_code_and_writes_nothing(
    args, code, words, uri, empty_store, tmp_path
):
    for name in ("file", "there.ipynb", "page.html"):
        (tmp_path / name).write_text("mine")
    before = tree(tmp_path)
    args = [{"SAMPLE": uri, "EMPTY": empty_store}.get(arg, arg) for arg in args]
    done = run_here(CREATE, *args, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error: ") == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert "s3cr3t" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert tree(tmp_path) == before


def test_force_replaces_an_existing_notebook(uri, tmp_path):
    (tmp_path / "there.ipynb").write_text("mine")
    done = run_here(CREATE, "--tracking-uri", uri, "--limit", 1, "--output", "there.ipynb", "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    nbformat.validate(nbformat.read(tmp_path / "there.ipynb", 4))


def test_debug_shows_a_traceback_without_secrets(tmp_path):
    done = run_here(CREATE, "--tracking-uri", "postgresql://ada:s3cr3t@127.0.0.1:1/x", "--yes", "--debug", cwd=tmp_path)
    assert done.returncode == 5
    assert "Traceback" in done.stderr
    assert "s3cr3t" not in done.stderr


# --- executing ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_notebook_is_executed_and_exported_in_one_command_and_again_later(uri, tmp_path):
    done = run_here(
        CREATE,
        "--tracking-uri",
        uri,
        "--experiment",
        "churn",
        "--limit",
        3,
        "--to",
        "html",
        "--output",
        "n.ipynb",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["n.ipynb", "n.html"]
    assert "executing  " in done.stderr
    assert not errors_in(tmp_path / "n.ipynb")
    again = run_here(QUALIA, "execute", "n.ipynb", "--timeout", "60", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "n.ipynb\n"
    assert not errors_in(tmp_path / "n.ipynb")
    # The headline of the notebook, and how to open it, are messages.
    headline = read_headline(tmp_path / "n.ipynb")
    assert headline and again.stderr.splitlines()[-1 - len(headline) : -1] == headline


@pytest.mark.parametrize("content", [None, "not JSON", "[]", '{"cells": [{}]}', '{"cells": []}'])
def test_a_notebook_without_a_headline_has_none(content, tmp_path):
    if content is not None:
        (tmp_path / "n.ipynb").write_text(content)
    assert read_headline(tmp_path / "n.ipynb") == []


@pytest.mark.slow
def test_a_failing_cell_is_reported_and_the_other_outputs_are_saved(uri, tmp_path):
    (tmp_path / "mine.py").write_text("# %%\nprint('before')\n\n# %%\nraise RuntimeError('on purpose')\n")
    done = run_here(
        CREATE,
        "--tracking-uri",
        uri,
        "--limit",
        1,
        "--template",
        "mine.py",
        "--output",
        "n.ipynb",
        "--execute",
        cwd=tmp_path,
    )
    assert done.returncode == 33, done.stderr
    assert "on purpose" in done.stderr
    assert "raise RuntimeError" in done.stderr
    assert "before" in (tmp_path / "n.ipynb").read_text()


EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


@pytest.mark.parametrize("content", [None, "not JSON", "[]", EMPTY_NOTEBOOK])
def test_executing_a_file_that_is_not_a_notebook_is_an_error(content, tmp_path):
    if content is not None:
        (tmp_path / "n.ipynb").write_text(content)
    done = run_here(QUALIA, "execute", "n.ipynb", cwd=tmp_path)
    assert done.returncode == 30, done.stderr
    assert done.stderr.count("error: ") == 1


def errors_in(path: Path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    return [output for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "error"]


def test_the_password_for_the_same_uri_is_read_from_the_environment(tmp_path, monkeypatch):
    cell = nbformat.v4.new_code_cell("TRACKING_URI = 'postgresql://ada@db/x'", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    assert tracking_uri_of(tmp_path / "n.ipynb") == "postgresql://ada@db/x"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cr3t@db/x")
    assert tracking_uri_of(tmp_path / "n.ipynb") == "postgresql://ada:s3cr3t@db/x"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cr3t@other/x")
    assert tracking_uri_of(tmp_path / "n.ipynb") == "postgresql://ada@db/x"


@pytest.fixture(scope="module")
def runs_to_note(tmp_path_factory):
    """Arguments that select two runs with a secret, a failed run that is excluded and a run that does not exist."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('notes') / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("churn")
    ids = [client.create_run(experiment, run_name=name).info.run_id for name in ("a", "b", "failed")]
    for number, run_id in enumerate(ids):
        client.log_param(run_id, "db_password", "hunter2")
        client.log_metric(run_id, "val_auc", number)
        client.set_terminated(run_id, "FAILED" if run_id == ids[2] else "FINISHED")
    return ["--tracking-uri", uri, "--status", "FINISHED", *(f"--run={run_id}" for run_id in (*ids, "0" * 32))]


@pytest.mark.parametrize("flags", [(), ("--json",)])
@pytest.mark.parametrize(
    "command", [("runs", "--params=db_password"), ("study",), ("compare", "a", "b"), ("findings",)]
)
def test_every_listing_notes_what_is_excluded_masked_and_missing(command, flags, runs_to_note, tmp_path):
    done = run_here(QUALIA, *command, *flags, *runs_to_note, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of the 4 runs named is excluded by the other conditions" in done.stderr
    assert "masked, as they look like secrets: param db_password" in done.stderr
    assert f"run {'0' * 32} is missing: it is not in the store" in done.stderr
    if flags:
        json.loads(done.stdout)
