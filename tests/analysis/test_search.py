"""Pareto sets, best so far, distributions, timelines and pairs of params, against brute force and scipy."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qualia_lab.analysis.param_pairs import mean_in_cells
from qualia_lab.analysis.progress import best_so_far, distribution, grouped
from qualia_lab.analysis.timeline import lanes, timeline
from qualia_lab.analysis.trade_offs import configuration_means, pareto_set, trade_offs
from qualia_lab.inventory import take_inventory
from qualia_lab.schema import PARAMS, RUNS
from qualia_lab.study import describe_study
from qualia_lab.tables import table_of
from tests.planted.store import PlantedStore, Run

# Few distinct numbers, so that ties and equal runs are common.
number = st.one_of(st.integers(0, 4).map(float), st.sampled_from([math.nan, math.inf, -math.inf]))


def params_of(rows):
    return table_of(
        PARAMS,
        [{"run_id": run_id, "key": key, "value": value} for run_id, row in rows.items() for key, value in row.items()],
    )


@given(
    st.lists(st.lists(number, min_size=3, max_size=3), max_size=12),
    st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_the_pareto_set_matches_its_definition(rows, better):
    keys = [f"m{n}" for n in range(len(better))]
    values = {key: {f"r{i}": row[n] for i, row in enumerate(rows)} for n, key in enumerate(keys)}
    turned = {
        f"r{i}": [value if up else -value for value, up in zip(row, better, strict=False)]
        for i, row in enumerate(rows)
        if all(math.isfinite(value) for value, _ in zip(row, better, strict=False))
    }
    expected = [
        run_id
        for run_id, own in turned.items()
        if not any(
            all(a >= b for a, b in zip(theirs, own, strict=True)) and theirs != own for theirs in turned.values()
        )
    ]
    assert pareto_set(values, dict(zip(keys, better, strict=True))) == expected


def test_a_run_without_a_metric_is_not_in_the_pareto_set():
    values = {"auc": {"a": 0.9, "b": 0.8}, "ms": {"b": 5.0}}
    assert pareto_set(values, {"auc": True, "ms": False}) == ["b"]
    assert pareto_set({}, {}) == []


def test_configuration_means_leave_out_copies_and_runs_that_do_not_count():
    runs = [
        Run(f"{lr}-{seed}", {"lr": lr, "seed": seed}, {"acc": 0.5 + lr + seed / 7}) for lr in (1, 2) for seed in (0, 1)
    ]
    runs += [Run("again", {"lr": 1, "seed": 0}, {"acc": 1.5}), Run("bad", {"lr": 1, "seed": 2}, {"acc": 9.0})]
    runs += [Run("failed", {"lr": 3, "seed": 2}, {"acc": 9.0}, status="FAILED")]
    store = PlantedStore({"e": runs})
    tables = store.tables()
    study = describe_study(tables, take_inventory(tables))
    means = configuration_means(tables, study, ["acc"], study.tasks[0], {store.ids["bad"]})
    assert means == {
        "acc": {store.ids["1-0"]: pytest.approx(1.5 + 1 / 14), store.ids["2-0"]: pytest.approx(2.5 + 1 / 14)}
    }


def test_the_pareto_set_of_a_hundred_thousand_runs_takes_seconds():
    r = np.random.default_rng(1)
    values = {key: {f"r{n}": float(value) for n, value in enumerate(r.random(100_000))} for key in ("auc", "ms")}
    started = time.process_time()
    front = pareto_set(values, {"auc": True, "ms": False})
    assert time.process_time() - started < 10
    assert sorted(front, key=lambda run_id: values["auc"][run_id]) == sorted(
        front, key=lambda run_id: values["ms"][run_id]
    )


def test_conflicting_metrics_are_a_trade_off_and_agreeing_ones_are_not():
    r = np.random.default_rng(2)
    quality = r.normal(size=30)
    values = {
        "auc": {f"r{n}": float(value) for n, value in enumerate(quality)},
        "loss": {f"r{n}": float(-value) for n, value in enumerate(quality)},
        "latency": {f"r{n}": float(value + r.normal(0, 0.4)) for n, value in enumerate(quality)},
    }
    pairs = {
        (pair.first, pair.second): pair for pair in trade_offs(values, {"auc": True, "loss": False, "latency": False})
    }
    apart, agree = pairs["auc", "latency"], pairs["auc", "loss"]
    turned = stats.spearmanr(quality, [-values["latency"][f"r{n}"] for n in range(30)]).statistic
    assert (apart.n, apart.rho, apart.opposed) == (30, pytest.approx(turned), True)
    assert (agree.rho, agree.opposed, agree.best_first == agree.best_second) == (pytest.approx(1), False, True)
    few = trade_offs({key: dict(list(of.items())[:5]) for key, of in values.items()}, {"auc": True, "latency": False})[
        0
    ]
    assert (few.rho, few.opposed, few.note) == (None, False, "too few to tell: 5, and 10 are needed")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), max_size=15), st.booleans())
def test_best_so_far_matches_its_definition(runs, better):
    table = table_of(RUNS, [{"run_id": f"r{n}", "start_time": start} for n, (start, _) in enumerate(runs)])
    found = best_so_far(table, {f"r{n}": float(value) for n, (_, value) in enumerate(runs)}, greater_is_better=better)
    in_order = sorted(range(len(runs)), key=lambda n: runs[n][0])
    assert [one.run_id for one in found] == [f"r{n}" for n in in_order]
    assert [one.best for one in found] == [
        (max if better else min)(float(runs[n][1]) for n in in_order[: place + 1]) for place in range(len(runs))
    ]
    assert [one.improved for one in found] == [
        place == 0 or found[place].best != found[place - 1].best for place in range(len(found))
    ]


def test_best_so_far_skips_runs_without_a_start_or_a_finite_value():
    table = table_of(RUNS, [{"run_id": "a", "start_time": 5}, {"run_id": "b"}, {"run_id": "c", "start_time": 1}])
    assert [one.run_id for one in best_so_far(table, {"a": 1.0, "b": 2.0}, greater_is_better=True)] == ["a"]


@given(st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=30))
def test_the_distribution_matches_scipy(values):
    x, share = distribution(values)
    known = stats.ecdf(values).cdf
    assert x.tolist() == known.quantiles.tolist()
    assert share == pytest.approx(known.probabilities)


def test_groups_of_a_param_merge_spellings_of_one_number():
    params = params_of({"a": {"lr": "0.1"}, "b": {"lr": "1e-1"}, "c": {"lr": "0.02"}, "d": {"depth": "3"}})
    found = grouped(params, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, "lr")
    assert list(found.items()) == [("0.02", [3.0]), ("0.1", [1.0, 2.0])]


def test_children_are_under_their_parents_and_cycles_are_resolved():
    rows = [
        {"run_id": "late", "start_time": 50, "end_time": 60, "status": "FINISHED"},
        {"run_id": "child", "start_time": 30, "status": "FAILED", "parent_run_id": "parent"},
        {"run_id": "parent", "start_time": 10, "status": "RUNNING"},
        {"run_id": "orphan", "start_time": 20, "end_time": 21, "parent_run_id": "elsewhere"},
        {"run_id": "x", "start_time": 1, "parent_run_id": "y"},
        {"run_id": "y", "start_time": 2, "parent_run_id": "x"},
        {"run_id": "never", "status": "SCHEDULED"},
    ]
    spans = timeline(table_of(RUNS, rows))
    assert [(span.run_id, span.depth) for span in spans] == [
        *(("parent", 0), ("child", 1), ("orphan", 0), ("late", 0), ("x", 0), ("y", 1)),
    ]
    assert [span.end for span in spans] == [None, None, 21, 60, None, None]
    assert spans[2].status == "UNKNOWN"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=20))
def test_lanes_do_not_overlap_and_are_minimal(runs):
    rows = [{"run_id": f"r{n}", "start_time": start, "end_time": start + took} for n, (start, took) in enumerate(runs)]
    spans = timeline(table_of(RUNS, rows))
    placed = lanes(spans, 100)
    for one in range(len(spans)):
        for other in range(one):
            together = spans[one].start < spans[other].end and spans[other].start < spans[one].end
            assert not (together and placed[one] == placed[other])
    most = max(sum(span.start <= moment < span.end for span in spans) for moment in range(30))
    assert len(set(placed)) == most


def test_cells_hold_means_and_empty_cells_are_nan():
    rows = {n: {"lr": f"{10 ** (-5 + n % 10 / 2):.3g}", "opt": "adam" if n % 2 else "sgd"} for n in range(40)}
    rows[7].pop("opt")
    store = PlantedStore({"e": [Run(f"r{n}", row, {"acc": float(n)}) for n, row in rows.items()]})
    tables = store.tables()
    study = describe_study(tables, take_inventory(tables))
    values = {store.ids[f"r{n}"]: float(n) for n in rows}
    cells = mean_in_cells(tables, study, values, ("lr", "opt"))
    assert cells.names[1] == ("adam", "sgd", "missing")
    assert cells.names[0][0] == "1e-05 to 5.6e-05"
    assert (cells.counts.sum(), cells.left_out, cells.means.shape) == (40, 0, (3, 6))
    low = [n for n in range(40) if n % 10 <= 1 and n % 2 == 0]
    assert cells.means[1, 0] == np.mean(low)
    assert cells.counts[1, 0] == len(low)
    assert np.isnan(cells.means[cells.counts == 0]).all()
    assert mean_in_cells(tables, study, values, ("lr", "nothing")) is None
