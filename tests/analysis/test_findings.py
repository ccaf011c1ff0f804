"""Rules on tables made here: what every history comes to, chance that is not called a finding, and single rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, median_abs_deviation

from qualia_lab import schema
from qualia_lab.analysis.findings import RULES, find_findings
from qualia_lab.analysis.findings.diverged import bad_histories, diverged_runs
from qualia_lab.analysis.findings.evidence import collect_evidence
from qualia_lab.analysis.findings.failed_apart import values_of_failed
from qualia_lab.analysis.findings.pairs import metric_pairs
from qualia_lab.analysis.findings.point_facts import BLOCKS, MAD_TO_SD, MEAN_TO_SD, medians
from qualia_lab.analysis.findings.series import summarise
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.tables import run_tables, table_of

ALL = {rule.name: rule.thresholds for rule in RULES}
NOW = 1_760_000_000_000
HOUR = 3_600_000
INFINITE = 1.7976931348623157e308  # as MLflow keeps it


def evidence_of(runs, *, datasets=(), now=NOW, **study):
    """Evidence of runs as dicts: run_id, status, params, metrics as {key: values by step or points}, tags, parent."""
    rows = [{"start_time": NOW, "experiment_id": "1", **run} for run in runs]
    history = [
        {
            "run_id": run["run_id"],
            "key": key,
            "step": step,
            "timestamp": run["start_time"] + time,
            "value": float(value),
        }
        for run in rows
        for key, values in sorted(run.get("metrics", {}).items())
        for step, value, time in (
            sorted(values, key=lambda point: (point[0], point[2]))
            if isinstance(values, list) and values and isinstance(values[0], tuple)
            else [(step, value, step) for step, value in enumerate(values)]
        )
    ]
    latest = {(point["run_id"], point["key"]): point for point in history}
    texts = {
        name: [
            {"run_id": run["run_id"], "key": key, "value": str(value)}
            for run in rows
            for key, value in run.get(name, {}).items()
        ]
        for name in ("params", "tags")
    }
    experiments = dict.fromkeys(run["experiment_id"] for run in rows)
    tables = run_tables(
        experiments=table_of(schema.EXPERIMENTS, [{"experiment_id": one, "name": f"e{one}"} for one in experiments]),
        runs=table_of(
            schema.RUNS,
            [
                {"run_name": run["run_id"], "status": "FINISHED", **run, "parent_run_id": run.get("parent")}
                for run in rows
            ],
        ),
        params=table_of(schema.PARAMS, texts["params"]),
        metrics=table_of(schema.METRICS, latest.values()),
        tags=table_of(schema.TAGS, texts["tags"]),
        datasets=table_of(schema.DATASETS, datasets),
    )

    def read_history(run_ids, keys):
        wanted = [one for one in history if one["run_id"] in set(run_ids) and one["key"] in set(keys)]
        return table_of(schema.METRIC_HISTORY, wanted).to_batches()

    described = describe_study(tables, take_inventory(tables), StudySettings(**study))
    return collect_evidence(tables, described, {run_id: run_id for run_id in tables.run_ids}, read_history, now=now)


def found(evidence, rule):
    return [one for one in find_findings(evidence, {rule: ALL[rule]}) if one.rule == rule]


def named(evidence, rule):
    """The runs that a rule names, all of its findings together."""
    return {run_id for one in found(evidence, rule) for run_id in one.run_ids}


def learned(dice, steps=60):
    """A healthy training: losses that fall, accuracy that rises, with noise."""
    fall = np.exp(-np.arange(steps) / (steps / 6))
    return {
        "train_loss": 0.2 + fall + dice.normal(0, 0.01, steps),
        "val_loss": 0.3 + fall + dice.normal(0, 0.01, steps),
        "val_acc": 0.85 - 0.6 * fall + dice.normal(0, 0.004, steps),
    }


def among_healthy(seed=0, steps=60, **changed):
    """Eight healthy runs, of which `r1` and `r4` have other metrics: `key=function of (values, steps, dice)`."""
    dice = np.random.default_rng(seed)
    runs = []
    for number in range(8):
        metrics = learned(dice, steps)
        if number in (1, 4):
            metrics |= {key: change(metrics[key], np.arange(steps), dice) for key, change in changed.items()}
        runs.append({"run_id": f"r{number}", "params": {"lr": 0.1 if number in (1, 4) else 0.01, "seed": number}, "metrics": metrics})  # fmt: skip
    return evidence_of(runs)


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
        levels = facts.blocks[place][: min(BLOCKS, len(good))]
        assert np.isnan(facts.blocks[place][len(levels) :]).all()
        if len(good):
            assert facts.low_step[place] == 10 * int(np.flatnonzero(values == good.min())[0])
            start = _median(good[: max(3, len(good) // 10)])
            assert facts.start[place] == start
            assert facts.tail[place] == _median(good[-max(3, len(good) // 20) :])
            assert np.array_equal(levels, good) or len(good) > BLOCKS
            assert good.min() <= levels.min() <= levels.max() <= good.max()
            reference = float(max(abs(start), abs(good.min())))
            bad = [not math.isfinite(value) or value > start + 9 * reference for value in values]
            if reference:
                assert facts.bad_points[place] == next(
                    (at for at, one in enumerate(reversed(bad)) if not one), len(bad)
                )
        with np.errstate(all="ignore"):
            noise = np.fmin(
                _scale(np.diff(values)), _scale(np.diff(values)[max(0, len(values) // 2 - 1) :])
            ) / math.sqrt(2)
        assert facts.noise[place] == pytest.approx(noise, nan_ok=True)


@np.errstate(all="ignore")
def _median(values):
    return float(np.median(values))


def _scale(jumps):
    """The standard deviation of finite differences, by their MAD, or their mean size; NaN of fewer than three."""
    jumps = jumps[np.isfinite(jumps)]
    if len(jumps) < 3:
        return math.nan
    return MAD_TO_SD * median_abs_deviation(jumps) or MEAN_TO_SD * float(np.mean(np.abs(jumps)))


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=7), min_size=1, max_size=9))
def test_medians_are_those_of_each_owner(groups):
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    got, counts = medians(np.array([value for group in groups for value in group], float), owner, len(groups))
    assert counts.tolist() == [len(group) for group in groups]
    assert got.tolist() == pytest.approx([np.median(group) if group else math.nan for group in groups], nan_ok=True)


def test_a_history_comes_near_its_best_value_after_so_many_points_and_waits_for_it():
    values = [1.0, 0.5, 0.6, 0.7, 0.3, 0.3, 0.3001, 0.2999, 0.3, 0.3]
    [one] = evidence_of([{"run_id": "a", "metrics": {"val_loss": values}}]).histories("val_loss")
    assert (one.reached_step, one.best, one.best_step) == (4, 0.2999, 7)


def test_histories_of_no_points_and_of_unknown_runs_are_none():
    assert len(summarise([], (), (), {}).run) == 0
    table = table_of(
        schema.METRIC_HISTORY, [{"run_id": "other", "key": "loss", "step": 0, "timestamp": 0, "value": 1.0}]
    )
    assert len(summarise(table.to_batches(), ("a",), ("loss",), {"loss": False}).run) == 0


# --- chance -------------------------------------------------------------------------------------------------------

OF_CURVES = (
    "diverged",
    "collapse",
    "overfitting",
    "best_not_last",
    "plateau",
    "never_learned",
    "oscillation",
    "spikes",
)


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
def test_of_noise_around_a_constant_nothing_is_said(kind, points):
    dice = np.random.default_rng(points)
    runs = [{"run_id": f"r{n}", "metrics": {"val_loss": noisy(kind, dice, points)}} for n in range(100)]
    evidence = evidence_of(runs)
    said = {rule: len(named(evidence, rule)) for rule in OF_CURVES}
    assert {rule: count for rule, count in said.items() if count > 2} == {}  # of a hundred


@pytest.mark.parametrize("points", [20, 60, 300])
def test_of_random_walks_hardly_any_is_called_anything(points):
    dice = np.random.default_rng(points)
    walks = [np.cumsum(dice.normal(0, 0.1, (2, points)), axis=1) + 10 for _ in range(300)]
    evidence = evidence_of(
        [{"run_id": f"r{n}", "metrics": {"train_loss": a, "val_loss": b}} for n, (a, b) in enumerate(walks)]
    )
    said = {rule: len(named(evidence, rule)) for rule in OF_CURVES}
    assert {rule: count for rule, count in said.items() if count > 6} == {}  # 2 % of 300
    assert sum(said.values()) <= 9


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
            if one.rule in ("matters", "monotone", "trade_offs", "overfitting", "diverged", "spikes")
            or (one.rule == "failed_apart" and one.severity == "problem")
        ]
    assert len(said) <= 1, [one.sentence for one in said]


# --- losses that diverge ------------------------------------------------------------------------------------------


def test_a_loss_that_stops_being_a_number_diverges_and_parts_of_it_too():
    evidence = among_healthy(train_loss=lambda v, t, _: np.where(t > 30, np.nan, v))
    [finding] = found(evidence, "diverged")
    assert (finding.run_ids, finding.steps, finding.kind) == (("r1", "r4"), (31, 31), "problem")
    assert "2 of 8 runs diverge: r1, train_loss not finite from step 31 on" in finding.sentence
    assert "lower learning rate" in finding.next
    part = evidence_of([{"run_id": "a", "metrics": {"kl_loss": [1.0, 0.9, math.nan, math.nan]}}])
    assert diverged_runs(part) == {"a"}


def test_the_stand_in_for_infinity_counts_as_infinite():
    evidence = among_healthy(val_loss=lambda v, t, _: np.where(t > 40, INFINITE, v))
    assert named(evidence, "diverged") == {"r1", "r4"}


@pytest.mark.parametrize("factor", [40, 1e5])
def test_a_loss_that_ends_far_above_where_it_began_diverges(factor):
    explodes = {key: lambda v, t, _: np.where(t >= 36, factor, v) for key in ("train_loss", "val_loss")}
    evidence = among_healthy(**explodes, val_acc=lambda v, t, _: np.where(t >= 36, 0.1, v))
    [finding] = found(evidence, "diverged")
    assert (finding.run_ids, finding.steps) == (("r1", "r4"), (36, 36))


def test_a_loss_that_is_off_at_its_first_point_is_seen_beside_the_other_runs():
    off = {key: lambda v, t, dice: 1e8 * (1 + 0.1 * dice.normal(size=len(t))) for key in ("train_loss", "val_loss")}
    evidence = among_healthy(**off, val_acc=lambda v, t, dice: 0.1 + dice.normal(0, 0.002, len(t)))
    [finding] = found(evidence, "diverged")
    assert finding.run_ids == ("r1", "r4")
    assert "from its first point on, far above where the other runs begin" in finding.sentence
    bad = bad_histories(evidence)
    assert {(key, one.run_id, is_so) for key, one, is_so in bad} == {
        (key, run_id, True) for key in ("train_loss", "val_loss") for run_id in ("r1", "r4")
    }


def test_one_high_point_at_the_very_end_is_no_divergence_and_no_number_there_is():
    high = among_healthy(train_loss=lambda v, t, _: np.r_[v[:-1], 100.0])
    assert not found(high, "diverged")
    assert named(among_healthy(train_loss=lambda v, t, _: np.r_[v[:-1], np.nan]), "diverged") == {"r1", "r4"}


def test_a_loss_that_grows_while_the_objective_improves_is_healthy():
    dice = np.random.default_rng(0)
    returns = [200 * (1 - np.exp(-np.arange(80) / 20)) + dice.normal(0, 4, 80) for _ in range(6)]
    runs = [
        {"run_id": f"r{n}", "metrics": {"rollout/ep_rew_mean": one, "train/loss": 0.01 + np.abs(one**2 / 400)}}
        for n, one in enumerate(returns)
    ]
    assert not found(evidence_of(runs), "diverged")


def test_overfitting_is_no_divergence_however_far_the_held_out_loss_rises():
    steps = np.arange(40)
    metrics = {"train_loss": np.exp(-steps / 10), "val_loss": 0.05 + np.maximum(0, steps - 5) * 0.05}
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    assert not found(evidence, "diverged")
    assert named(evidence, "overfitting") == {"a"}


def test_a_metric_that_never_was_a_number_is_no_divergence_of_a_run_whose_loss_is_one():
    metrics = {"train_loss": np.exp(-np.arange(20) / 5), "val_loss": np.full(20, np.nan)}
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    assert not found(evidence, "diverged")
    [finding] = found(evidence, "non_finite")
    assert "val_loss NaN in 20 of 20 points, first at step 0" in finding.sentence


def test_one_infinite_value_of_a_score_is_named_and_no_divergence():
    evidence = evidence_of([{"run_id": "a", "metrics": {"val_score": [0.1, INFINITE, 0.3]}}])
    assert not found(evidence, "diverged")
    [finding] = found(evidence, "non_finite")
    assert finding.severity == "warning"
    assert "a, val_score infinite in 1 of 3 points, first at step 1" in finding.sentence


# --- one fact of a curve ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "held_out"),
    [
        *(("train_loss_epoch", "val_loss"), ("loss", "eval_loss"), ("loss", "val_loss"), ("trainLoss", "valLoss")),
        *(("tr_loss", "va_loss"), ("train/loss", "eval/loss"), ("training-rmse", "valid_0-rmse")),
        *(("train-mlogloss", "validation_0-mlogloss"), ("l2.train", "l2.valid"), ("train_mse", "test_mse")),
    ],
)
def test_overfitting_is_found_whatever_the_two_metrics_are_called(training, held_out):
    dice = np.random.default_rng(0)
    steps = np.arange(60)
    metrics = {
        training: 0.1 + np.exp(-steps / 20) + dice.normal(0, 0.005, 60),
        held_out: 0.3 + np.exp(-steps / 8) + np.maximum(0, steps - 20) * 0.02 + dice.normal(0, 0.01, 60),
    }
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    [finding] = found(evidence, "overfitting")
    assert set(finding.keys) == {training, held_out}
    assert 15 <= finding.steps[0] <= 25


def test_a_late_collapse_is_that_and_nothing_else():
    evidence = among_healthy(val_acc=lambda v, t, dice: np.where(t >= 54, 0.1 + dice.normal(0, 0.006, len(t)), v))
    [finding] = found(evidence, "collapse")
    assert (finding.run_ids, finding.steps) == (("r1", "r4"), (54, 54))
    assert not named(evidence, "overfitting") | named(evidence, "best_not_last") & {"r1", "r4"}


def test_a_collapse_over_a_few_of_many_points_is_one_too():
    evidence = among_healthy(
        steps=200, val_acc=lambda v, t, dice: np.where(t >= 160, np.maximum(0.1, 0.85 - 0.075 * (t - 160)) + dice.normal(0, 0.006, len(t)), v)
    )  # fmt: skip
    [finding] = found(evidence, "collapse")
    assert finding.run_ids == ("r1", "r4")
    assert all(155 <= step <= 172 for step in finding.steps)


def test_the_best_is_not_the_last_where_much_was_lost_and_not_where_the_curve_is_noisy():
    dice = np.random.default_rng(1)
    lost = np.r_[np.linspace(1, 0.2, 20), np.linspace(0.2, 0.6, 20)]
    noisy = np.linspace(1, 0.2, 40) + dice.normal(0, 0.05, 40)
    evidence = evidence_of(
        [{"run_id": "lost", "metrics": {"val_loss": lost}}, {"run_id": "noisy", "metrics": {"val_loss": noisy}}]
    )
    [finding] = found(evidence, "best_not_last")
    assert finding.run_ids == ("lost",)
    assert "0.2 at step 19, 0.6 at the end" in finding.sentence
    assert "Save the best checkpoint by val_loss" in finding.next


def test_a_training_loss_that_was_lower_before_is_not_worth_a_word():
    lost = np.r_[np.linspace(1, 0.2, 20), np.linspace(0.2, 0.6, 20)]
    assert not found(evidence_of([{"run_id": "a", "metrics": {"train_loss": lost}}]), "best_not_last")


def test_a_plateau_is_of_runs_that_went_on_for_nothing_and_says_what_stopping_would_have_saved():
    dice = np.random.default_rng(0)
    falling = np.linspace(1, 0.1, 60) + dice.normal(0, 0.004, 60)
    flat = np.maximum(np.linspace(1, -3, 60), 0.3) + dice.normal(0, 0.004, 60)
    runs = [
        {"run_id": name, "metrics": {"val_loss": values}, "end_time": NOW + 10 * HOUR}
        for name, values in (("falling", falling), ("flat", flat))
    ]
    [finding] = found(evidence_of(runs), "plateau")
    assert finding.run_ids == ("flat",)
    assert 10 <= finding.steps[0] <= 14
    hours = float(finding.next.split("saved ")[1].split(" h")[0])
    assert 5 <= hours <= 8
    assert f"({10 * hours:.0f} % of what these runs took)" in finding.next


def test_a_loss_near_zero_that_still_gets_a_tenth_better_is_no_plateau():
    early = 2.3 * np.exp(-np.arange(20) / 4) + 0.0201
    assert not found(
        evidence_of([{"run_id": "a", "metrics": {"val_loss": np.r_[early, np.linspace(0.02005, 0.01866, 40)]}}]),
        "plateau",
    )


def test_a_run_that_never_leaves_its_start_is_named_where_others_learn():
    dead = {key: lambda v, t, dice: 2.303 + dice.normal(0, 0.003, len(t)) for key in ("train_loss", "val_loss")}
    evidence = among_healthy(**dead, val_acc=lambda v, t, dice: 0.1 + dice.normal(0, 0.003, len(t)))
    [finding] = found(evidence, "never_learned")
    assert finding.run_ids == ("r1", "r4")
    assert named(among_healthy(val_acc=lambda v, t, _: np.full(len(t), 0.1)), "never_learned") == {"r1", "r4"}
    alone = evidence_of([{"run_id": "a", "metrics": {"val_acc": np.full(20, 0.1)}}])
    assert not found(alone, "never_learned")


@pytest.mark.parametrize("period", [2, 4, 7])
def test_a_curve_that_swings_without_improving_is_named(period):
    swings = among_healthy(val_acc=lambda v, t, dice: 0.5 + 0.3 * np.sin(2 * np.pi * t / period + 0.5) + dice.normal(0, 0.01, len(t)))  # fmt: skip
    [finding] = found(swings, "oscillation")
    assert finding.run_ids == ("r1", "r4")


def test_warm_restarts_that_improve_are_no_oscillation():
    steps = np.arange(120)
    dice = np.random.default_rng(0)
    restarts = 0.5 + 0.5 * np.cos(np.pi * (steps % 30) / 30)
    loss = 0.3 + 1.5 * np.exp(-steps / 40) + 0.8 * np.exp(-steps / 80) * restarts + dice.normal(0, 0.02, 120)
    evidence = evidence_of([{"run_id": f"r{n}", "metrics": {"val_loss": loss}} for n in range(3)])
    assert {rule for rule in OF_CURVES if found(evidence, rule)} <= {"plateau"}


def test_a_spike_that_comes_back_is_one_for_the_whole_family_and_a_new_level_is_none():
    at = {"train_loss": 2.0, "val_loss": 3.0}
    evidence = among_healthy(
        **{key: lambda v, t, _, size=size: v + np.where(t == 40, size, 0) for key, size in at.items()}
    )
    [finding] = found(evidence, "spikes")
    assert set(finding.run_ids) == {"r1", "r4"}
    assert set(finding.steps) == {40}
    assert not found(among_healthy(val_loss=lambda v, t, _: np.where(t >= 40, v + 2, v)), "spikes")


def test_parts_of_losses_and_metrics_with_long_tails_have_no_spikes():
    dice = np.random.default_rng(0)
    spiked = 1 + dice.normal(0, 0.01, 100)
    spiked[50] = 5
    assert not found(evidence_of([{"run_id": "a", "metrics": {"kl_loss": spiked}}]), "spikes")
    often = 1 + dice.normal(0, 0.01, 100)
    often[::20] = 5
    assert not found(evidence_of([{"run_id": "a", "metrics": {"val_loss": often}}]), "spikes")


# --- steps, statuses, and what all runs share ---------------------------------------------------------------------


def test_missing_steps_and_steps_that_were_logged_again_are_told_and_other_strides_are_not():
    curve = np.exp(-np.arange(60) / 10)
    points = [(step, value, 1000 * step) for step, value in enumerate(curve)]
    again = points[:40] + [(step, value, 10**6 + 1000 * step) for step, value, _ in points[30:]]
    runs = {
        "whole": points,
        "gap": [point for point in points if not 20 <= point[0] < 26],
        "again": again,
        "growing": [(2**step, 0.9**step, step) for step in range(14)],
        "one step": [(0, value, time) for _, value, time in points],
        "two at a step": [(step // 2, value, time) for step, value, time in points],
        "two ranks": sorted(points + [(step, value, time + 7) for step, value, time in points]),
    }
    evidence = evidence_of([{"run_id": name, "metrics": {"val_loss": of_run}} for name, of_run in runs.items()])
    [finding] = found(evidence, "step_gaps")
    assert set(finding.run_ids) == {"gap", "again"}
    assert "gap, no point between steps 19 and 26" in finding.sentence
    assert "again, steps 30 to 39 logged twice" in finding.sentence


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("val_acc", [1.0, 1.0, 0.9995, 1.0], "at its highest"),
        ("val_acc", [97.0, 97.0, 97.0], "the same, 97"),
        ("val_auc", [0.5, 0.51, 0.49], "no better than chance"),
        ("test_r2", [-0.4, 0.0, -3.0], "no better than chance"),
    ],
)
def test_an_objective_that_tells_no_run_from_another_is_named(key, values, words):
    runs = [{"run_id": f"r{n}", "params": {"lr": n}, "metrics": {key: [value]}} for n, value in enumerate(values)]
    [finding] = found(evidence_of(runs), "saturated")
    assert words in finding.sentence
    assert len(finding.run_ids) == len(values)
    assert not found(evidence_of(runs[:2]), "saturated")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0.51, 0.49, 0.5, 0.53], "2 classes"),
        ([0.1, 0.11, 0.093, 0.1], "10 classes"),
        ([10.1, 9.8, 10.9, 9.2], "10 classes"),
        ([0.1, 0.11, 0.093, 0.3], None),
        ([0.55, 0.56, 0.55, 0.57], None),
    ],
)
def test_accuracies_that_guessing_would_give_are_named(values, classes):
    runs = [
        {"run_id": f"r{n}", "params": {"lr": n}, "metrics": {"val_accuracy": [value]}} for n, value in enumerate(values)
    ]
    said = found(evidence_of(runs), "saturated")
    assert len(said) == (classes is not None)
    assert not said or f"guessing among {classes}" in said[0].sentence


def test_an_objective_that_still_differs_is_not_saturated():
    for key, values in (("val_acc", [1.0, 1.0, 0.9]), ("val_auc", [0.5, 0.6, 0.5]), ("test_r2", [0.1, 0.0, -1.0])):
        runs = [{"run_id": f"r{n}", "params": {"lr": n}, "metrics": {key: [v]}} for n, v in enumerate(values)]
        assert not found(evidence_of(runs), "saturated"), key


def test_held_out_data_that_is_better_in_every_run_may_leak_or_training_is_regularised():
    dice = np.random.default_rng(0)

    def runs(ahead):
        return [
            {"run_id": f"r{n}", "params": {"d": n}, "metrics": {"train_acc": [0.72 + dice.normal(0, 0.01)], "val_acc": [0.72 + ahead + dice.normal(0, 0.01)]}}
            for n in range(6)
        ]  # fmt: skip

    [finding] = found(evidence_of(runs(0.2)), "leak")
    assert len(finding.run_ids) == 6
    assert "leaked" in finding.sentence
    assert "dropout or augmentation" in finding.sentence
    assert not found(evidence_of(runs(0.01)), "leak")
    assert not found(evidence_of([*runs(0.2), *[{**one, "run_id": "x"} for one in runs(-0.2)[:1]]]), "leak")


def test_a_run_is_unfinished_when_its_last_point_is_old_and_not_while_it_trains():
    runs = [
        {"run_id": name, "status": "RUNNING", "start_time": NOW - age * HOUR, "metrics": metrics}
        for name, age, metrics in (("dead", 50, {"val_loss": [1.0]}), ("alive", 2, {}), ("empty", 30, {}))
    ]
    [finding] = found(evidence_of(runs), "unfinished")
    assert finding.run_ids == ("dead", "empty")
    assert "empty, started 2025-10-08 02:53 UTC, no point" in finding.sentence


def test_a_parent_needs_no_metric():
    params = {"lr": "1", "depth": "2"}
    runs = [
        {"run_id": "parent"},
        {"run_id": "child", "parent": "parent", "params": params},
        {"run_id": "whole", "params": params, "metrics": {"loss": [1.0]}},
        {"run_id": "session", "params": {"library": "x", "device": "cpu"}},
    ]
    [finding] = found(evidence_of(runs), "silent")
    assert finding.run_ids == ("child",)  # one that only sets up a session is of another kind


def test_a_value_that_failed_runs_share_has_the_p_of_fishers_exact_test():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 6 else "FINISHED", "params": {"opt": "a" if n % 7 < 3 or n < 5 else "b", "n": n}}
        for n in range(40)
    ]  # fmt: skip
    [row] = [one for _, one in values_of_failed(evidence_of(runs)) if one.terms[0].value == "a"]
    table = [[row.failed_with, row.failed_without], [row.finished_with, row.finished_without]]
    assert row.p == pytest.approx(fisher_exact(table, "greater").pvalue)


def test_failures_are_told_by_thresholds_and_by_pairs():
    dice = np.random.default_rng(1)
    runs = []
    for n in range(120):
        batch, model = int(dice.choice([64, 128, 256, 512, 1024])), str(dice.choice(["small", "base", "large"]))
        status = "FAILED" if batch >= 512 and model == "large" else "FINISHED"
        params = {"batch": batch, "model": model, "lr": round(float(dice.uniform(0.01, 0.1)), 5)}
        runs.append({"run_id": f"r{n}", "status": status, "params": params})
    [finding] = found(evidence_of(runs), "failed_apart")
    assert all(words in finding.sentence for words in ("batch ≥ 512", "model = large", " and none of"))
    assert set(finding.run_ids) == {run["run_id"] for run in runs if run["status"] == "FAILED"}
    assert finding.severity == "problem"


def test_two_failed_runs_that_share_a_value_among_many_may_be_chance_and_say_so():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 2 else "FINISHED", "params": {"opt": "old" if n < 2 else "new"}}
        for n in range(6)
    ]
    [finding] = found(evidence_of(runs), "failed_apart")
    assert finding.severity == "note"
    assert finding.sentence == (
        "Both failed runs (r0 and r1) and none of the 4 finished ones have opt = old (p = 0.13 after correction, so it may be chance)."
    )


def test_names_with_parentheses_stand_in_none():
    names = ['("8ccd555")', "mlp (77ab)", *"cdef"]
    runs = [
        {"run_id": name, "status": "FAILED" if n < 2 else "FINISHED", "params": {"opt": "old" if n < 2 else "new"}}
        for n, name in enumerate(names)
    ]
    [finding] = found(evidence_of(runs), "failed_apart")
    assert finding.sentence.startswith('Both failed runs — ("8ccd555") and mlp (77ab) — and none of the 4 finished')


def test_problems_are_told_of_each_experiment_by_itself():
    dice = np.random.default_rng(0)
    runs = []
    for number in range(8):
        metrics = learned(dice)
        if number in (1, 6):
            metrics["train_loss"] = np.where(np.arange(60) > 30, np.nan, metrics["train_loss"])
        runs.append({"run_id": f"r{number}", "experiment_id": "12"[number // 4], "metrics": metrics})
    first, second = found(evidence_of(runs), "diverged")
    assert (first.run_ids, first.experiment) == (("r1",), "e1")
    assert (second.run_ids, second.experiment) == (("r6",), "e2")
    assert second.sentence.startswith("In e2: 1 of 4 runs diverges")


# --- other rules --------------------------------------------------------------------------------------------------


def test_metrics_of_training_find_their_held_out_ones():
    keys = ["loss", "val_loss", "train/acc", "eval/acc", "l2.train", "l2.valid", "interval", "trained"]
    evidence = evidence_of([{"run_id": "a", "metrics": {key: [0.5, 0.4] for key in keys}}])
    assert metric_pairs(evidence.study, evidence.keys) == [
        ("l2.train", "l2.valid"), ("loss", "val_loss"), ("train/acc", "eval/acc"),
    ]  # fmt: skip


def test_names_that_are_no_plain_text_stay_out_of_the_code():
    key = '"]; import os #\n'
    evidence = evidence_of([{"run_id": '"evil"', "metrics": {key: [math.nan, 1.0]}}])
    [finding] = found(evidence, "non_finite")
    assert finding.code == "runs.history_summary(runs.metrics.columns[0]).loc[[list(runs)[0]]]"


def test_the_same_evidence_gives_the_same_findings():
    runs = [
        {"run_id": f"r{n}", "params": {"lr": n % 3}, "metrics": {"val_loss": np.linspace(1, n / 10, 5)}}
        for n in range(9)
    ]
    assert find_findings(evidence_of(runs), ALL) == find_findings(evidence_of(runs), ALL)
    assert find_findings(evidence_of([]), ALL) == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("huge", [INFINITE, 1.7e308, -1.7e308, 1e160])
@pytest.mark.parametrize("which", ["every value", "last values of some runs", "values within curves"])
def test_values_whose_squares_and_sums_are_no_doubles_neither_stop_a_rule_nor_warn(huge, which):
    dice = np.random.default_rng(0)
    runs = []
    for number in range(24):
        metrics = {}
        for key in ("val_loss", "train_loss", "val_acc", "epoch_time"):
            values = dice.normal(1, 0.1, 40)
            if which == "every value":
                values = huge * (0.9 + 0.1 * dice.random(40))
            elif which == "last values of some runs" and number % 3 == 0:
                values[-1] = huge
            elif which == "values within curves" and number % 2:
                values[::7] = huge
            metrics[key] = values.tolist()
        params = {
            "lr": number % 4,
            "model": "ab"[number % 2],
            "seed": number // 8,
            "width": [number, 1e308][number % 2],
        }
        runs.append({"run_id": f"r{number}", "params": params, "metrics": metrics})
    assert find_findings(evidence_of(runs), ALL)
