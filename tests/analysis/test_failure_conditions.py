"""Conditions that distinguish failed runs: Fisher's test against scipy's, planted conditions, and noise."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.failure_conditions import Term, failure_conditions, single_conditions
from qualia_lab.analysis.fisher import log_fisher, most_significant


def texts(values):
    return [str(value) for value in values]


def test_p_matches_scipys_hypergeometric_tail_up_to_thousands_of_runs():
    for runs, failed in ((30, 7), (500, 60), (20_000, 900)):
        mask = np.arange(runs) < failed
        generator = np.random.default_rng(runs)
        sizes = generator.integers(1, runs, 40)
        least = np.maximum(0, sizes - (runs - failed))
        with_it = np.minimum(
            np.minimum(sizes, failed), np.maximum(least, sizes * failed // runs + generator.integers(0, 9, 40))
        )
        expected = stats.hypergeom.logsf(with_it - 1, runs, failed, sizes)
        more = with_it * runs > sizes * failed
        assert more.any()
        assert log_fisher(with_it, sizes, mask)[more] == pytest.approx(expected[more], rel=1e-8, abs=1e-8)


def test_tarones_number_of_tests_excludes_those_that_cannot_be_significant():
    assert most_significant(np.log([1e-5, 0.5, 0.9, 0.2]), 0.05) == 1
    assert most_significant(np.log([1e-5, 1e-5, 1e-4, 0.2]), 0.05) == 3


def test_a_single_value_is_found_with_its_counts():
    model = ["vit"] * 6 + ["cnn"] * 14
    failed = [True] * 6 + [False] * 14
    found = failure_conditions({"model": model, "seed": texts(k % 4 for k in range(20))}, failed)
    assert len(found) == 1
    assert found[0].terms == (Term("model", "=", "vit"),)
    assert (found[0].failed_with, found[0].failed_without, found[0].finished_with, found[0].finished_without) == (
        6,
        0,
        0,
        14,
    )
    assert found[0].rows == tuple(range(6))
    assert found[0].is_exact
    assert found[0].p == pytest.approx(stats.hypergeom.sf(5, 20, 6, 6))
    assert found[0].p < found[0].corrected < 0.05


def test_a_threshold_is_found_at_the_first_failed_value():
    generator = np.random.default_rng(0)
    rate = 10 ** generator.uniform(-4, 0, 50)
    failed = rate > 0.1
    found = failure_conditions({"lr": texts(rate), "size": texts(generator.choice([1, 2], 50))}, failed)
    assert [one.terms for one in found] == [(Term("lr", ">=", str(rate[failed].min())),)]
    assert found[0].is_exact


def test_a_threshold_ignores_the_spelling_of_values():
    size = ["64", "128", "256", "5.12e2", "512", "1024"] * 5
    failed = [float(one) >= 512 for one in size]
    assert [one.terms for one in failure_conditions({"batch_size": size}, failed)] == [
        (Term("batch_size", ">=", "5.12e2"),)
    ]


def test_two_params_that_fail_only_together_are_one_condition():
    generator = np.random.default_rng(1)
    size, model = generator.choice(["64", "128", "256", "512"], 60), generator.choice(["small", "large"], 60)
    failed = (size == "512") & (model == "large")
    columns = {"batch_size": list(size), "model": list(model), "lr": texts(generator.choice([0.1, 0.01], 60))}
    found = failure_conditions(columns, failed)
    assert [one.terms for one in found] == [(Term("batch_size", "=", "512"), Term("model", "=", "large"))]
    assert found[0].is_exact


def test_two_independent_causes_are_two_single_conditions():
    generator = np.random.default_rng(2)
    rate, model, optimizer = (generator.choice(list(names), 120) for names in ("abcd", "xyz", "uv"))
    failed = (rate == "a") | (model == "x")
    columns = {"rate": list(rate), "model": list(model), "optimizer": list(optimizer)}
    found = failure_conditions(columns, failed)
    assert {one.terms for one in found} == {(Term("rate", "=", "a"),), (Term("model", "=", "x"),)}


def test_random_failures_have_no_condition():
    generator = np.random.default_rng(3)
    for runs, params in ((12, 4), (40, 6)):
        claims = 0
        for _ in range(200):
            columns = {
                str(k): texts(generator.random(runs) if k % 2 else generator.integers(0, 4, runs))
                for k in range(params)
            }
            claims += bool(failure_conditions(columns, generator.random(runs) < 0.25))
        assert claims / 200 <= 0.03


def test_missing_values_and_stores_without_failures_give_no_condition():
    values = [None, None, None, None, "a", "a", "a", "a", "a", "a", "b", "b"]
    assert failure_conditions({"model": values}, [value is None for value in values]) == []
    assert failure_conditions({"model": values}, [False] * 12) == []
    assert failure_conditions({"model": values}, [True] * 12) == []
    assert failure_conditions({}, [True, False]) == []


def test_twenty_thousand_runs_of_fifty_params_take_seconds():
    generator = np.random.default_rng(4)
    runs = 20_000
    columns = {
        f"p{k}": texts(
            (generator.random(runs), generator.integers(0, 10, runs), generator.integers(0, 500, runs))[k % 3]
        )
        for k in range(50)
    }
    failed = (np.array(columns["p1"]) == "9") & (np.array(columns["p4"]).astype(int) >= 5)
    begin = time.process_time()
    found = failure_conditions(columns, failed | (generator.random(runs) < 0.02))
    assert time.process_time() - begin < 10
    assert found[0].terms == (Term("p1", "=", "9"), Term("p4", ">=", "5"))


def test_single_conditions_agree_with_failure_conditions():
    generator = np.random.default_rng(3)
    batch = generator.choice([32, 64, 128, 256, 512], 60)
    columns = {"batch": texts(batch), "depth": texts(generator.integers(1, 5, 60))}
    failed = (batch >= 256) | (generator.random(60) < 0.05)
    [found] = failure_conditions(columns, failed)
    every = {one.terms: one for one in single_conditions(columns, failed)}
    assert every[found.terms] == found
    assert all(one.failed_with > 1 for one in every.values())
    assert [one.p for one in every.values()] == sorted(one.p for one in every.values())
