"""Configurations with a metric over their runs, rank correlations and origins, against other implementations."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.origins import origins
from qualia_lab.analysis.relations import rank_correlations
from qualia_lab.analysis.structured_text import differing_names
from qualia_lab.inventory import take_inventory
from qualia_lab.schema import DATASETS, EXPERIMENTS, METRICS, PARAMS, RUNS, TAGS
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.study.values import canonical
from qualia_lab.tables import run_tables, table_of


def runs_with(rows):
    """Tables with one run per (params, metrics)."""
    ids = [f"run{place}" for place in range(len(rows))]
    return run_tables(
        experiments=table_of(EXPERIMENTS, [{"experiment_id": "1", "name": "e"}]),
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


def groups_of(rows, metric=None, settings=None):
    """The groups of runs, by a study of them."""
    tables = runs_with(rows)
    return group_runs(tables, describe_study(tables, take_inventory(tables), settings or StudySettings()), metric)


def test_runs_that_differ_by_seed_only_are_one_group_with_students_interval():
    values = [0.81, 0.84, 0.86, 0.9]
    rows = [({"lr": "0.1", "depth": "3", "seed": str(n)}, {"auc": v}) for n, v in enumerate(values)]
    rows += [({"lr": "0.2", "depth": "3", "seed": "0"}, {"auc": 0.7})]
    alike, alone = groups_of(rows, "auc")
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert alike.params == (("lr", "0.1"),)  # depth does not distinguish the groups
    assert alike.mean == pytest.approx((low + high) / 2)
    assert alike.half_width == pytest.approx((high - low) / 2)
    assert (alone.mean, alone.half_width, alone.run_ids) == (0.7, None, ("run4",))


def test_the_interval_of_a_group_ends_at_the_bounds_of_the_metric():
    shares, percent = (
        groups_of([({"seed": str(n)}, {"val_acc": value}) for n, value in enumerate(values)])[0]
        for values in ((0.2577, 0.2062), (77.82, 57.98))
    )
    low, high = stats.t.interval(0.95, 1, loc=0.23195, scale=stats.sem([0.2577, 0.2062]))
    assert (shares.interval.low, shares.interval.high) == (0.0, pytest.approx(high))
    assert shares.half_width == pytest.approx((high - low) / 2)  # what stands behind `±` is not cut
    assert (percent.interval.low, percent.interval.high) == (0.0, 100.0)


PARAM_VALUES = st.sampled_from(["0.1", "1e-1", ".10", "1", "1.0", "a", "", "1e400"])


@given(
    st.lists(st.dictionaries(st.sampled_from(["lr", "net", "seed", "x.seed"]), PARAM_VALUES), min_size=1, max_size=8),
    st.sampled_from([None, ("net",), ()]),
)
def test_configurations_partition_the_runs_by_all_factors(params, seeds):
    rows = [(one, {"auc": float(place)}) for place, one in enumerate(params)]
    known = {key for one in params for key in one}
    seeds = seeds if seeds is None or known.issuperset(seeds) else ()
    repeating = {"seed", "x.seed"} if seeds is None else set(seeds)
    expected = {}
    for place, one in enumerate(params):
        settings = frozenset((key, canonical(value)) for key, value in one.items() if key not in repeating)
        expected.setdefault(settings, []).append(f"run{place}")
    found = groups_of(rows, "auc", StudySettings(seeds=seeds, factors=tuple(sorted(known - repeating))))
    assert sorted(sorted(group.run_ids) for group in found) == sorted(expected.values())


def test_a_diverged_run_is_counted_but_not_averaged():
    rows = [
        ({"seed": "1"}, {"auc": 0.5}),
        ({"seed": "2"}, {"auc": math.nan}),
        ({"seed": "3"}, {"auc": 1.7976931348623157e308}),
    ]
    (group,) = groups_of(rows, "auc")
    assert (len(group.run_ids), group.values, group.mean) == (3, (0.5,), 0.5)


def correlations(rows):
    """The rank correlations of runs."""
    tables = runs_with(rows)
    return rank_correlations(tables, describe_study(tables, take_inventory(tables), StudySettings()), "auc")


def test_the_rank_correlation_matches_pandas_and_few_runs_are_refused():
    generator = random.Random(1)
    rows = [
        ({"lr": str(x := generator.uniform(1, 10)), "kind": "a"}, {"auc": x + generator.random() * 5})
        for _ in range(30)
    ]
    (found,) = correlations(rows)
    frame = pd.DataFrame([(float(params["lr"]), metrics["auc"]) for params, metrics in rows])
    assert found.rho == pytest.approx(frame.corr("spearman").iloc[0, 1])
    assert found.n == 30
    (few,) = correlations(rows[:9])
    assert (few.rho, few.note) == (None, "too few to tell: 9, and 10 are needed")


def test_differing_origins_are_those_of_code_and_data():
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
    assert sorted(differing_names(entries)) == ["dataset (training)", "git commit"]
    assert entries["b"]["dataset (training)"] == "d @ 9"
