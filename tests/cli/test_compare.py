"""`qualia compare`: sides, verdict and exit code."""

import json

import pytest

from .command import QUALIA, run_here


def compare(folder, *words):
    return run_here(QUALIA, "compare", *words, "--tracking-uri", folder, cwd=folder)


def test_sentences_give_the_verdict_and_other_differences(cases):
    done = compare(cases / "confounded", "attention=full", "attention=none", "--claimed", "attention")
    assert done.returncode == 0, done.stderr
    answer, isolation = done.stdout.splitlines()
    assert answer.startswith("A (attention=full, n = 5) has a better mean val_acc than B (attention=none, n = 5): ")
    assert "cannot be put down to attention alone" in isolation
    assert "batch_size (64 against 32)" in isolation


def test_json_contains_the_verdict(cases):
    done = compare(cases / "factor_in_a_tag", "fingerprint=morgan", "fingerprint=maccs", "--json")
    found = json.loads(done.stdout)
    assert (found["verdict"], found["isolated"], found["paired"], found["pairs"]) == ("better", True, True, 6)
    assert 0.28 < found["difference"] < 0.32
    assert (found["metric"], found["better"]) == ("mcc", "higher")
    turned = json.loads(
        compare(
            *(cases / "factor_in_a_tag", "fingerprint=morgan", "fingerprint=maccs", "--json", "--metric", "mcc:min")
        ).stdout
    )
    assert (turned["verdict"], turned["better"]) == ("worse", "lower")


@pytest.mark.parametrize(
    ("store", "sides", "gate", "code"),
    [
        ("factor_in_a_tag", ("fingerprint=morgan", "fingerprint=maccs"), "better", 0),
        ("factor_in_a_tag", ("fingerprint=maccs", "fingerprint=morgan"), "not-worse", 55),
        ("level_rivals", ("model=a", "model=b"), "better", 55),
        ("level_rivals", ("model=a", "model=b"), "not-worse", 0),
        ("two_tasks", ("a0", "a1"), "not-worse", 55),  # one run each: too few to tell
    ],
)
def test_fail_unless_sets_the_exit_code_by_the_verdict(store, sides, gate, code, cases):
    assert compare(cases / store, *sides).returncode == 0
    done = compare(cases / store, *sides, "--fail-unless", gate)
    assert done.returncode == code, done.stderr
    assert (f"--fail-unless {gate}: by " in done.stderr) == (code == 55)


def test_experiments_are_not_compared_unless_pooled(cases):
    assert "which are different tasks: no winner is named" in compare(cases / "two_tasks", "a0", "b0").stdout
    pooled = compare(cases / "two_tasks", "a0", "b0", "--pool")
    assert "different tasks" not in pooled.stdout
    assert "Too few runs to tell" in pooled.stdout


def test_a_side_without_runs_is_an_error(cases):
    assert compare(cases / "two_tasks", "a0", "nobody").returncode == 10
    assert compare(cases / "two_tasks", "a0", "lr=77").returncode == 14
    assert compare(cases / "two_tasks", "a0", "b0", "--metric", "val_los").returncode == 17
    assert compare(cases / "two_tasks", "a0", "b0", "--experiment", "predict_a").returncode == 10
