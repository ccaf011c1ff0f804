"""The interactive questions, on a real terminal and a real store."""

import re
import sys
from pathlib import Path

import nbformat
import pexpect
import pytest

from qualia_lab.chooser.listing import ExperimentListing
from qualia_lab.cli.outputs import show_outputs
from qualia_lab.errors import ExtraMissing
from qualia_lab.schema import EXPERIMENT_LIST
from qualia_lab.tables import table_of
from tests.stores.empty import new_client

from .command import CREATE, environment, run_here


@pytest.fixture
def terminal(tmp_path):
    """Start the command on a terminal in an empty folder."""
    started = []

    def start(*args, **env):
        process = pexpect.spawn(
            CREATE[0], [*CREATE[1:], *map(str, args)], cwd=str(tmp_path), env=environment(NO_COLOR="1", TERM="xterm", **env),
            encoding="utf-8", timeout=30, dimensions=(50, 140), echo=False,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.close(force=True)


def answer(process, question, line):
    process.expect_exact(question)
    process.sendline(line)


def finish(process):
    """The remaining output, and the exit code."""
    process.expect(pexpect.EOF)
    process.close()
    return process.before, process.exitstatus


FILE, TITLE, LIST, RUN = "file [", "title [", "or ? for help [", "Run it now and make a page? [Y/n]: "


def test_the_five_questions_have_defaults(terminal, sqlite_sample, tmp_path):
    process = terminal(MLFLOW_TRACKING_URI=f"sqlite:///{sqlite_sample}")
    answer(process, f"from MLFLOW_TRACKING_URI [sqlite:///{sqlite_sample}]: ", "")
    process.expect("2/5")
    answer(process, LIST, "churn")
    answer(process, LIST, "")
    process.expect("3/5")
    answer(process, LIST, "")
    assert "✅" in process.before
    assert "❌" in process.before
    assert "⏳" in process.before
    answer(process, FILE, "")
    answer(process, TITLE, "")
    answer(process, RUN, "n")
    said, code = finish(process)
    assert code == 0, said
    (path,) = (tmp_path / "notebooks").glob("churn_*.ipynb")
    assert f"next: jupyter lab notebooks/{path.name}" in said
    nbformat.validate(nbformat.read(path, 4))


def test_invalid_answers_are_reported_and_the_question_is_repeated(terminal, sqlite_sample, tmp_path):
    process = terminal()
    answer(process, "tracking URI or path", "")
    answer(process, "type a tracking URI or path", "nowhere.db")
    answer(process, "There is nothing at", f"sqlite:///{sqlite_sample}")
    answer(process, LIST, "99")
    answer(process, "99 is not in the list.", "zebra")
    answer(process, "Nothing in the list contains zebra.", "prices")
    process.expect("prices / Ωμέγα")
    answer(process, LIST, "1")
    process.expect("3/5.*2 runs")
    answer(process, LIST, "2-1")
    answer(process, "2-1 runs backwards.", "2")
    process.expect("1 run of prices / Ωμέγα")
    answer(process, FILE, str(tmp_path))
    answer(process, "is a folder", "x.pdf")
    answer(process, ".ipynb", "mine")
    answer(process, TITLE, "My own title")
    answer(process, RUN, "no")
    said, code = finish(process)
    assert code == 0, said
    assert "My own title" in (tmp_path / "mine.ipynb").read_text()


def test_text_narrows_the_list_and_all_selects_what_is_left(terminal, sqlite_sample):
    process = terminal("--tracking-uri", f"sqlite:///{sqlite_sample}")
    answer(process, LIST, "churn")
    answer(process, LIST, "1")
    answer(process, LIST, "child")
    process.expect(
        "child 2(.*)child 0",
    )
    answer(process, LIST, "all")
    process.expect("3 runs of churn")
    answer(process, FILE, "n.ipynb")
    answer(process, TITLE, "")
    answer(process, RUN, "n")
    said, code = finish(process)
    assert code == 0, said


def test_an_existing_output_is_replaced_only_after_confirmation(terminal, sqlite_sample, tmp_path):
    (tmp_path / "n.ipynb").write_text("mine")
    args = ("--tracking-uri", f"sqlite:///{sqlite_sample}", "--limit", 1, "--output", "n.ipynb")
    process = terminal(*args)
    answer(process, "Replace it? [y/N]", "n")
    said, code = finish(process)
    assert (code, (tmp_path / "n.ipynb").read_text()) == (31, "mine"), said
    process = terminal(*args)
    answer(process, "Replace it? [y/N]", "y")
    assert finish(process)[1] == 0
    assert (tmp_path / "n.ipynb").read_text() != "mine"


def test_more_than_two_hundred_runs_need_confirmation_and_are_listed_by_thirty(terminal, many_runs, tmp_path):
    process = terminal("--tracking-uri", many_runs, "--yes", "--dry-run")
    assert finish(process)[1] == 0
    process = terminal("--tracking-uri", many_runs, "--experiment", "many")
    answer(process, "210 runs, go on? [y/N]", "")
    assert finish(process)[1] == 16
    assert list(tmp_path.iterdir()) == []
    process = terminal("--tracking-uri", many_runs)
    answer(process, LIST, "")
    process.expect("showing 1 to 30 of 210; type more")
    answer(process, LIST, "number 20")
    answer(process, LIST, "1-2")
    process.expect("2 runs of many")
    answer(process, FILE, "n")
    answer(process, TITLE, "")
    answer(process, RUN, "n")
    assert finish(process)[1] == 0


def test_a_list_is_paged_and_sorted_and_accepts_only_numbers_already_shown(terminal, many_runs, tmp_path):
    process = terminal("--tracking-uri", many_runs)
    answer(process, LIST, "many")
    answer(process, LIST, "1")
    answer(process, LIST, "31")
    answer(process, "31 was not shown yet", "more")
    process.expect_exact("showing 31 to 60 of 210")
    answer(process, LIST, "61")
    answer(process, "61 was not shown yet", "number 20")
    process.expect("1 .*number 209.*11 .*number 20 ")
    answer(process, LIST, "more")
    answer(process, "That is the whole list.", "/")
    answer(process, LIST, "sort")
    process.expect("best val_auc first.* 1 .*number 140 .* 2 .*number 70 ")
    answer(process, LIST, "all")
    answer(process, "210 runs, go on? [y/N]: ", "n")
    answer(process, LIST, "all")
    answer(process, "210 runs, go on? [y/N]: ", "y")
    process.expect_exact("210 runs of many, best val_auc first")
    answer(process, FILE, "n")
    answer(process, TITLE, "")
    answer(process, RUN, "n")
    said, code = finish(process)
    assert code == 0, said
    title = "".join(nbformat.read(tmp_path / "n.ipynb", 4).cells[0].source)
    assert "--experiment many --by val_auc" in title


def test_back_repeats_the_previous_question_and_a_question_mark_lists_possible_answers(terminal, sqlite_sample):
    process = terminal("--tracking-uri", f"sqlite:///{sqlite_sample}")
    answer(process, LIST, "back")
    answer(process, "This is the first question.", "?")
    process.expect("/ alone shows the whole list again.*the previous question")
    assert "sort" not in process.before
    answer(process, LIST, "churn")
    answer(process, LIST, "1")
    process.expect_exact("2/4  Which runs?")
    answer(process, LIST, "back")
    process.expect_exact("1/4  Which experiments?")
    answer(process, LIST, "churn")
    answer(process, LIST, "1")
    answer(process, LIST, "?")
    process.expect_exact("sort")
    answer(process, LIST, "1")
    answer(process, FILE, "back")
    process.expect_exact("2/4  Which runs?")
    answer(process, LIST, "1-2")
    process.expect_exact("2 runs of churn")
    answer(process, FILE, "n")
    answer(process, TITLE, "")
    answer(process, RUN, "perhaps")
    answer(process, "Answer y or n.", "back")
    process.expect_exact("3/4  What name?")
    answer(process, FILE, "m")
    answer(process, TITLE, "")
    answer(process, RUN, "n")
    said, code = finish(process)
    assert (code, "m.ipynb    the notebook" in said) == (0, True), said


@pytest.mark.slow
def test_the_last_question_executes_and_exports_the_notebook(terminal, sqlite_sample, tmp_path):
    process = terminal("--tracking-uri", f"sqlite:///{sqlite_sample}", "--output", "n", MLFLOW_DISABLE_TELEMETRY="true")
    process.timeout = 120
    answer(process, LIST, "prices")
    answer(process, LIST, "1")
    answer(process, LIST, "1")
    answer(process, RUN, "")
    said, code = finish(process)
    assert code == 0, said
    assert (tmp_path / "n.html").is_file()


def test_without_jupyterlab_the_last_line_says_how_to_open_the_notebook(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    show_outputs(Path("a b.ipynb"), ["html"])
    show_outputs(Path("a.ipynb"), [])
    assert capsys.readouterr().err.splitlines() == [
        "next: open a b.html in a browser, or pip install jupyterlab, then jupyter lab 'a b.ipynb'",
        "next: pip install jupyterlab, then jupyter lab a.ipynb; or for a page: qualia execute a.ipynb --to html",
    ]


def test_an_experiment_named_like_the_id_of_another_can_be_chosen():
    experiments = [("1", "2"), ("2", "churn"), ("3", "2024"), ("4", "id:3"), ("5", None)]
    rows = [{"experiment_id": one, "name": name} for one, name in experiments]
    listing = ExperimentListing(table_of(EXPERIMENT_LIST, rows))
    assert list(map(listing.word, range(5))) == ["name:2", "churn", "2024", "id:3", "id:5"]


@pytest.mark.parametrize(
    ("engine", "message"), [("oracle", "No engine is called oracle"), ("duckdb", "An engine reads a snapshot")]
)
def test_an_engine_that_cannot_aggregate_the_store_is_refused_before_the_questions(
    engine, message, terminal, sqlite_sample
):
    said, code = finish(terminal("--tracking-uri", f"sqlite:///{sqlite_sample}", "--engine", engine))
    assert message in said
    assert (code, "Which experiments?" in said) == (60, False)


def test_an_engine_that_is_not_installed_is_refused_before_the_questions(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = run_here(CREATE, "--engine", "duckdb", cwd=tmp_path)
    assert "pip install 'qualia-lab[engine]'" in done.stderr
    assert done.returncode == ExtraMissing.exit_code


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("many", artifact_location=(folder / "artifacts").as_uri())
    for number in range(210):
        run = client.create_run(experiment, start_time=1_760_000_000_000 + number, run_name=f"number {number}")
        if number % 70 == 0:
            client.log_metric(run.info.run_id, "val_auc", number / 210)
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_names_in_a_store_cannot_send_control_sequences_to_the_terminal(terminal, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = new_client(uri)
    experiment = client.create_experiment("evil \x1b[2J\u202e name", artifact_location=(tmp_path / "a").as_uri())
    client.create_run(experiment, run_name="\x1b]0;owned\x07 [bold]run")
    process = terminal()
    answer(process, "found in this folder [sqlite:///mlflow.db]", "")
    everything = process.before
    for question in (LIST, LIST, FILE, TITLE, RUN):
        answer(process, question, "n" if question == RUN else "")
        everything += process.before + process.after
    said, code = finish(process)
    everything += said
    assert code == 0
    everything = re.sub(r"\x1b\[[01]m", "", everything)  # bold headings
    assert not [char for char in everything if char not in "\r\n\t" and not char.isprintable()]
    assert "[bold]run" in everything


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 16)])
def test_quitting_midway_writes_nothing(key, code, terminal, sqlite_sample, tmp_path):
    process = terminal("--tracking-uri", f"sqlite:///{sqlite_sample}")
    process.expect_exact(LIST)
    process.send(key)
    said, status = finish(process)
    assert status == code, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_the_default_uri_is_used_but_not_shown(terminal):
    process = terminal(MLFLOW_TRACKING_URI="postgresql://ada:s3cr3t@127.0.0.1:1/x")
    answer(process, "[postgresql://ada@127.0.0.1:1/x]: ", "")
    process.expect("error: ")
    process.expect_exact("[postgresql://ada@127.0.0.1:1/x]: ")
    process.sendintr()
    said, code = finish(process)
    assert code == 130
    assert not re.search("s3cr3t", said + process.before)
