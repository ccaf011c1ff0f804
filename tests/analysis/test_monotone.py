"""Relations over configurations, against scipy's tests and in noise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.monotone import category_relations, monotone_relations, ranks
from qualia_lab.analysis.relations import correlate


def test_ranks_match_scipy():
    values = np.random.default_rng(0).integers(0, 6, 30).astype(float)
    assert ranks(values).tolist() == stats.rankdata(values).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_correlations_are_those_of_scipy(seed):
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 8, 40) * 10.0 ** generator.integers(-3, 4)
    y = x + generator.normal(size=40).round(seed % 4)
    found = correlate("lr", x, y)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_p_is_exact_for_few_configurations_with_ties():
    generator = np.random.default_rng(7)
    x, y = generator.integers(0, 4, 7).astype(float), generator.normal(size=7)
    found = monotone_relations({"depth": list(x)}, list(y))[0]
    rho = stats.spearmanr(x, y).statistic
    orders = np.array(list(itertools.permutations(stats.rankdata(y))))
    assert found.rho == pytest.approx(rho)
    centred = stats.rankdata(x) - 4
    assert found.p == pytest.approx(np.mean(np.abs(orders @ centred) >= abs(stats.rankdata(y) @ centred) - 1e-9))


def test_p_matches_scipy_and_is_bounded_by_a_perfect_order():
    generator = np.random.default_rng(1)
    x = generator.normal(size=25)
    y = x + generator.normal(size=25)
    found = monotone_relations({"lr": list(x)}, list(y))[0]
    expected = stats.spearmanr(x, y)
    assert (found.rho, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    perfect = monotone_relations({"lr": [float(one) for one in range(10)]}, [float(one) for one in range(10)])[0]
    assert (perfect.rho, perfect.p) == (1.0, pytest.approx(2 / 3628800))


def test_a_relation_over_eight_configurations_is_found_among_irrelevant_params():
    generator = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        columns = {name: list(generator.permutation(8.0 + np.arange(8))) for name in ("dropout", "decay", "warmup")}
        columns["dim"] = [2.0**place for place in range(8)]
        objective = np.arange(8) / 8 + generator.normal(0, 0.1, 8)
        first = monotone_relations(columns, list(objective))[0]
        found += first.param == "dim" and first.corrected < 0.05 and first.rho > 0
    assert found >= 95


@pytest.mark.parametrize("n", [8, 12, 30])
def test_irrelevant_params_are_significant_at_the_nominal_rate(n):
    generator = np.random.default_rng(n)
    least = []
    for _ in range(600):
        columns = {str(k): list(generator.normal(size=n)) for k in range(4)}
        least.append(monotone_relations(columns, list(generator.normal(size=n)))[0].corrected)
    assert np.mean(np.array(least) < 0.05) <= 0.07
    assert np.mean(np.array(least) < 0.01) <= 0.02


def test_missing_values_are_dropped_and_few_or_constant_values_give_no_relation():
    objective = [float(one) for one in range(9)]
    columns = {
        "some": [*objective[:7], None, None],
        "few": [*objective[:6], None, None, None],
        "constant": [1.0] * 9,
    }
    assert [(one.param, one.n) for one in monotone_relations(columns, objective)] == [("some", 7)]
    assert monotone_relations({"some": objective}, [None, None, None, *objective[3:]]) == []


def test_a_relevant_category_is_found_and_p_matches_kruskal_wallis():
    generator = np.random.default_rng(3)
    model = ["cnn", "mlp", "vit"] * 4
    objective = [{"cnn": 0.8, "mlp": 0.6, "vit": 0.9}[one] + generator.normal(0, 0.02) for one in model]
    found = category_relations({"model": model, "optimizer": ["adam", "sgd"] * 6}, objective)
    assert [one.param for one in found] == ["model", "optimizer"]
    assert (found[0].lowest, found[0].highest, found[0].levels, found[0].n) == ("mlp", "vit", 3, 12)
    assert found[0].corrected < 0.001 < 0.05 < found[1].corrected
    many = ["a", "b", "c"] * 100
    values = generator.normal(size=300) + 0.3 * (np.array(many) == "a")
    expected = stats.kruskal(*(values[np.array(many) == level] for level in "abc"))
    actual = category_relations({"many": many}, list(values))[0]
    assert actual.p == pytest.approx(expected.pvalue)
    assert actual.explained == pytest.approx(expected.statistic / 299)


def test_irrelevant_categories_are_significant_at_the_nominal_rate():
    generator = np.random.default_rng(4)
    columns = {"a": ["x", "y"] * 6, "b": ["u", "v", "w"] * 4}
    least = [category_relations(columns, list(generator.normal(size=12)))[0].corrected for _ in range(200)]
    assert np.mean(np.array(least) < 0.05) <= 0.07
    assert category_relations({"all different": [str(one) for one in range(12)]}, list(range(12))) == []
