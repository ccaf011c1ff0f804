"""Groups of seeds, rank correlations and directions, against other people's computations of the same."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qualia_lab.analysis.direction import direction_of, find_primary_metric
from qualia_lab.analysis.groups import group_runs, is_seed_like
from qualia_lab.analysis.origins import origins
from qualia_lab.analysis.relations import rank_correlations
from qualia_lab.analysis.repeats import count_configurations
from qualia_lab.analysis.structured_text import that_differ
from qualia_lab.inventory import take_inventory
from qualia_lab.schema import DATASETS, EXPERIMENT_TAGS, METRICS, PARAMS, RUNS, TAGS
from qualia_lab.tables import run_tables, table_of


def runs_with(rows):
    """Tables of one run per (params, metrics)."""
    ids = [f"run{place}" for place in range(len(rows))]
    return run_tables(
        runs=table_of(RUNS, [{"run_id": i, "experiment_id": "1", "status": "FINISHED"} for i in ids]),
        params=table_of(
            PARAMS,
            [
                {"run_id": i, "key": k, "value": v}
                for i, (params, _) in zip(ids, rows, strict=True)
                for k, v in params.items()
            ],
        ),
        metrics=table_of(
            METRICS,
            [
                {"run_id": i, "key": k, "value": v}
                for i, (_, metrics) in zip(ids, rows, strict=True)
                for k, v in metrics.items()
            ],
        ),
    )


@pytest.mark.parametrize("key", ["seed", "random_state", "fold", "model.seed", "cv_fold", "random_seed", "Seed", "rng"])
def test_seed_like(key):
    assert is_seed_like(key)


@pytest.mark.parametrize("key", ["lr", "seeds_per_tree", "unfolded", "estate", "folder", "batch_size"])
def test_not_seed_like(key):
    assert not is_seed_like(key)


def test_runs_alike_but_for_the_seed_are_one_group_with_students_interval():
    values = [0.81, 0.84, 0.86, 0.9]
    rows = [({"lr": "0.1", "depth": "3", "seed": str(n)}, {"auc": v}) for n, v in enumerate(values)]
    rows += [({"lr": "0.2", "depth": "3", "seed": "0"}, {"auc": 0.7})]
    alike, alone = group_runs(runs_with(rows), "auc")
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert alike.params == (("lr", "0.1"),)  # depth does not set the groups apart
    assert alike.mean == pytest.approx((low + high) / 2)
    assert alike.half_width == pytest.approx((high - low) / 2)
    assert (alone.mean, alone.half_width, alone.run_ids) == (0.7, None, ("run4",))


PARAM_VALUES = st.sampled_from(["0.1", "1e-1", ".10", "1", "1.0", "a", "", "1e400"])


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["lr", "net", "seed", "x.seed"]), PARAM_VALUES),
            st.sampled_from([{}, {"auc": 1.0}, {"auc": math.nan}]),
        ),
        max_size=8,
    ),
    st.sampled_from([None, ("net",), ()]),
)
def test_configurations_are_counted_as_they_are_made(rows, seeds):
    tables = runs_with(rows)
    scored = [len(group.values) for group in group_runs(tables, "auc", seeds) if group.values]
    found = count_configurations(tables, "auc", seeds)
    assert (found.all, found.repeated) == (len(scored), sum(n > 1 for n in scored))


def test_a_run_that_diverged_is_counted_and_not_averaged():
    rows = [
        ({"seed": "1"}, {"auc": 0.5}),
        ({"seed": "2"}, {"auc": math.nan}),
        ({"seed": "3"}, {"auc": 1.7976931348623157e308}),
    ]
    (group,) = group_runs(runs_with(rows), "auc")
    assert (len(group.run_ids), group.values, group.mean) == (3, (0.5,), 0.5)


def test_the_rank_correlation_is_that_of_pandas_and_few_runs_are_refused():
    generator = random.Random(1)
    rows = [
        ({"lr": str(x := generator.choice([1, 2, 3, 10])), "kind": "a"}, {"auc": x + generator.random() * 5})
        for _ in range(30)
    ]
    (found,) = rank_correlations(runs_with(rows), "auc")
    frame = pd.DataFrame([(float(params["lr"]), metrics["auc"]) for params, metrics in rows])
    assert found.rho == pytest.approx(frame.corr("spearman").iloc[0, 1])
    assert found.n == 30
    (few,) = rank_correlations(runs_with(rows[:9]), "auc")
    assert (few.rho, few.note) == (None, "too few runs to tell (under 10)")


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("val_loss", False), ("accuracy", True), ("val/acc", True), ("rmse", False), ("f1_score", True), ("Loss", False),
        ("epoch_time", False), ("test.AUC", True), ("accuracy_loss", False), ("foo", None), ("perplexity", False), ("valAcc", True),
    ],
)  # fmt: skip
def test_the_direction_of_a_metric_is_told_by_its_name(name, better):
    assert direction_of(name) is better


def test_the_primary_metric_is_what_the_tags_say_and_else_the_best_by_name():
    tables = runs_with([({}, {"train_loss": 1.0, "val_auc": 0.5, "foo": 3.0, "system/cpu": 9.0})] * 2)
    inventory = take_inventory(tables)
    assert find_primary_metric(inventory, tables.experiment_tags) == ("val_auc", True)
    tags = [
        ("mlflow.experiment.primaryMetric.name", "foo"),
        ("mlflow.experiment.primaryMetric.greaterIsBetter", "False"),
    ]
    tagged = table_of(EXPERIMENT_TAGS, [{"experiment_id": "1", "key": k, "value": v} for k, v in tags])
    assert find_primary_metric(inventory, tagged) == ("foo", False)
    nothing = runs_with([({}, {})])
    assert find_primary_metric(take_inventory(nothing), nothing.experiment_tags) == (None, None)


def test_origins_that_differ_are_those_of_code_and_data():
    tables = run_tables(
        runs=table_of(RUNS, [{"run_id": "a"}, {"run_id": "b"}]),
        tags=table_of(TAGS, [
            {"run_id": "a", "key": "mlflow.source.git.commit", "value": "1"},
            {"run_id": "b", "key": "mlflow.source.git.commit", "value": "2"},
            {"run_id": "a", "key": "mlflow.user", "value": "x"},
            {"run_id": "b", "key": "mlflow.user", "value": "x"},
            {"run_id": "b", "key": "team", "value": "y"},
        ]),
        datasets=table_of(DATASETS, [{"run_id": "b", "name": "d", "digest": "9", "context": "training"}]),
    )  # fmt: skip
    entries = origins(tables)
    assert sorted(that_differ(entries)) == ["dataset (training)", "git commit"]
    assert entries["b"]["dataset (training)"] == "d @ 9"
