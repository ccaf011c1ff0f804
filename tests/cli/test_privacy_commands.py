"""`--redact` and `--no-content` in everything that a command shows or writes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.cli.command import QUALIA, run_here
from tests.promises.test_secrets import parquet_text
from tests.test_privacy import WORDS, plant

pytestmark = pytest.mark.usefixtures("quick_kernels")

NAMES = ("jane.plant", "23456789", "ada@example.org")
FLAGS = {"--redact": NAMES, "--no-content": (*WORDS, *NAMES, "text of a document", "too many requests")}


@pytest.fixture(scope="module")
def folder(genai_sample, tmp_path_factory):
    """A store with words and addresses in every column, and in artifacts of a run."""
    folder = tmp_path_factory.mktemp("private")
    path = folder / "mlflow.db"
    shutil.copyfile(genai_sample / "mlflow.db", path)
    plant(path)
    ids = json.loads((genai_sample / "ids.json").read_text())
    artifacts = folder / "artifacts" / ids["runs"]["evaluate v1"] / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "answers.txt").write_text(f"{WORDS[0]} said jane.plant@example.org")
    table = {"columns": ["inputs", "score/value"], "data": [[f"{WORDS[1]} jane.plant@example.org", 1.0]]}
    (artifacts / "eval_results_table.json").write_text(json.dumps(table))
    with closing(sqlite3.connect(path)) as database, database:
        address = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
        database.execute(address, (artifacts.as_uri(), ids["runs"]["evaluate v1"]))
    (folder / "ids.json").write_text(json.dumps(ids))
    return folder


def qualia(*args, cwd):
    done = run_here(QUALIA, *args, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    "command",
    [("traces",), ("traces", "--json"), ("traces", "--csv"), ("models",), ("models", "--json"), ("findings", "--json")],
    ids=" ".join,
)
def test_listings_leave_it_out_and_say_so(folder, flag, command):
    done = qualia(*command, flag, cwd=folder)
    written = done.stdout + done.stderr
    assert not [word for word in FLAGS[flag] if word in written]
    if "--csv" not in command:  # in CSV a text may have several lines
        assert done.stdout.count("\n") == qualia(*command, cwd=folder).stdout.count("\n")
    if command[0] == "traces":
        said = "redacted in what was read: " if flag == "--redact" else "what people and models wrote is not shown"
        assert said in done.stderr


@pytest.mark.parametrize("flag", FLAGS)
def test_a_trace_as_a_tree_leaves_it_out(folder, flag):
    trace_id = json.loads((folder / "ids.json").read_text())["traces"]["v1 0"]
    for more in ((), ("--json",)):
        plain = qualia("traces", "--trace", trace_id, *more, cwd=folder).stdout
        shown = qualia("traces", "--trace", trace_id, flag, *more, cwd=folder).stdout
        assert any(word in plain for word in FLAGS[flag]) and not [word for word in FLAGS[flag] if word in shown]
        assert "retrieve" in shown and "safety" in shown


def test_both_flags_exclude_showing_secrets(folder):
    done = run_here(QUALIA, "traces", "--redact", "--show-secrets", cwd=folder)
    assert done.returncode == 2


def test_the_settings_of_a_project_leave_it_out_too(folder, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.qualia.privacy]\nredact = true\ncontent = true\npatterns = ['judge was \\w+']\n"
    )
    store = ("--tracking-uri", f"sqlite:///{folder}/mlflow.db")
    done = qualia("traces", *store, "--json", cwd=tmp_path)
    assert not [word for word in (*NAMES, "judge was wrong") if word in done.stdout]
    assert "the ‹redacted 1›" in json.dumps(json.loads(done.stdout), ensure_ascii=False)
    assert "1 match of a pattern" in done.stderr


def test_a_snapshot_holds_none_of_it_and_says_so(folder, tmp_path):
    store, place = f"sqlite:///{folder}/mlflow.db", str(tmp_path / "snapshot")
    first = qualia("snapshot", store, place, "--no-content", "--artifacts", cwd=tmp_path)
    assert "what people and models wrote is not shown" in first.stderr
    held = parquet_text(tmp_path / "snapshot")
    assert not [word for word in FLAGS["--no-content"] if word in held]
    assert "experiments" in held and "s3://bucket/model" in held
    again = qualia("snapshot", store, place, "--no-content", "--artifacts", cwd=tmp_path)
    assert " 0 unchanged" in again.stderr, "numbers begin anew, so everything is read again"
    assert run_here(QUALIA, "snapshot", store, place, cwd=tmp_path).returncode != 0
    shown = qualia("traces", "--tracking-uri", f"snapshot:{place}", cwd=tmp_path)
    assert "was written with --no-content" in shown.stderr
    qualia("snapshot", store, place, "--force", cwd=tmp_path)
    assert WORDS[0] in parquet_text(tmp_path / "snapshot")


def test_a_notebook_its_page_and_its_bundle_leave_it_out(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    flags = ("--redact", "--no-content", "--template", "evaluate")
    done = qualia("new", "--experiment", "qa", *flags, "--to", "html", "--output", "n.ipynb", cwd=tmp_path)
    assert "what people and models wrote is not shown" in done.stderr
    qualia("bundle", "n.ipynb", "--output", "bundle", cwd=tmp_path)
    notebook = (tmp_path / "n.ipynb").read_text()
    texts = {
        "notebook": notebook,
        "page": (tmp_path / "n.html").read_text(),
        "bundle": parquet_text(tmp_path / "bundle"),
        "terminal": done.stdout + done.stderr,
    }
    for name, text in texts.items():
        assert not [word for word in FLAGS["--no-content"] if word in text], name
    cells = ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]
    [parameters] = [cell for cell in cells if cell.startswith("TRACKING_URI")]
    assert parameters.endswith("REDACT = True\nCONTENT = False")
    assert any("redact=REDACT, content=CONTENT" in cell for cell in cells)
    assert "What people and models wrote: requests" in cells[-1] and "Redacted: e-mail addresses" in cells[-1]
    assert "--redact --no-content" in cells[0]
    refreshed = qualia("refresh", "n.ipynb", "--dry-run", cwd=tmp_path)
    assert "Nothing was written" in refreshed.stderr + refreshed.stdout and "replaced" not in refreshed.stderr
