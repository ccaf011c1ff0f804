"""The command in the title reproduces the notebook, and conditions are described in words."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlflow.entities import Metric, Param

from qualia_lab.choosing import metrics_of_order
from qualia_lab.cli.new import command
from qualia_lab.conditions_text import choice_in_words, conditions_as_flags, notebook_command, settings_as_flags
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.selection import Conditions, Query, Selection
from qualia_lab.settings import settings_from_arguments
from qualia_lab.stores.open import find_tracking_uri
from tests.stores.empty import new_client

HOSTILE = 'it\'s "$(touch gone)" `id` & \\ | ;*'
EXPERIMENTS = ["churn", "-rf", HOSTILE]


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """Three experiments of six runs each; the folder has a quote, a space and a dollar sign in its name."""
    folder = tmp_path_factory.mktemp("it's $HOME")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    for experiment in EXPERIMENTS:
        experiment_id = client.create_experiment(experiment, artifact_location=folder.as_uri())
        for number in range(6):
            name = HOSTILE if number == 0 else f"run {number}"
            run_id = client.create_run(experiment_id, run_name=name, start_time=1_790_000_000_000 + number).info.run_id
            params = {"lr": 10.0 ** -(number % 3), "model": f"it's {number % 2}", "seed": number}
            client.log_batch(
                run_id,
                metrics=[Metric(key, 0.5 + number / 50, 0, 0) for key in ("val_auc", "val_loss", "score")],
                params=[Param(key, str(value)) for key, value in params.items()],
            )
            client.set_terminated(run_id, "FAILED" if number == 5 else "FINISHED")
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="module")
def run_ids(uri):
    from qualia_lab import NotebookGenerator

    return NotebookGenerator(uri).select(experiments=[HOSTILE]).run_ids


def notebook(*words):
    """The cells created by the command, as kind and source, without ids and date."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.ipynb"
        command.main([*words, "--output", str(path)], standalone_mode=False)
        made = json.loads(path.read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]]
    return [(kind, re.sub(r"Written on \S+ ", "", source)) for kind, source in cells]


def command_of(cells):
    """The command line in the title."""
    marked, plain = re.search(r"(?:<code>(create-.*)</code>|`` (create-.*) ``)$", cells[0][1]).groups()
    return plain or html.unescape(marked)


def some(flag, values, most=2):
    """The flag with up to this many of these values."""
    chosen = st.lists(st.sampled_from(values), max_size=most, unique=True)
    return chosen.map(lambda texts: [word for text in texts for word in (flag, text)])


WORDS = st.tuples(
    some("--experiment", [*EXPERIMENTS, "ch*"]),
    some("--where", ["lr=0.1", "val_auc>0.5", "model=it's 1"], 1),
    some("--filter", ["params.model = \"it's 1\"", "metrics.val_auc < 0.59 OR params.lr = '1.0'"], 1),
    some("--since", ["2020-01-01", "90000 days ago"], 1),
    some("--status", ["FINISHED", "failed"]),
    st.sampled_from(
        [[], ["--by", "val_loss"], ["--by", "score:min"], ["--order-by", "metrics.`val_auc` DESC"], ["--by", "val_auc", "--top", "3"]]
    ),
    some("--limit", ["2", "4"], 1),
    some("--template", ["report", "select", "debug"], 1),
    some("--title", [HOSTILE, "-x"], 1),
    some("--metric", ["val_auc", "score:max", "val_loss"], 1),
    some("--seeds", ["seed", "lr", ""], 1),
    some("--factor", ["model", "lr"]),
    some("--label", ["model"], 1),
    some("--smallest-difference", ["0.01", "1e-05"], 1),
    st.sampled_from([[], ["--pool"]]),
    st.sampled_from([[], [], ["--baseline", "lr=1.0", "--baseline", "model=it's 0"]]),
).map(lambda parts: [word for part in parts for word in part])  # fmt: skip


@given(words=WORDS)
@settings(max_examples=10)
def test_the_command_in_the_title_reproduces_the_notebook(uri, words):
    try:
        cells = notebook("--tracking-uri", uri, "--yes", *words)
    except QualiaLabError:
        assume(False)
    name, *again = shlex.split(command_of(cells))
    assert name == "create-observation-notebook"
    assert notebook(*again) == cells


def test_named_runs_are_repeated_in_the_command(uri, run_ids):
    cells = notebook("--tracking-uri", uri, *[word for run_id in run_ids[::-1] for word in ("--run", run_id)])
    assert notebook(*shlex.split(command_of(cells))[1:]) == cells
    assert "picked one by one" in cells[0][1]
    many = Selection("mlruns", run_ids, Conditions(run_ids=tuple(map(str, range(13)))))
    assert notebook_command(many, settings_from_arguments()) == "create-observation-notebook --tracking-uri mlruns"


def test_the_command_for_all_runs_asks_nothing(uri):
    assert "--yes" in command_of(notebook("--tracking-uri", uri, "--yes"))
    assert conditions_as_flags(Conditions(by="val_auc")) == ["--yes", "--by", "val_auc"]


WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(WORD | st.sampled_from([HOSTILE, "a  b", " \n", "\x1b[2J\u202e'\\", ""]), min_size=1, max_size=20))
@settings(max_examples=20)
def test_the_command_is_quoted_for_the_shell_and_shows_all_characters(words):
    line = " ".join(map(for_shell, words))
    assert one_line(line) == line
    shown = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert shown.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "newest first"),
        ({"by": "val_auc", "top": 3}, "best val_auc first, at most 3"),
        ({"by": "score:min"}, "best score first"),
        ({"order_by": ["metrics.a DESC", "start_time"]}, "ordered by metrics.a DESC, start_time"),
        ({"where": ["lr=0.1", "a>2"], "since": "7d"}, "started since 7d, with lr=0.1 and a>2, newest first"),
        ({"status": ["FAILED", "KILLED"], "filter": "a = 1"}, "FAILED or KILLED, where a = 1, newest first"),
        ({"run_ids": ["a", "b"], "by": "loss"}, "picked one by one, best loss first"),
    ],
)
def test_conditions_are_described_in_words(words, said):
    selection = Selection("", (), Conditions.of(**words), experiments=("churn",))
    assert choice_in_words(selection, 12) == f"12 runs of churn, {said}"


def test_the_order_of_one_run_is_omitted_and_deleted_runs_are_marked():
    selection = Selection("", (), Conditions(view="deleted"), experiments=tuple("abcdefg"))
    assert choice_in_words(selection, 1) == "1 deleted run of a, b, c, d, e and 2 more"
    assert conditions_as_flags(selection.conditions) == ["--deleted"]


def test_a_number_of_runs_in_an_order_of_fields_is_a_limit():
    flags = conditions_as_flags(Conditions(order_by=("start_time",), top=3, limit=5))
    assert flags == ["--order-by", "start_time", "--limit", "3"]


def test_no_seeds_can_be_expressed():
    assert settings_as_flags(settings_from_arguments(seeds=[])) == ["--seeds", ""]
    assert settings_as_flags(settings_from_arguments(baseline="it's me", pool=True)) == [
        "--baseline",
        "it's me",
        "--pool",
    ]


def test_the_uri_in_the_command_gets_the_password_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cr3t@127.0.0.1:1/x")
    assert find_tracking_uri("postgresql://ada@127.0.0.1:1/x")[0] == "postgresql://ada:s3cr3t@127.0.0.1:1/x"
    assert find_tracking_uri("postgresql://ada@127.0.0.1:1/y")[0] == "postgresql://ada@127.0.0.1:1/y"


def test_metrics_of_the_order_are_those_with_latest_values():
    order = ("metrics.`val/loss` DESC", "start_time", "metrics.a", "metrics.b.min")
    assert metrics_of_order(Query(order_by=order)) == ("val/loss", "a")
