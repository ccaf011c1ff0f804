"""Which params matter: against other implementations, and on stores with known truth."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from qualia_lab.analysis.best_range import best_range
from qualia_lab.analysis.forest import grow_forest, interaction
from qualia_lab.analysis.importance import MOST_CONFIGURATIONS, least_r2, param_importances
from qualia_lab.analysis.param_columns import varying_columns
from qualia_lab.analysis.ped_anova import ped_anova
from qualia_lab.analysis.relations import rank_correlations
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from tests.planted.store import PlantedStore, Run


def tables_and_study(rows, values=None, *, tags=(), settings=None):
    """The tables and the study of runs with these params, a metric `acc` and these tags."""
    values = range(len(rows)) if values is None else values
    runs = [
        Run(f"r{n}", row, {"acc": float(value)}, tags[n] if tags else {})
        for n, (row, value) in enumerate(zip(rows, values, strict=True))
    ]
    tables = PlantedStore({"e": runs}).tables()
    return tables, describe_study(tables, take_inventory(tables), settings or StudySettings())


def importances(rows, values, *, greater_is_better=True, settings=None):
    tables, study = tables_and_study(rows, values, settings=settings)
    found = dict(zip(tables.run_ids, map(float, values), strict=True))
    return param_importances(tables, study, found, "acc", greater_is_better=greater_is_better)


def columns_of(rows, *, tags=(), settings=None):
    """The columns by name, and why others are left out."""
    tables, study = tables_and_study(rows, tags=tags, settings=settings)
    columns, left_out = varying_columns(tables, study, tables.run_ids)
    return {column.param: column for column in columns}, left_out


def tuned(count, *, effect, seed=0):
    """Runs of a random search in which lr affects the metric, and batch_size and dropout do not."""
    r = np.random.default_rng(seed)
    rows = [
        {
            "lr": f"{10 ** r.uniform(-5, -1):.3g}",
            "batch_size": r.choice([32, 64, 128]),
            "dropout": f"{r.uniform(0, 0.5):.2f}",
            "seed": n,
            "data": "v1",
        }
        for n in range(count)
    ]
    values = [-effect * (math.log10(float(row["lr"])) + 3) ** 2 + r.normal(0, 0.3) for row in rows]
    return rows, values


def test_the_relevant_param_has_by_far_the_largest_importance():
    found = importances(*tuned(60, effect=1, seed=3))
    assert found.refusal == ""
    assert found.r2 > 0.5
    rows = {row.param: row for row in found.params}
    assert set(rows) == {"lr", "batch_size", "dropout", "seed"}  # data never varies
    assert found.params[0].param == "lr"
    assert rows["lr"].forest > 0.8
    assert rows["lr"].forest > 10 * rows["batch_size"].forest
    assert rows["lr"].note == ""
    assert rows["batch_size"].note == "forest: no more than chance; PED-ANOVA: no more than chance"
    assert rows["lr"].ped_anova > rows["batch_size"].ped_anova
    assert abs(rows["lr"].rho) < 0.4  # a peak has no rank correlation, but the forest finds it
    assert (rows["seed"].forest, rows["seed"].note) == (None, "only repeats a configuration: left out")
    assert found == importances(*tuned(60, effect=1, seed=3))


def test_importances_are_refused_for_noise():
    for seed in range(6):
        found = importances(*tuned(40, effect=0, seed=seed))
        assert found.refusal.startswith("these params explain little of acc: out-of-bag R² "), found
        assert "n = 40" in found.refusal
        assert found.interaction is None


def test_many_seeds_of_few_configurations_are_refused():
    r = np.random.default_rng(1)
    rows = [{"lr": lr, "depth": depth, "seed": seed} for lr, depth in ((1, 2), (2, 9), (3, 4)) for seed in range(20)]
    found = importances(rows, r.normal(size=60))
    assert found.refusal.startswith("too few configurations to tell: 3 in n = 60 runs")
    assert {row.forest for row in found.params} == {None}


def test_the_reason_is_given_where_nothing_varies():
    assert "no param varies among the 2 runs" in importances([{"a": 1}] * 2, [1, 2]).refusal
    assert "no param varies among the 0 runs" in importances([], []).refusal
    assert "acc is the same in all 30 runs" in importances([{"a": n} for n in range(30)], [1] * 30).refusal


def test_params_that_always_change_together_share_their_importance():
    rows, values = tuned(60, effect=1)
    rows = [{**row, "warmup": 1 / float(row["lr"])} for row in rows]
    found = {row.param: row for row in importances(rows, values).params}
    assert found["warmup"].note == "changes only together with lr: cannot be told apart"
    assert found["warmup"].forest == found["lr"].forest > 0.8


def test_unique_values_of_a_random_search_are_not_tied():
    columns, _ = columns_of(tuned(40, effect=1)[0])
    assert {name: column.tied_to for name, column in columns.items()} == {
        "batch_size": None,
        "dropout": None,
        "lr": None,
    }


def test_missing_params_are_values_and_texts_are_choices():
    r = np.random.default_rng(3)
    rows = [{"lr": n % 7, "opt": ["adam", "sgd"][n % 2]} | ({"clip": 1} if n % 3 else {}) for n in range(84)]
    values = [(2.0 if "clip" in row else 0) + (row["opt"] == "sgd") + r.normal(0, 0.1) for row in rows]
    found = importances(rows, values, greater_is_better=False)
    order = {row.param: row for row in found.params}
    assert [row.param for row in found.params] == ["clip", "opt", "lr"]
    assert order["clip"].note == "14 of 28 configurations lack it"
    assert (order["opt"].rho, order["clip"].n) == (None, 14)
    assert found.interaction.share < 0.05


def test_unique_texts_and_labels_are_no_columns():
    rows = [{"lr": n % 5, "model": f"net {n * n}", "out_dir": f"/out/{n}"} for n in range(40)]
    columns, left_out = columns_of(rows)
    assert list(columns) == ["lr"]
    assert left_out == {"model": "a different text in every run: left out", "out_dir": "only names runs: left out"}


def test_a_tag_that_distinguishes_runs_is_a_column():
    columns, _ = columns_of([{"lr": n % 2} for n in range(8)], tags=[{"model": "ab"[n // 4]} for n in range(8)])
    assert list(columns) == ["lr", "model"]
    assert columns["model"].choices == ("a", "b")
    assert columns["model"].values.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_spelling_of_values_is_ignored():
    columns, _ = columns_of([{"lr": lr, "x": n} for n, lr in enumerate(["0.1", "1e-1", "0.10", "0.2"])])
    assert columns["lr"].values.tolist() == [0.1, 0.1, 0.1, 0.2]
    assert "amp" not in columns_of([{"amp": amp, "x": n} for n, amp in enumerate(["True", "true", "TRUE"])])[0]


@pytest.mark.parametrize("seed", range(5))
def test_the_scale_follows_the_spread_of_the_values(seed):
    r = np.random.default_rng(seed)
    columns, _ = columns_of(
        [{"even": r.uniform(0.01, 1.5), "factors": 10 ** r.uniform(-4, -2), "near": r.uniform(1, 8)} for _ in range(40)]
    )
    assert {name: column.log for name, column in columns.items()} == {"even": False, "factors": True, "near": False}
    listed, _ = columns_of([{"lr": 10.0**-power, "width": 16 * 2**power} for power in range(5)])
    assert {column.log for column in listed.values()} == {True}


def test_the_scale_recorded_by_optuna_takes_precedence():
    r = np.random.default_rng(1)
    tags = [{"lr_distribution": "FloatDistribution(high=1.5, log=True, low=0.01, step=None)"}] * 30
    columns, _ = columns_of([{"lr": r.uniform(0.01, 1.5)} for _ in range(30)], tags=tags)
    assert columns["lr"].log


def test_the_best_range_is_around_the_peak_and_absent_without_effect():
    rows, values = tuned(60, effect=1, seed=3)
    found = {row.param: row for row in importances(rows, values).params}
    assert 10**-3.5 < found["lr"].best.middle < 10**-2.5
    best = sorted(range(60), key=lambda n: -values[n])[:12]
    assert (found["lr"].best.count, found["lr"].best.at_end) == (12, False)
    assert found["lr"].best.low == min(float(rows[n]["lr"]) for n in best)
    assert found["lr"].best.high == max(float(rows[n]["lr"]) for n in best)
    assert found["dropout"].best is found["batch_size"].best is None
    assert importances(rows, values, greater_is_better=None).params[0].best is None


def test_the_best_of_few_values_is_reported_where_significant():
    r = np.random.default_rng(2)
    columns, _ = columns_of([{"opt": ["adam", "sgd", "lion"][n % 3], "n": n} for n in range(30)])
    clear = np.array([float(n % 3 == 1) for n in range(30)]) + r.normal(0, 0.1, 30)
    assert best_range(columns["opt"], -clear).value == "sgd"
    assert best_range(columns["opt"], r.normal(size=30)) is None


def test_rank_correlations_average_over_seeds():
    rows = [{"depth": depth, "seed": seed} for depth in range(12) for seed in range(5)]
    r = np.random.default_rng(5)
    means = r.normal(size=12)
    values = [means[row["depth"]] + r.normal(0, 0.01) for row in rows]
    tables, study = tables_and_study(rows, values)
    [depth] = rank_correlations(tables, study, "acc")
    of_means = [np.mean(values[5 * n : 5 * n + 5]) for n in range(12)]
    assert (depth.param, depth.n) == ("depth", 12)
    assert depth.rho == pytest.approx(spearmanr(range(12), of_means).statistic)


def test_many_configurations_are_sampled_and_counted():
    r = np.random.default_rng(6)
    rows = [{"a": f"{r.random():.9f}", "b": f"{r.random():.9f}"} for _ in range(MOST_CONFIGURATIONS + 500)]
    found = importances(rows, [float(row["a"]) + r.normal(0, 0.1) for row in rows])
    assert (found.sampled, found.configurations) == (MOST_CONFIGURATIONS, MOST_CONFIGURATIONS + 500)
    assert [row.param for row in found.params if row.matters] == ["a"]


def test_the_forest_matches_scikit_learn_and_the_definition_of_importance():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.tree import DecisionTreeRegressor

    r = np.random.default_rng(4)
    x = r.random((50, 3))
    y = 3 * x[:, 0] + r.normal(0, 0.3, 50)
    forest = grow_forest(x, y)
    trees = []  # each with its out-of-bag rows
    for seed in np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=len(forest.trees)).tolist():
        drawer = np.random.RandomState(seed)
        unseen = drawer.permutation(50)[:25]
        seen = np.setdiff1d(np.arange(50), unseen)
        trees.append((DecisionTreeRegressor(random_state=drawer).fit(x[seen], y[seen]), unseen))

    def r_squared(rows):
        votes = [[] for _ in range(50)]
        for tree, unseen in trees:
            for row in unseen.tolist():
                votes[row].append(tree.predict(rows[[row]])[0])
        predicted = np.array([np.mean(vote) for vote in votes])
        return 1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum()

    assert forest.r2 == pytest.approx(r_squared(x), abs=1e-9)
    falls = []
    for repeat in np.random.default_rng((0, 0)).permuted(np.tile(np.arange(50), (10, 1)), axis=1):
        shuffled = x.copy()
        shuffled[:, 0] = x[repeat, 0]
        falls.append(forest.r2 - r_squared(shuffled))
    assert forest.importances[0] == pytest.approx(np.mean(falls), abs=1e-6)
    assert forest.deviations[0] == pytest.approx(np.std(falls, ddof=1), abs=1e-6)
    bootstrapped = RandomForestRegressor(100, random_state=0, oob_score=True).fit(x, y)
    assert forest.r2 == pytest.approx(bootstrapped.oob_score_, abs=0.03)


def test_interaction_is_the_part_that_is_not_additive():
    class Model:
        def __init__(self, says):
            self.predict = says

    x = np.random.default_rng(5).normal(size=(60, 3))
    assert interaction(Model(lambda rows: rows[:, 0] + 3 * rows[:, 1] ** 2), x, 0, 1) == pytest.approx(0, abs=1e-12)
    a, b = x[:, 0], x[:, 1]
    both = a * b - (a * b).mean()
    alone = (a - a.mean()) * b.mean(), (b - b.mean()) * a.mean()
    expected = ((both - alone[0] - alone[1]) ** 2).sum() / (both**2).sum()
    assert interaction(Model(lambda rows: rows[:, 0] * rows[:, 1]), x, 0, 1) == pytest.approx(expected)
    assert expected > 0.9


numbers = st.one_of(
    st.lists(st.integers(-3, 60), min_size=25, max_size=40),
    st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=25, max_size=40),
    st.lists(st.floats(-6, 2).map(lambda power: float(f"{10**power:.3g}")), min_size=25, max_size=40),
    st.lists(st.integers(0, 4000).map(lambda value: value + 1), min_size=25, max_size=40),
    st.lists(st.sampled_from(["adam", "sgd", "rmsprop"]), min_size=25, max_size=40),
)


@settings(max_examples=40, deadline=None)
@given(numbers, st.integers(0, 2**16), st.sampled_from([0.1, 0.25]), st.integers(0, 6))
def test_ped_anova_matches_optuna(values, seed, quantile, lacking):
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.importance import PedAnovaImportanceEvaluator

    losses = np.random.default_rng(seed).normal(size=len(values)).round(1)
    rows = [{"p": value} if n >= lacking else {} for n, value in enumerate(values)]
    columns = list(columns_of(rows, settings=StudySettings(factors=("p",)))[0].values()) if any(rows) else []
    if not columns:
        return
    (column,) = columns
    low, high = column.present.min(), column.present.max()
    if column.choices:
        space = CategoricalDistribution(list(column.choices))
    elif len(set(column.present.tolist())) <= 6:
        space = CategoricalDistribution(sorted(set(column.present.tolist())))
    elif column.is_integer:
        space = IntDistribution(int(low), int(high), log=column.log)
    else:
        space = FloatDistribution(float(low), float(high), log=column.log)
    whole = isinstance(space, IntDistribution)
    known = [{key: int(value) if whole else value for key, value in row.items()} for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        study.add_trials(
            [optuna.create_trial(value=loss, params=row, distributions={"p": space} if row else {})
             for row, loss in zip(known, losses.tolist(), strict=True)]
        )  # fmt: skip
        expected = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)["p"]
    (actual,) = ped_anova(columns, losses, quantile)
    assert actual == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_least_r2_excludes_noise():
    r = np.random.default_rng(8)
    for count in (20, 35):
        x = np.column_stack([r.random(count), r.integers(0, 3, count), r.integers(0, 2, count), r.random(count)])
        assert grow_forest(x, r.normal(size=count)).r2 < least_r2(count)
