"""Rules on tables made here: what every history comes to, chance that is not called a finding, and single rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, median_abs_deviation

from qualia_lab import schema
from qualia_lab.analysis.direction import direction_of
from qualia_lab.analysis.findings import RULES, find_findings
from qualia_lab.analysis.findings.evidence import Evidence, model_keys
from qualia_lab.analysis.findings.failed_apart import values_of_failed
from qualia_lab.analysis.findings.pairs import curves_of, metric_pairs, parted_candidates
from qualia_lab.analysis.findings.series import MAD_TO_SD, summarise
from qualia_lab.tables import run_tables, table_of

ALL = {rule.name: rule.thresholds for rule in RULES}
NOW = 1_760_000_000_000
HOUR = 3_600_000


def evidence_of(runs, *, datasets=(), primary="val_loss", now=NOW):
    """Evidence of runs as dicts: id, status, params, metrics as {key: values by step}, tags, parent."""
    rows = [{"start_time": NOW, **run} for run in runs]
    history = [
        {
            "run_id": run["run_id"],
            "key": key,
            "step": step,
            "timestamp": run["start_time"] + step,
            "value": float(value),
        }
        for run in rows
        for key, values in sorted(run.get("metrics", {}).items())
        for step, value in enumerate(values)
    ]
    latest = {(point["run_id"], point["key"]): point for point in history}
    tables = run_tables(
        experiments=table_of(schema.EXPERIMENTS, [{"experiment_id": "1", "name": "e"}]),
        runs=table_of(
            schema.RUNS,
            [
                {"experiment_id": "1", "run_name": run["run_id"], "status": run.get("status", "FINISHED"), **run, "parent_run_id": run.get("parent")}
                for run in rows
            ],
        ),
        params=table_of(
            schema.PARAMS,
            [{"run_id": run["run_id"], "key": key, "value": str(value)} for run in rows for key, value in run.get("params", {}).items()],
        ),
        metrics=table_of(schema.METRICS, latest.values()),
        tags=table_of(
            schema.TAGS,
            [{"run_id": run["run_id"], "key": key, "value": value} for run in rows for key, value in run.get("tags", {}).items()],
        ),
        datasets=table_of(schema.DATASETS, datasets),
    )  # fmt: skip
    keys = model_keys(tables)
    ways = {key: direction_of(key) for key in keys}
    batches = table_of(schema.METRIC_HISTORY, history).to_batches()
    labels = {run["run_id"]: run["run_id"] for run in rows}
    series = summarise(batches, tables.run_ids, keys, ways)
    evidence = Evidence(tables, labels, primary, ways, series, now)
    candidates = parted_candidates(evidence, margin=ALL["overfitting"].margin)
    return Evidence(tables, labels, primary, ways, series, now, curves_of(batches, candidates))


def found(evidence, rule):
    return find_findings(evidence, {rule: ALL[rule]})


# --- what every history comes to ----------------------------------------------------------------------------------

VALUES = st.lists(
    st.floats(-100, 100, width=16) | st.sampled_from([math.nan, math.inf, -math.inf, 1.7976931348623157e308, 1.7e308, -1.7e307]),
    min_size=1, max_size=30,
)  # fmt: skip


@pytest.mark.filterwarnings("error")
@settings(max_examples=60)
@given(histories=st.lists(VALUES, min_size=1, max_size=6), batch=st.integers(1, 40))
def test_the_facts_of_a_history_are_those_of_its_points_however_batches_are_cut(histories, batch):
    rows = [
        {"run_id": f"r{run}", "key": "loss", "step": 10 * step, "timestamp": step, "value": value}
        for run, values in enumerate(histories)
        for step, value in enumerate(values)
    ]
    table = table_of(schema.METRIC_HISTORY, rows)
    batches = [
        one for begin in range(0, len(rows), batch) for one in table.slice(begin, batch).combine_chunks().to_batches()
    ]
    run_ids = tuple(f"r{run}" for run in range(len(histories)))
    facts = summarise(batches, run_ids, ("loss",), {"loss": False})
    assert facts.run.tolist() == list(range(len(histories)))
    for place, logged in enumerate(histories):
        values = np.array([math.inf if value > 1.79e308 else value for value in logged])
        finite = np.isfinite(values)
        assert facts.points[place] == len(values)
        assert facts.nan[place] == np.isnan(values).sum()
        assert facts.infinite[place] == np.isinf(values).sum()
        assert facts.odd_step[place] == (10 * int(np.flatnonzero(~finite)[0]) if not finite.all() else -1)
        assert facts.end_step[place] == 10 * (len(values) - 1)
        good = values[finite]
        for name, expected in (("first", good[:1]), ("last", good[-1:]), ("low", good.min(keepdims=True) if len(good) else []), ("high", good.max(keepdims=True) if len(good) else [])):  # fmt: skip
            assert np.array_equal(
                getattr(facts, name)[place : place + 1], expected if len(expected) else [np.nan], equal_nan=True
            )
        if len(good):
            assert facts.low_step[place] == 10 * int(np.flatnonzero(values == good.min())[0])
            reference = float(max(abs(good[0]), abs(good.min())))
            bound = float(good[0]) + 9 * reference if reference else math.inf
            bad = [not math.isfinite(value) or value > bound for value in values]
            assert facts.bad_points[place] == next((at for at, one in enumerate(reversed(bad)) if not one), len(bad))
        with np.errstate(all="ignore"):
            jumps = np.diff(values)
            jumps = jumps[np.isfinite(jumps)]
            noise = MAD_TO_SD * median_abs_deviation(jumps) / math.sqrt(2) if len(jumps) > 2 else math.nan
            ratio = np.sum(np.diff(good) ** 2) / np.sum((good - good.mean()) ** 2) if len(good) else math.nan
        assert facts.noise[place] == pytest.approx(noise, nan_ok=True)
        if len(set(good.tolist())) > 1:
            assert facts.neumann[place] == pytest.approx(ratio, rel=1e-6, nan_ok=True)


def test_histories_of_no_points_and_of_unknown_runs_are_none():
    assert len(summarise([], (), (), {}).run) == 0
    table = table_of(
        schema.METRIC_HISTORY, [{"run_id": "other", "key": "loss", "step": 0, "timestamp": 0, "value": 1.0}]
    )
    assert len(summarise(table.to_batches(), ("a",), ("loss",), {"loss": False}).run) == 0


# --- chance -------------------------------------------------------------------------------------------------------


def noisy(kind, dice, n):
    """Noise around a constant: of no trend, whatever it looks like."""
    if kind == "rounded":
        return np.round(dice.normal(0.9, 0.004, n), 2)
    if kind == "outliers":
        return dice.standard_t(2, n)
    if kind == "rarely another":
        return np.where(dice.random(n) < 0.2, 0.5 + dice.random(n), 0.7)
    return dice.uniform(0.8, 1, n) if kind == "uniform" else dice.normal(0.9, 0.01, n)


@pytest.mark.parametrize("kind", ["normal", "uniform", "rounded", "outliers", "rarely another"])
@pytest.mark.parametrize("points", [5, 12, 30, 300])
def test_noise_around_a_constant_has_no_best_value_to_lose_and_no_plateau(kind, points):
    dice = np.random.default_rng(points)
    runs = [{"run_id": f"r{n}", "metrics": {"val_loss": noisy(kind, dice, points)}} for n in range(100)]
    evidence = evidence_of(runs)
    assert [one.run_ids for rule in ("plateau", "best_not_last") for one in found(evidence, rule)] == []


@pytest.mark.parametrize("points", [5, 8, 30, 300])
def test_what_chance_says_of_noise_happens_as_often(points):
    dice = np.random.default_rng(0)
    runs = [{"run_id": f"r{n}", "metrics": {"val_loss": dice.normal(0, 1, points)}} for n in range(1000)]
    chances = [one.chance for one in evidence_of(runs).histories("val_loss")]
    for level in (0.01, 0.1, 0.5):
        assert np.mean(np.array(chances) < level) == pytest.approx(level, abs=4 * math.sqrt(level / 1000))


def test_a_gain_that_is_followed_by_noise_is_a_plateau_and_one_that_is_lost_again_is_said():
    dice = np.random.default_rng(0)
    learned = np.r_[np.linspace(1, 0.5, 5), np.full(45, 0.3)] + dice.normal(0, 0.01, 50)
    learned[10] = 0.25
    turned = np.r_[np.linspace(1, 0.3, 10), np.linspace(0.3, 0.9, 10)] + dice.normal(0, 0.01, 20)
    metrics = (("learned", learned), ("turned", turned))
    evidence = evidence_of([{"run_id": name, "metrics": {"val_loss": values}} for name, values in metrics])
    assert [one.run_ids for one in found(evidence, "plateau")] == [("learned", "turned")]
    assert [one.run_ids for one in found(evidence, "best_not_last")] == [("turned",)]


def test_of_twenty_stores_of_noise_at_most_one_finding_says_that_something_differs():
    said = []
    for seed in range(20):
        dice = np.random.default_rng(seed)
        runs = []
        for number in range(60):
            drift = dice.normal(0, 1, (2, 30))
            runs.append({
                "run_id": f"r{number}",
                "status": "FAILED" if dice.random() < 0.15 else "FINISHED",
                "params": {
                    **({"lr": float(dice.choice([0.1, 0.01, 0.001])), "depth": int(dice.integers(2, 5))} if number < 30
                       else {"lr": float(f"{dice.uniform(0.001, 0.1):.3g}"), "depth": int(dice.integers(2, 9))}),
                    "batch_size": int(dice.choice([32, 64])), "seed": number,
                },
                "metrics": {"train_loss": drift[0], "val_loss": drift[1], "val_acc": dice.normal(0, 1, 1)},
            })  # fmt: skip
        evidence = evidence_of(runs)
        said += [
            one
            for one in find_findings(evidence, ALL)
            if one.rule in ("differences", "matters", "trade_offs", "overfitting", "diverged", "spikes")
            or (one.rule == "failed_apart" and one.severity == "problem")
        ]
    assert len(said) <= 1, [one.sentence for one in said]


# --- single rules -------------------------------------------------------------------------------------------------


def test_a_value_that_failed_runs_share_has_the_p_of_fishers_exact_test():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 6 else "FINISHED", "params": {"opt": "a" if n % 7 < 3 or n < 5 else "b", "n": n}}
        for n in range(40)
    ]  # fmt: skip
    [row] = [row for row in values_of_failed(evidence_of(runs)) if row.value == "a"]
    table = [[row.failed_with, row.failed_without], [row.finished_with, row.finished_without]]
    assert row.p == pytest.approx(fisher_exact(table, "greater").pvalue)
    assert row.corrected == pytest.approx(2 * row.p)  # values of one run could never be significant


def test_two_failed_runs_that_share_a_value_among_many_may_be_chance_and_say_so():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 2 else "FINISHED", "params": {"gpu": "old" if n < 2 else "new"}}
        for n in range(6)
    ]
    [finding] = found(evidence_of(runs), "failed_apart")
    assert finding.severity == "note"
    assert finding.sentence == (
        "Both failed runs and none of the 4 finished ones have gpu = old (p = 0.067 after correction, so it may be chance)."
    )


def test_a_spike_that_comes_back_is_one_and_a_new_level_is_none():
    dice = np.random.default_rng(0)
    calm = 1 + np.exp(-np.arange(60) / 10) + dice.normal(0, 0.01, 60)
    spiked, level = calm.copy(), calm.copy()
    spiked[40:42] += 2.0
    level[40:] += 2.0
    runs = [{"run_id": name, "metrics": {"val_loss": values}} for name, values in (("calm", calm), ("spiked", spiked), ("level", level))]  # fmt: skip
    [finding] = found(evidence_of(runs), "spikes")
    assert finding.run_ids == ("spiked",)
    assert finding.steps == (40,)
    assert "jumps" not in finding.sentence
    assert f"{spiked[39]:.4g} → {spiked[40]:.4g}" in finding.sentence


def test_a_plateau_is_of_runs_that_went_on_for_nothing():
    falling, flat = np.linspace(1, 0.1, 40), np.maximum(np.linspace(1, -1, 40), 0.3)
    evidence = evidence_of(
        [{"run_id": "falling", "metrics": {"val_loss": falling}}, {"run_id": "flat", "metrics": {"val_loss": flat}}]
    )
    [finding] = found(evidence, "plateau")
    assert finding.run_ids == ("flat",)


def test_the_best_is_not_the_last_where_much_was_lost_and_not_where_the_curve_is_noisy():
    dice = np.random.default_rng(1)
    lost = np.r_[np.linspace(1, 0.2, 20), np.linspace(0.2, 0.6, 20)]
    noisy = np.linspace(1, 0.2, 40) + dice.normal(0, 0.05, 40)
    evidence = evidence_of(
        [{"run_id": "lost", "metrics": {"val_loss": lost}}, {"run_id": "noisy", "metrics": {"val_loss": noisy}}]
    )
    [finding] = found(evidence, "best_not_last")
    assert finding.run_ids == ("lost",)
    assert "0.2 at step 19 and 0.6 at the end" in finding.sentence


def test_a_loss_of_overfitting_that_ends_below_ten_times_its_start_has_not_diverged():
    evidence = evidence_of(
        [{"run_id": "a", "metrics": {"val_loss": np.r_[np.linspace(1, 0.5, 9), np.linspace(0.5, 5, 9)]}}]
    )
    assert not found(evidence, "diverged")


def test_one_infinite_value_of_a_score_is_named_and_no_divergence():
    evidence = evidence_of([{"run_id": "a", "metrics": {"val_score": [0.1, 1.7976931348623157e308, 0.3]}}])
    [finding] = find_findings(evidence, {name: ALL[name] for name in ("diverged", "non_finite")})
    assert finding.severity == "warning"
    assert "a, infinite first at step 1, in 1 of 3 points" in finding.sentence


def test_a_run_is_unfinished_when_its_last_point_is_old_and_not_while_it_trains():
    runs = [
        {"run_id": name, "status": "RUNNING", "start_time": NOW - age * HOUR, "metrics": metrics}
        for name, age, metrics in (("dead", 50, {"val_loss": [1.0]}), ("alive", 2, {}), ("empty", 30, {}))
    ]
    [finding] = found(evidence_of(runs), "unfinished")
    assert finding.run_ids == ("dead", "empty")
    assert "empty, started 2025-10-08 02:53 UTC, no point" in finding.sentence


def test_a_parent_needs_no_metric():
    runs = [{"run_id": "parent"}, {"run_id": "child", "parent": "parent"}]
    [finding] = found(evidence_of(runs), "silent")
    assert finding.run_ids == ("child",)


def test_duplicates_are_equal_to_rounding_and_a_seed_that_decides_nothing_is_named():
    params = {"lr": 0.1, "seed": 1}
    runs = [
        {"run_id": "a", "params": params, "metrics": {"val_loss": [0.123456789], "fit_time": [3.0]}},
        {"run_id": "b", "params": params, "metrics": {"val_loss": [0.1235], "fit_time": [4.0]}},
        {"run_id": "c", "params": params, "metrics": {"val_loss": [0.2], "fit_time": [4.0]}},
        {"run_id": "d", "params": {**params, "seed": 2}, "metrics": {"val_loss": [0.2]}},
        {"run_id": "e", "params": params, "metrics": {"val_loss": [0.2]}, "tags": {"mlflow.source.git.commit": "x"}},
    ]
    twice, unsteady = found(evidence_of(runs), "duplicates")
    assert twice.run_ids == ("a", "b")
    assert unsteady.run_ids == ("a", "c")
    without_seed = [{**run, "params": {"lr": 0.1}} for run in runs[1:3]]
    assert not found(evidence_of(without_seed), "duplicates")


def test_other_data_and_other_code_name_the_fewer_runs():
    runs = [{"run_id": f"r{n}", "tags": {"mlflow.source.git.commit": "abcdef" if n else "fedcba"}} for n in range(4)]
    datasets = [
        {"run_id": f"r{n}", "name": "d", "digest": "2" if n == 3 else "1", "context": "training"} for n in range(1, 4)
    ]
    evidence = evidence_of(runs, datasets=datasets)
    [data] = found(evidence, "other_data")
    assert data.run_ids == ("r3",)
    assert "2 runs used d @ 1; 1 run used d @ 2 (r3)" in data.sentence
    [commits] = found(evidence, "other_code")
    assert commits.run_ids == ("r0",)


def test_a_trade_off_names_the_runs_that_none_beats():
    runs = [
        {"run_id": f"r{n}", "metrics": {"val_acc": [0.5 + n / 100], "latency": [float(n + (n == 3))]}}
        for n in range(20)
    ]
    [finding] = found(evidence_of(runs, primary="val_acc"), "trade_offs")
    assert finding.keys == ("val_acc", "latency")
    assert set(finding.run_ids) == {f"r{n}" for n in range(20)} - {"r3"}


def test_metrics_of_training_find_their_held_out_ones():
    keys = [
        "loss",
        "val_loss",
        "train/acc",
        "eval/acc",
        "test_f1",
        "train_f1",
        "val_f1",
        "l2.train",
        "l2.valid",
        "interval",
        "trained",
    ]
    assert metric_pairs(keys) == [
        ("l2.train", "l2.valid"), ("loss", "val_loss"), ("train/acc", "eval/acc"), ("train_f1", "val_f1"),
    ]  # fmt: skip


def test_names_that_are_no_plain_text_stay_out_of_the_code():
    key = '"]; import os #\n'
    evidence = evidence_of([{"run_id": '"evil"', "metrics": {key: [math.nan, 1.0]}}], primary=None)
    [finding] = found(evidence, "non_finite")
    assert finding.code == "runs.history_summary(runs.metrics.columns[0]).loc[[list(runs)[0]]]"


def test_the_same_evidence_gives_the_same_findings():
    runs = [
        {"run_id": f"r{n}", "params": {"lr": n % 3}, "metrics": {"val_loss": np.linspace(1, n / 10, 5)}}
        for n in range(9)
    ]
    assert find_findings(evidence_of(runs), ALL) == find_findings(evidence_of(runs), ALL)
    assert find_findings(evidence_of([]), ALL) == ()
