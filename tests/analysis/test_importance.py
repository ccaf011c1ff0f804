"""Which params matter, against other people's computations and stores whose truth is known."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qualia_lab.analysis.forest import grow_forest, interaction
from qualia_lab.analysis.importance import least_r2, param_importances
from qualia_lab.analysis.param_columns import varying_columns
from qualia_lab.analysis.ped_anova import ped_anova
from qualia_lab.schema import PARAMS
from qualia_lab.tables import table_of


def params_of(rows):
    return table_of(
        PARAMS,
        [
            {"run_id": f"r{n}", "key": key, "value": str(value)}
            for n, row in enumerate(rows)
            for key, value in row.items()
        ],
    )


def by_run(values):
    return {f"r{n}": float(value) for n, value in enumerate(values)}


def tuned(count, *, effect, seed=0):
    """Runs of a random search in which lr has an effect on the metric, and batch_size and dropout have none."""
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
    return params_of(rows), by_run(values)


def test_the_param_that_matters_is_far_above_those_that_do_not():
    found = param_importances(*tuned(60, effect=1, seed=3), "acc", greater_is_better=True)
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
    assert abs(rows["lr"].rho) < 0.4  # a hump has no rank correlation: that is what the forest is for
    assert (rows["seed"].forest, rows["seed"].note) == (None, "seed-like: left out")
    assert found == param_importances(*tuned(60, effect=1, seed=3), "acc", greater_is_better=True)


def test_on_pure_noise_importances_are_refused():
    for seed in range(6):
        found = param_importances(*tuned(40, effect=0, seed=seed), "acc", greater_is_better=True)
        assert found.refusal.startswith("these params explain little of acc: out-of-bag R² "), found
        assert "n = 40" in found.refusal
        assert found.interaction is None


def test_seeds_of_few_configurations_are_not_many_runs():
    r = np.random.default_rng(1)
    rows = [{"lr": lr, "depth": depth, "seed": seed} for lr, depth in ((1, 2), (2, 9), (3, 4)) for seed in range(20)]
    found = param_importances(params_of(rows), by_run(r.normal(size=60)), "acc", greater_is_better=True)
    assert found.refusal.startswith("too few configurations to tell: 3 in n = 60 runs")
    assert {row.forest for row in found.params} == {None}


def test_nothing_to_tell_is_said():
    assert (
        "no param varies among the 2 runs" in param_importances(params_of([{"a": 1}] * 2), by_run([1, 2]), "m").refusal
    )
    assert "no param varies among the 0 runs" in param_importances(params_of([]), {}, "m").refusal
    rows = [{"a": n} for n in range(30)]
    assert "m is the same in all 30 runs" in param_importances(params_of(rows), by_run([1] * 30), "m").refusal


def test_params_that_always_change_together_are_one_and_say_so():
    params, values = tuned(60, effect=1)
    both = [dict(zip(("key", "value"), ("warmup", row["value"]), strict=True)) | {"run_id": row["run_id"]}
            for row in params.to_pylist() if row["key"] == "lr"]  # fmt: skip
    found = param_importances(table_of(PARAMS, params.to_pylist() + both), values, "acc", greater_is_better=True)
    rows = {row.param: row for row in found.params}
    assert rows["warmup"].note == "changes only together with lr: cannot be told apart"
    assert rows["warmup"].forest == rows["lr"].forest > 0.8


def test_a_missing_param_is_a_value_and_texts_count_as_choices():
    r = np.random.default_rng(3)
    rows = [{"lr": n % 7, "opt": ["adam", "sgd"][n % 2]} | ({"clip": 1} if n % 3 else {}) for n in range(84)]
    values = [(2.0 if "clip" in row else 0) + (row["opt"] == "sgd") + r.normal(0, 0.1) for row in rows]
    found = param_importances(params_of(rows), by_run(values), "acc", greater_is_better=False)
    order = {row.param: row for row in found.params}
    assert [row.param for row in found.params] == ["clip", "opt", "lr"]
    assert order["clip"].note == "28 of 84 runs lack it"
    assert (order["opt"].rho, order["clip"].n) == (None, 56)
    assert found.interaction.share < 0.05


def test_a_text_of_its_own_in_every_run_explains_nothing():
    rows = [{"lr": n % 5, "path": f"/out/{n}"} for n in range(40)]
    columns, left_out = varying_columns(params_of(rows), [f"r{n}" for n in range(40)])
    assert [column.param for column in columns] == ["lr"]
    assert left_out == {"path": "another text in every run: left out"}


def test_the_forest_s_r2_is_that_of_scikit_learn_and_its_importances_those_of_the_definition():
    from sklearn.ensemble import RandomForestRegressor

    r = np.random.default_rng(4)
    x = r.random((50, 3))
    y = 3 * x[:, 0] + r.normal(0, 0.3, 50)
    forest = grow_forest(x, y)
    known = RandomForestRegressor(100, random_state=0, oob_score=True).fit(x, y)
    assert forest.r2 == pytest.approx(known.oob_score_, abs=1e-9)
    falls = []
    for repeat in np.random.default_rng((0, 0)).permuted(np.tile(np.arange(50), (10, 1)), axis=1):
        shuffled = x.copy()
        shuffled[:, 0] = x[repeat, 0]
        votes = [[] for _ in range(50)]
        for tree, drawn in zip(known.estimators_, known.estimators_samples_, strict=True):
            for row in set(range(50)) - set(drawn.tolist()):
                votes[row].append(tree.predict(shuffled[[row]])[0])
        said = np.array([np.mean(vote) for vote in votes])
        falls.append(forest.r2 - 1 + ((y - said) ** 2).sum() / ((y - y.mean()) ** 2).sum())
    assert forest.importances[0] == pytest.approx(np.mean(falls), abs=1e-6)
    assert forest.deviations[0] == pytest.approx(np.std(falls, ddof=1), abs=1e-6)


def test_an_interaction_is_what_no_sum_of_two_effects_says():
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
def test_ped_anova_is_optunas(values, seed, quantile, lacking):
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.importance import PedAnovaImportanceEvaluator

    losses = np.random.default_rng(seed).normal(size=len(values)).round(1)
    rows = [{"p": value} if n >= lacking else {} for n, value in enumerate(values)]
    columns, _ = varying_columns(params_of(rows), [f"r{n}" for n in range(len(values))], seeds=())
    if not columns:
        return
    (column,) = columns
    low, high = column.there.min(), column.there.max()
    if column.choices:
        space = CategoricalDistribution(list(column.choices))
    elif len(set(column.there.tolist())) <= 6:
        space = CategoricalDistribution(sorted(set(column.there.tolist())))
    elif column.whole:
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
        theirs = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)["p"]
    (ours,) = ped_anova(columns, losses, quantile)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_the_threshold_keeps_noise_of_any_shape_out():
    r = np.random.default_rng(8)
    for count in (20, 35):
        x = np.column_stack([r.random(count), r.integers(0, 3, count), r.integers(0, 2, count), r.random(count)])
        assert grow_forest(x, r.normal(size=count)).r2 < least_r2(count)
