"""Conditions as they are written and shown: without the secrets that they compare with."""

from __future__ import annotations

import json

import nbformat
import pytest

from qualia_lab import NotebookGenerator
from qualia_lab.errors import NoRunMatches
from qualia_lab.masking.keys import DEFAULT_RULES, MaskRules
from qualia_lab.query import parse_filter
from qualia_lab.query.secret_values import masked_filter, masked_where
from tests.cli.command import QUALIA, run_here
from tests.stores.mlruns import write_experiment, write_run

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("params.password = 'hunter2'", "params.password = '‹masked›'"),
        ("params.password != 'hunter2' and metrics.auc>0.5", "params.password != '‹masked›' AND metrics.auc > 0.5"),
        ("tags.auth/api_key LIKE '%hunter2%'", "tags.auth/api_key LIKE '‹masked›'"),
        ("params.token IN ('hunter2', \"x'y\")", "params.token IN ('‹masked›', '‹masked›')"),
        ("NOT (params.pwd > 17 OR tags.a = 'b')", "NOT (params.pwd > '‹masked›' OR tags.a = 'b')"),
        ("tags.source = 'https://ada:hunter2@h/x'", "tags.source = 'https://‹masked›@h/x'"),
    ],
)
def test_the_value_of_a_secret_is_masked_in_a_filter(text, shown):
    assert masked_filter(text, DEFAULT_RULES) == shown


@pytest.mark.parametrize(
    "text",
    ["", "params.max_tokens  =  512", "params.password IS NULL", "metrics.password > 1", "status='FAILED'"],
)
def test_a_filter_without_a_secret_stays_as_it_was_typed(text):
    assert masked_filter(text, DEFAULT_RULES) == text


def test_a_filter_that_cannot_be_read_is_masked_as_text():
    assert SECRET not in masked_filter("params.password = 'hunter2' AND AND", DEFAULT_RULES)


def test_a_project_says_what_is_no_secret_in_a_filter_too():
    assert masked_filter("params.token = 'a'", MaskRules(never=("token",))) == "params.token = 'a'"
    assert masked_filter("params.licence = 'a'", MaskRules(also=("licence",))) == "params.licence = '‹masked›'"


def test_the_value_of_a_secret_is_masked_in_where():
    assert masked_where("password = hunter2", DEFAULT_RULES) == "password = ‹masked›"
    assert masked_where("params.password!=hunter2", DEFAULT_RULES) == "params.password!=‹masked›"
    assert masked_where("lr=0.1", DEFAULT_RULES) == "lr=0.1"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of two runs that differ in their password."""
    experiment = write_experiment(tmp_path_factory.mktemp("passwords") / "mlruns")
    for number, password in enumerate((SECRET, "other"), 1):
        points = [(1000, number / 10, 0)]
        write_run(experiment, f"{number}" * 32, params={"password": password}, metrics={"auc": points})
    return experiment.parent


@pytest.mark.parametrize("words", [{"filter": "params.password = 'hunter2'"}, {"where": ["password=hunter2"]}])
def test_a_notebook_chosen_by_a_secret_does_not_hold_it(store, words, tmp_path):
    generator = NotebookGenerator(store)
    path = generator.create(output=tmp_path / "n.ipynb", **words)
    text = path.read_text(encoding="utf-8")
    assert SECRET not in text
    cells = nbformat.read(path, 4).cells
    assert "replaces a value that looks like a secret" in cells[0].source
    [parameters] = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    assert "‹masked›" in parameters
    assert "1" * 32 in parameters
    assert "2" * 32 not in parameters


def test_an_aggregate_notebook_chosen_by_a_secret_names_the_runs(store, tmp_path):
    snapshot = tmp_path / "snapshot"
    first = run_here(QUALIA, "snapshot", str(store), str(snapshot), cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    words = {"filter": "params.password = '‹masked 1›' AND params.password != 'hunter2'"}
    path = NotebookGenerator(f"snapshot:{snapshot}").create(output=tmp_path / "n.ipynb", engine="duckdb", **words)
    assert SECRET not in path.read_text(encoding="utf-8")
    [parameters] = [
        cell.source for cell in nbformat.read(path, 4).cells if "parameters" in cell.metadata.get("tags", ())
    ]
    assert "1" * 32 in parameters


def test_a_manifest_does_not_hold_the_secret_that_its_runs_were_chosen_by(store, tmp_path):
    words = ("--filter", "params.password = 'hunter2'")
    for _ in range(2):  # the second time it is the same choice
        done = run_here(QUALIA, "snapshot", str(store), str(tmp_path / "s"), *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    manifest = (tmp_path / "s" / "manifest.json").read_text()
    assert json.loads(manifest)["choice"] == {"filter": "params.password = '‹masked›'"}
    # One that was written with it is not quoted with it.
    (tmp_path / "s" / "manifest.json").write_text(
        manifest.replace("‹masked›", SECRET).replace("\\u2039masked\\u203a", SECRET)
    )
    done = run_here(QUALIA, "snapshot", str(store), str(tmp_path / "s"), *words, cwd=tmp_path)
    assert done.returncode != 0
    assert "was made with a different choice of runs" in done.stderr
    assert SECRET not in done.stderr


def test_what_is_said_of_a_filter_does_not_hold_the_secret(store, tmp_path):
    with pytest.raises(NoRunMatches) as error:
        NotebookGenerator(store).select(filter="params.password = 'hunter2' AND metrics.auc > 5")
    assert SECRET not in str(error.value)
    words = ("runs", "--tracking-uri", str(store), "--filter", "params.password = 'hunter2'", "--explain")
    done = run_here(QUALIA, *words, cwd=tmp_path)
    assert done.returncode == 0
    assert SECRET not in done.stdout + done.stderr
    assert "params.password = '‹masked›'" in done.stderr


def test_a_filter_whose_other_texts_cannot_be_quoted_is_masked_whole():
    text = "params.password = 'hunter2' AND tags.note = 'it''s \"a\"'"
    assert parse_filter(text) is not None
    assert masked_filter(text, DEFAULT_RULES) == "‹masked›"
