"""Counts in messages are singular or plural, and zero is reported."""

from __future__ import annotations

import re

import pytest

from qualia_lab import ArtifactExplorer
from qualia_lab.choosing import Conditions, choose_runs, query_of
from qualia_lab.counts import counted, none_of
from qualia_lab.errors import NoRunMatches, UnknownExperiment
from qualia_lab.schema import EXPERIMENT_LIST
from qualia_lab.selection import match_experiments
from qualia_lab.tables import table_of
from tests.cli.command import QUALIA, run_here
from tests.stores.empty import new_client

WRONG = re.compile(r"(?<![\d.,])1 (runs|lines|findings|metrics|params|experiments|rows|columns)\b|are \.")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store with one experiment with one run, one param and one metric."""
    folder = tmp_path_factory.mktemp("one")
    client = new_client(f"sqlite:///{folder / 'mlflow.db'}")
    made = client.create_run(client.create_experiment("one", artifact_location=folder.as_uri())).info.run_id
    client.log_metric(made, "loss", 0.5)
    client.log_param(made, "lr", "0.1")
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_counts_are_singular_or_plural():
    assert [counted(number, "run") for number in (0, 1, 2, 1204)] == ["0 runs", "1 run", "2 runs", "1,204 runs"]
    assert [counted(number, "copy", "copies") for number in (1, 2)] == ["1 copy", "2 copies"]
    assert [none_of(number, "run") for number in (1, 2)] == ["No run", "None of the 2 runs"]


@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["runs", "--explain", "--filter", "params.lr = '0.1'"],
        ["runs", "--filter", "metrics.loss > 5"],
        ["runs", "--by", "nosuch:max"],
        ["runs", "--experiment", "two"],
        ["experiments"],
        ["findings"],
        ["study"],
    ],
)
def test_messages_about_a_single_run_use_the_singular(uri, tmp_path, command):
    done = run_here(QUALIA, *command, "--tracking-uri", uri, cwd=tmp_path)
    said = done.stdout + done.stderr
    assert said
    assert not WRONG.search(said), said


def test_a_single_run_and_a_single_experiment_are_described_as_such(uri):
    store = ArtifactExplorer(uri).store
    for words, said in (({"filter": "metrics.loss > 5"}, "No run matches"), ({"by": "acc:max"}, "No run has a metric")):
        conditions = Conditions.of(experiments="one", **words)
        with pytest.raises(NoRunMatches, match=said):
            choose_runs(store, conditions, query_of(store, conditions))


def test_an_empty_list_of_experiments_is_reported():
    with pytest.raises(UnknownExperiment) as error:
        match_experiments(["churn"], table_of(EXPERIMENT_LIST, []))
    assert error.value.hint == "There are no experiments."
