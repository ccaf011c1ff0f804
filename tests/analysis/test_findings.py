"""Rules on synthetic tables: facts about histories, no findings by chance, and single rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, median_abs_deviation

from qualia_lab import schema
from qualia_lab.analysis.findings import RULES, find_findings
from qualia_lab.analysis.findings import evidence as collecting
from qualia_lab.analysis.findings.diverged import bad_histories, diverged_runs
from qualia_lab.analysis.findings.evidence import collect_evidence
from qualia_lab.analysis.findings.failed_apart import values_of_failed
from qualia_lab.analysis.findings.metric_pairs import metric_pairs
from qualia_lab.analysis.findings.point_facts import BLOCKS, MAD_TO_SD, MEAN_TO_SD, medians
from qualia_lab.analysis.findings.series import summarise
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from qualia_lab.tables import run_tables, table_of

ALL = {rule.name: rule.thresholds for rule in RULES}
NOW = 1_760_000_000_000
HOUR = 3_600_000
INFINITE = 1.7976931348623157e308  # as MLflow stores it


def evidence_of(runs, *, datasets=(), now=NOW, **study):
    """The evidence of runs given as dicts with run_id, status, params, metrics, tags, parent.

    Metrics are {key: values by step, or points as (step, value, time)}.
    """
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


def findings_of(evidence, rule):
    return [one for one in find_findings(evidence, {rule: ALL[rule]}) if one.rule == rule]


def runs_named(evidence, rule):
    """The runs named by all findings of a rule."""
    return {run_id for one in findings_of(evidence, rule) for run_id in one.run_ids}


def healthy_metrics(rng, steps=60):
    """The metrics of a healthy training: losses that fall and accuracy that rises, with noise."""
    fall = np.exp(-np.arange(steps) / (steps / 6))
    return {
        "train_loss": 0.2 + fall + rng.normal(0, 0.01, steps),
        "val_loss": 0.3 + fall + rng.normal(0, 0.01, steps),
        "val_acc": 0.85 - 0.6 * fall + rng.normal(0, 0.004, steps),
    }


def healthy_except(seed=0, steps=60, **changed):
    """Eight healthy runs, with metrics of `r1` and `r4` changed by functions of (values, steps, rng)."""
    rng = np.random.default_rng(seed)
    runs = []
    for number in range(8):
        metrics = healthy_metrics(rng, steps)
        if number in (1, 4):
            metrics |= {key: change(metrics[key], np.arange(steps), rng) for key, change in changed.items()}
        runs.append({"run_id": f"r{number}", "params": {"lr": 0.1 if number in (1, 4) else 0.01, "seed": number}, "metrics": metrics})  # fmt: skip
    return evidence_of(runs)


# --- facts about histories ----------------------------------------------------------------------------------------

VALUES = st.lists(
    st.floats(-100, 100, width=16) | st.sampled_from([math.nan, math.inf, -math.inf, 1.7976931348623157e308, 1.7e308, -1.7e307]),
    min_size=1, max_size=30,
)  # fmt: skip


@pytest.mark.filterwarnings("error")
@settings(max_examples=60)
@given(histories=st.lists(VALUES, min_size=1, max_size=6), batch=st.integers(1, 40))
def test_series_facts_match_the_points_for_any_batch_size(histories, batch):
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
    for index, logged in enumerate(histories):
        values = np.array([math.inf if value > 1.79e308 else value for value in logged])
        finite = np.isfinite(values)
        assert facts.points[index] == len(values)
        assert facts.nan[index] == np.isnan(values).sum()
        assert facts.infinite[index] == np.isinf(values).sum()
        assert facts.odd_step[index] == (10 * int(np.flatnonzero(~finite)[0]) if not finite.all() else -1)
        assert facts.end_step[index] == 10 * (len(values) - 1)
        good = values[finite]
        for name, expected in (("first", good[:1]), ("last", good[-1:]), ("low", good.min(keepdims=True) if len(good) else []), ("high", good.max(keepdims=True) if len(good) else [])):  # fmt: skip
            assert np.array_equal(
                getattr(facts, name)[index : index + 1], expected if len(expected) else [np.nan], equal_nan=True
            )
        levels = facts.blocks[index][: min(BLOCKS, len(good))]
        assert np.isnan(facts.blocks[index][len(levels) :]).all()
        if len(good):
            assert facts.low_step[index] == 10 * int(np.flatnonzero(values == good.min())[0])
            start = _median(good[: max(3, len(good) // 10)])
            assert facts.start[index] == start
            assert facts.tail[index] == _median(good[-max(3, len(good) // 20) :])
            assert np.array_equal(levels, good) or len(good) > BLOCKS
            assert good.min() <= levels.min() <= levels.max() <= good.max()
            reference = float(max(abs(start), abs(good.min())))
            bad = [not math.isfinite(value) or value > start + 9 * reference for value in values]
            if reference:
                assert facts.bad_points[index] == next(
                    (at for at, one in enumerate(reversed(bad)) if not one), len(bad)
                )
        with np.errstate(all="ignore"):
            noise = np.fmin(
                _scale(np.diff(values)), _scale(np.diff(values)[max(0, len(values) // 2 - 1) :])
            ) / math.sqrt(2)
        assert facts.noise[index] == pytest.approx(noise, nan_ok=True)


@np.errstate(all="ignore")
def _median(values):
    return float(np.median(values))


def _scale(jumps):
    """The standard deviation of finite differences, by their MAD or their mean size; NaN of fewer than three."""
    jumps = jumps[np.isfinite(jumps)]
    if len(jumps) < 3:
        return math.nan
    return MAD_TO_SD * median_abs_deviation(jumps) or MEAN_TO_SD * float(np.mean(np.abs(jumps)))


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=7), min_size=1, max_size=9))
def test_medians_per_history(groups):
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    got, counts = medians(np.array([value for group in groups for value in group], float), owner, len(groups))
    assert counts.tolist() == [len(group) for group in groups]
    assert got.tolist() == pytest.approx([np.median(group) if group else math.nan for group in groups], nan_ok=True)


def test_reached_step_is_the_first_within_noise_of_the_best_value():
    values = [1.0, 0.5, 0.6, 0.7, 0.3, 0.3, 0.3001, 0.2999, 0.3, 0.3]
    [one] = evidence_of([{"run_id": "a", "metrics": {"val_loss": values}}]).histories("val_loss")
    assert (one.reached_step, one.best, one.best_step) == (4, 0.2999, 7)


def test_empty_input_and_unknown_runs_yield_no_histories():
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


def noisy(kind, rng, n):
    """Noise around a constant, without a trend."""
    if kind == "rounded":
        return np.round(rng.normal(0.9, 0.004, n), 2)
    if kind == "outliers":
        return rng.standard_t(2, n)
    if kind == "rarely another":
        return np.where(rng.random(n) < 0.2, 0.5 + rng.random(n), 0.7)
    return rng.uniform(0.8, 1, n) if kind == "uniform" else rng.normal(0.9, 0.01, n)


@pytest.mark.parametrize("kind", ["normal", "uniform", "rounded", "outliers", "rarely another"])
@pytest.mark.parametrize("points", [5, 12, 30, 300])
def test_noise_around_a_constant_yields_hardly_any_finding(kind, points):
    rng = np.random.default_rng(points)
    runs = [{"run_id": f"r{n}", "metrics": {"val_loss": noisy(kind, rng, points)}} for n in range(100)]
    evidence = evidence_of(runs)
    counts = {rule: len(runs_named(evidence, rule)) for rule in OF_CURVES}
    assert {rule: count for rule, count in counts.items() if count > 2} == {}  # of a hundred


@pytest.mark.parametrize("points", [20, 60, 300])
def test_random_walks_yield_hardly_any_finding(points):
    rng = np.random.default_rng(points)
    walks = [np.cumsum(rng.normal(0, 0.1, (2, points)), axis=1) + 10 for _ in range(300)]
    evidence = evidence_of(
        [{"run_id": f"r{n}", "metrics": {"train_loss": a, "val_loss": b}} for n, (a, b) in enumerate(walks)]
    )
    counts = {rule: len(runs_named(evidence, rule)) for rule in OF_CURVES}
    assert {rule: count for rule, count in counts.items() if count > 6} == {}  # 2 % of 300
    assert sum(counts.values()) <= 9


def test_twenty_stores_of_noise_yield_at_most_one_finding_of_a_difference():
    findings = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        runs = []
        for number in range(60):
            drift = rng.normal(0, 1, (2, 30))
            runs.append({
                "run_id": f"r{number}",
                "status": "FAILED" if rng.random() < 0.15 else "FINISHED",
                "params": {
                    **({"lr": float(rng.choice([0.1, 0.01, 0.001])), "depth": int(rng.integers(2, 5))} if number < 30
                       else {"lr": float(f"{rng.uniform(0.001, 0.1):.3g}"), "depth": int(rng.integers(2, 9))}),
                    "batch_size": int(rng.choice([32, 64])), "seed": number,
                },
                "metrics": {"train_loss": drift[0], "val_loss": drift[1], "val_acc": rng.normal(0, 1, 1)},
            })  # fmt: skip
        evidence = evidence_of(runs)
        findings += [
            one
            for one in find_findings(evidence, ALL)
            if one.rule in ("matters", "monotone", "trade_offs", "overfitting", "diverged", "spikes")
            or (one.rule == "failed_apart" and one.severity == "problem")
        ]
    assert len(findings) <= 1, [one.sentence for one in findings]


# --- losses that diverge ------------------------------------------------------------------------------------------


def test_losses_and_loss_components_that_become_nan_diverge():
    evidence = healthy_except(train_loss=lambda v, t, _: np.where(t > 30, np.nan, v))
    [finding] = findings_of(evidence, "diverged")
    assert (finding.run_ids, finding.steps, finding.kind) == (("r1", "r4"), (31, 31), "problem")
    assert "2 of 8 runs diverge: r1, train_loss not finite from step 31 on" in finding.sentence
    assert "lower learning rate" in finding.next
    part = evidence_of([{"run_id": "a", "metrics": {"kl_loss": [1.0, 0.9, math.nan, math.nan]}}])
    assert diverged_runs(part) == {"a"}


def test_mlflows_substitute_for_infinity_counts_as_infinite():
    evidence = healthy_except(val_loss=lambda v, t, _: np.where(t > 40, INFINITE, v))
    assert runs_named(evidence, "diverged") == {"r1", "r4"}


@pytest.mark.parametrize("factor", [40, 1e5])
def test_a_loss_that_ends_far_above_its_start_diverges(factor):
    explodes = {key: lambda v, t, _: np.where(t >= 36, factor, v) for key in ("train_loss", "val_loss")}
    evidence = healthy_except(**explodes, val_acc=lambda v, t, _: np.where(t >= 36, 0.1, v))
    [finding] = findings_of(evidence, "diverged")
    assert (finding.run_ids, finding.steps) == (("r1", "r4"), (36, 36))


def test_a_loss_far_above_other_runs_from_its_first_point_on_diverges():
    off = {key: lambda v, t, rng: 1e8 * (1 + 0.1 * rng.normal(size=len(t))) for key in ("train_loss", "val_loss")}
    evidence = healthy_except(**off, val_acc=lambda v, t, rng: 0.1 + rng.normal(0, 0.002, len(t)))
    [finding] = findings_of(evidence, "diverged")
    assert finding.run_ids == ("r1", "r4")
    assert "from its first point on, far above where the other runs begin" in finding.sentence
    bad = bad_histories(evidence)
    assert {(key, one.run_id, is_so) for key, one, is_so in bad} == {
        (key, run_id, True) for key in ("train_loss", "val_loss") for run_id in ("r1", "r4")
    }


def test_a_final_nan_is_divergence_and_a_final_high_value_is_not():
    high = healthy_except(train_loss=lambda v, t, _: np.r_[v[:-1], 100.0])
    assert not findings_of(high, "diverged")
    assert runs_named(healthy_except(train_loss=lambda v, t, _: np.r_[v[:-1], np.nan]), "diverged") == {"r1", "r4"}


def test_a_loss_that_grows_while_the_objective_improves_does_not_diverge():
    rng = np.random.default_rng(0)
    returns = [200 * (1 - np.exp(-np.arange(80) / 20)) + rng.normal(0, 4, 80) for _ in range(6)]
    runs = [
        {"run_id": f"r{n}", "metrics": {"rollout/ep_rew_mean": one, "train/loss": 0.01 + np.abs(one**2 / 400)}}
        for n, one in enumerate(returns)
    ]
    assert not findings_of(evidence_of(runs), "diverged")


def test_overfitting_is_not_divergence_even_if_the_held_out_loss_rises_far():
    steps = np.arange(40)
    metrics = {"train_loss": np.exp(-steps / 10), "val_loss": 0.05 + np.maximum(0, steps - 5) * 0.05}
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    assert not findings_of(evidence, "diverged")
    assert runs_named(evidence, "overfitting") == {"a"}


def test_a_metric_that_is_always_nan_is_not_divergence_if_the_loss_is_finite():
    metrics = {"train_loss": np.exp(-np.arange(20) / 5), "val_loss": np.full(20, np.nan)}
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    assert not findings_of(evidence, "diverged")
    [finding] = findings_of(evidence, "non_finite")
    assert "val_loss NaN in 20 of 20 points, first at step 0" in finding.sentence


def test_an_infinite_score_is_non_finite_but_not_divergence():
    evidence = evidence_of([{"run_id": "a", "metrics": {"val_score": [0.1, INFINITE, 0.3]}}])
    assert not findings_of(evidence, "diverged")
    [finding] = findings_of(evidence, "non_finite")
    assert finding.severity == "warning"
    assert "a, val_score infinite in 1 of 3 points, first at step 1" in finding.sentence


# --- rules about curves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("training", "held_out"),
    [
        *(("train_loss_epoch", "val_loss"), ("loss", "eval_loss"), ("loss", "val_loss"), ("trainLoss", "valLoss")),
        *(("tr_loss", "va_loss"), ("train/loss", "eval/loss"), ("training-rmse", "valid_0-rmse")),
        *(("train-mlogloss", "validation_0-mlogloss"), ("l2.train", "l2.valid"), ("train_mse", "test_mse")),
    ],
)
def test_overfitting_is_found_for_any_names_of_the_two_metrics(training, held_out):
    rng = np.random.default_rng(0)
    steps = np.arange(60)
    metrics = {
        training: 0.1 + np.exp(-steps / 20) + rng.normal(0, 0.005, 60),
        held_out: 0.3 + np.exp(-steps / 8) + np.maximum(0, steps - 20) * 0.02 + rng.normal(0, 0.01, 60),
    }
    evidence = evidence_of([{"run_id": "a", "metrics": metrics}])
    [finding] = findings_of(evidence, "overfitting")
    assert set(finding.keys) == {training, held_out}
    assert 15 <= finding.steps[0] <= 25


def test_a_late_collapse_is_reported_only_as_collapse():
    evidence = healthy_except(val_acc=lambda v, t, rng: np.where(t >= 54, 0.1 + rng.normal(0, 0.006, len(t)), v))
    [finding] = findings_of(evidence, "collapse")
    assert (finding.run_ids, finding.steps) == (("r1", "r4"), (54, 54))
    assert not runs_named(evidence, "overfitting") | runs_named(evidence, "best_not_last") & {"r1", "r4"}


def test_a_collapse_over_several_points_of_a_long_curve_is_found():
    evidence = healthy_except(
        steps=200, val_acc=lambda v, t, rng: np.where(t >= 160, np.maximum(0.1, 0.85 - 0.075 * (t - 160)) + rng.normal(0, 0.006, len(t)), v)
    )  # fmt: skip
    [finding] = findings_of(evidence, "collapse")
    assert finding.run_ids == ("r1", "r4")
    assert all(155 <= step <= 172 for step in finding.steps)


def test_best_not_last_requires_a_loss_beyond_noise():
    rng = np.random.default_rng(1)
    lost = np.r_[np.linspace(1, 0.2, 20), np.linspace(0.2, 0.6, 20)]
    noisy = np.linspace(1, 0.2, 40) + rng.normal(0, 0.05, 40)
    evidence = evidence_of(
        [{"run_id": "lost", "metrics": {"val_loss": lost}}, {"run_id": "noisy", "metrics": {"val_loss": noisy}}]
    )
    [finding] = findings_of(evidence, "best_not_last")
    assert finding.run_ids == ("lost",)
    assert "0.2 at step 19, 0.6 at the end" in finding.sentence
    assert "Save the best checkpoint by val_loss" in finding.next


def test_best_not_last_ignores_training_losses():
    lost = np.r_[np.linspace(1, 0.2, 20), np.linspace(0.2, 0.6, 20)]
    assert not findings_of(evidence_of([{"run_id": "a", "metrics": {"train_loss": lost}}]), "best_not_last")


def test_a_plateau_reports_the_time_that_early_stopping_would_have_saved():
    rng = np.random.default_rng(0)
    falling = np.linspace(1, 0.1, 60) + rng.normal(0, 0.004, 60)
    flat = np.maximum(np.linspace(1, -3, 60), 0.3) + rng.normal(0, 0.004, 60)
    runs = [
        {"run_id": name, "metrics": {"val_loss": values}, "end_time": NOW + 10 * HOUR}
        for name, values in (("falling", falling), ("flat", flat))
    ]
    [finding] = findings_of(evidence_of(runs), "plateau")
    assert finding.run_ids == ("flat",)
    assert 10 <= finding.steps[0] <= 14
    hours = float(finding.next.split("saved ")[1].split(" h")[0])
    assert 5 <= hours <= 8
    assert f"({10 * hours:.0f} % of what these runs took)" in finding.next


def test_a_lucky_point_long_before_the_end_is_no_plateau_yet():
    rng = np.random.default_rng(58)
    batches = np.minimum(1, 0.5 + 0.45 * (1 - np.exp(-np.arange(400) / 60)) + rng.normal(0, 0.06, 400))
    [finding] = findings_of(evidence_of([{"run_id": "noisy", "metrics": {"train/acc": batches}}]), "plateau")
    assert 110 <= finding.steps[0] <= 260  # at step 110 the level is within 0.07 of its last one


def test_metrics_without_a_direction_leave_plateaus_of_others_as_they_are():
    rng = np.random.default_rng(0)
    loss = np.linspace(1, 0.3, 320) + rng.normal(0, 0.03, 320)
    loss[120] = loss.min() - 0.01
    for huge in (1.7e18, 1e300):  # a time in nanoseconds
        rows = [
            {"run_id": run, "key": key, "step": step, "timestamp": step, "value": float(value)}
            for run in "ab"
            for key, values in (("at", np.full(320, huge)), ("val_loss", loss))
            for step, value in enumerate(values)
        ]
        batches = table_of(schema.METRIC_HISTORY, rows).to_batches()
        facts = summarise(batches, ("a", "b"), ("at", "val_loss"), {"val_loss": False})
        assert (facts.reached_step[facts.key == 1] > 280).all()


def test_a_loss_near_zero_that_still_improves_by_a_tenth_is_not_a_plateau():
    early = 2.3 * np.exp(-np.arange(20) / 4) + 0.0201
    assert not findings_of(
        evidence_of([{"run_id": "a", "metrics": {"val_loss": np.r_[early, np.linspace(0.02005, 0.01866, 40)]}}]),
        "plateau",
    )


def test_a_run_that_stays_at_its_start_while_others_learn_never_learned():
    dead = {key: lambda v, t, rng: 2.303 + rng.normal(0, 0.003, len(t)) for key in ("train_loss", "val_loss")}
    evidence = healthy_except(**dead, val_acc=lambda v, t, rng: 0.1 + rng.normal(0, 0.003, len(t)))
    [finding] = findings_of(evidence, "never_learned")
    assert finding.run_ids == ("r1", "r4")
    assert runs_named(healthy_except(val_acc=lambda v, t, _: np.full(len(t), 0.1)), "never_learned") == {"r1", "r4"}
    alone = evidence_of([{"run_id": "a", "metrics": {"val_acc": np.full(20, 0.1)}}])
    assert not findings_of(alone, "never_learned")


@pytest.mark.parametrize("period", [2, 4, 7])
def test_a_curve_that_oscillates_without_improving_is_found(period):
    swings = healthy_except(val_acc=lambda v, t, rng: 0.5 + 0.3 * np.sin(2 * np.pi * t / period + 0.5) + rng.normal(0, 0.01, len(t)))  # fmt: skip
    [finding] = findings_of(swings, "oscillation")
    assert finding.run_ids == ("r1", "r4")


def test_warm_restarts_that_improve_are_not_oscillation():
    steps = np.arange(120)
    rng = np.random.default_rng(0)
    restarts = 0.5 + 0.5 * np.cos(np.pi * (steps % 30) / 30)
    loss = 0.3 + 1.5 * np.exp(-steps / 40) + 0.8 * np.exp(-steps / 80) * restarts + rng.normal(0, 0.02, 120)
    evidence = evidence_of([{"run_id": f"r{n}", "metrics": {"val_loss": loss}} for n in range(3)])
    assert {rule for rule in OF_CURVES if findings_of(evidence, rule)} <= {"plateau"}


def test_spikes_of_a_metric_family_are_one_finding_and_a_new_level_is_not_a_spike():
    at = {"train_loss": 2.0, "val_loss": 3.0}
    evidence = healthy_except(
        **{key: lambda v, t, _, size=size: v + np.where(t == 40, size, 0) for key, size in at.items()}
    )
    [finding] = findings_of(evidence, "spikes")
    assert set(finding.run_ids) == {"r1", "r4"}
    assert set(finding.steps) == {40}
    assert not findings_of(healthy_except(val_loss=lambda v, t, _: np.where(t >= 40, v + 2, v)), "spikes")


def test_loss_components_and_long_tailed_metrics_have_no_spikes():
    rng = np.random.default_rng(0)
    spiked = 1 + rng.normal(0, 0.01, 100)
    spiked[50] = 5
    assert not findings_of(evidence_of([{"run_id": "a", "metrics": {"kl_loss": spiked}}]), "spikes")
    often = 1 + rng.normal(0, 0.01, 100)
    often[::20] = 5
    assert not findings_of(evidence_of([{"run_id": "a", "metrics": {"val_loss": often}}]), "spikes")


# --- steps, statuses, and what all runs share ---------------------------------------------------------------------


def test_gaps_and_repeated_steps_are_found_and_other_strides_are_not():
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
    [finding] = findings_of(evidence, "step_gaps")
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
def test_an_objective_that_cannot_rank_runs_is_saturated(key, values, words):
    runs = [{"run_id": f"r{n}", "params": {"lr": n}, "metrics": {key: [value]}} for n, value in enumerate(values)]
    [finding] = findings_of(evidence_of(runs), "saturated")
    assert words in finding.sentence
    assert len(finding.run_ids) == len(values)
    assert not findings_of(evidence_of(runs[:2]), "saturated")


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
def test_accuracies_at_the_level_of_guessing_are_saturated(values, classes):
    runs = [
        {"run_id": f"r{n}", "params": {"lr": n}, "metrics": {"val_accuracy": [value]}} for n, value in enumerate(values)
    ]
    findings = findings_of(evidence_of(runs), "saturated")
    assert len(findings) == (classes is not None)
    assert not findings or f"guessing among {classes}" in findings[0].sentence


def test_an_objective_that_still_differs_is_not_saturated():
    for key, values in (("val_acc", [1.0, 1.0, 0.9]), ("val_auc", [0.5, 0.6, 0.5]), ("test_r2", [0.1, 0.0, -1.0])):
        runs = [{"run_id": f"r{n}", "params": {"lr": n}, "metrics": {key: [v]}} for n, v in enumerate(values)]
        assert not findings_of(evidence_of(runs), "saturated"), key


def test_held_out_data_better_than_training_in_every_run_may_be_a_leak():
    rng = np.random.default_rng(0)

    def runs(ahead):
        return [
            {"run_id": f"r{n}", "params": {"d": n}, "metrics": {"train_acc": [0.72 + rng.normal(0, 0.01)], "val_acc": [0.72 + ahead + rng.normal(0, 0.01)]}}
            for n in range(6)
        ]  # fmt: skip

    [finding] = findings_of(evidence_of(runs(0.2)), "leak")
    assert len(finding.run_ids) == 6
    assert "leaked" in finding.sentence
    assert "dropout or augmentation" in finding.sentence
    assert not findings_of(evidence_of(runs(0.01)), "leak")
    assert not findings_of(evidence_of([*runs(0.2), *[{**one, "run_id": "x"} for one in runs(-0.2)[:1]]]), "leak")


def test_a_running_run_is_unfinished_only_if_its_last_point_is_old():
    runs = [
        {"run_id": name, "status": "RUNNING", "start_time": NOW - age * HOUR, "metrics": metrics}
        for name, age, metrics in (("dead", 50, {"val_loss": [1.0]}), ("alive", 2, {}), ("empty", 30, {}))
    ]
    [finding] = findings_of(evidence_of(runs), "unfinished")
    assert finding.run_ids == ("dead", "empty")
    assert "empty, started 2025-10-08 02:53 UTC, no point" in finding.sentence


def test_parents_and_dissimilar_runs_need_no_metric():
    params = {"lr": "1", "depth": "2"}
    runs = [
        {"run_id": "parent"},
        {"run_id": "child", "parent": "parent", "params": params},
        {"run_id": "whole", "params": params, "metrics": {"loss": [1.0]}},
        {"run_id": "session", "params": {"library": "x", "device": "cpu"}},
    ]
    [finding] = findings_of(evidence_of(runs), "silent")
    assert finding.run_ids == ("child",)  # a run that only sets up a session is not similar


def test_p_of_a_value_shared_by_failed_runs_equals_fishers_exact_test():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 6 else "FINISHED", "params": {"opt": "a" if n % 7 < 3 or n < 5 else "b", "n": n}}
        for n in range(40)
    ]  # fmt: skip
    [row] = [one for _, one in values_of_failed(evidence_of(runs)) if one.terms[0].value == "a"]
    table = [[row.failed_with, row.failed_without], [row.finished_with, row.finished_without]]
    assert row.p == pytest.approx(fisher_exact(table, "greater").pvalue)


def test_failed_runs_are_separated_by_a_pair_of_conditions():
    rng = np.random.default_rng(1)
    runs = []
    for n in range(120):
        batch, model = int(rng.choice([64, 128, 256, 512, 1024])), str(rng.choice(["small", "base", "large"]))
        status = "FAILED" if batch >= 512 and model == "large" else "FINISHED"
        params = {"batch": batch, "model": model, "lr": round(float(rng.uniform(0.01, 0.1)), 5)}
        runs.append({"run_id": f"r{n}", "status": status, "params": params})
    [finding] = findings_of(evidence_of(runs), "failed_apart")
    assert all(words in finding.sentence for words in ("batch ≥ 512", "model = large", " and none of"))
    assert set(finding.run_ids) == {run["run_id"] for run in runs if run["status"] == "FAILED"}
    assert finding.severity == "problem"


def test_a_value_shared_by_two_failed_runs_is_reported_as_possible_chance():
    runs = [
        {"run_id": f"r{n}", "status": "FAILED" if n < 2 else "FINISHED", "params": {"opt": "old" if n < 2 else "new"}}
        for n in range(6)
    ]
    [finding] = findings_of(evidence_of(runs), "failed_apart")
    assert finding.severity == "note"
    assert finding.sentence == (
        "Both failed runs (r0 and r1) and none of the 4 finished ones have opt = old (p = 0.13 after correction, so it may be chance)."
    )


def test_names_with_parentheses_are_not_put_in_parentheses():
    names = ['("8ccd555")', "mlp (77ab)", *"cdef"]
    runs = [
        {"run_id": name, "status": "FAILED" if n < 2 else "FINISHED", "params": {"opt": "old" if n < 2 else "new"}}
        for n, name in enumerate(names)
    ]
    [finding] = findings_of(evidence_of(runs), "failed_apart")
    assert finding.sentence.startswith('Both failed runs — ("8ccd555") and mlp (77ab) — and none of the 4 finished')


def test_problems_are_reported_per_experiment():
    rng = np.random.default_rng(0)
    runs = []
    for number in range(8):
        metrics = healthy_metrics(rng)
        if number in (1, 6):
            metrics["train_loss"] = np.where(np.arange(60) > 30, np.nan, metrics["train_loss"])
        runs.append({"run_id": f"r{number}", "experiment_id": "12"[number // 4], "metrics": metrics})
    first, second = findings_of(evidence_of(runs), "diverged")
    assert (first.run_ids, first.experiment) == (("r1",), "e1")
    assert (second.run_ids, second.experiment) == (("r6",), "e2")
    assert second.sentence.startswith("In e2: 1 of 4 runs diverges")


# --- other rules --------------------------------------------------------------------------------------------------


def test_training_metrics_are_paired_with_held_out_metrics():
    keys = ["loss", "val_loss", "train/acc", "eval/acc", "l2.train", "l2.valid", "interval", "trained"]
    evidence = evidence_of([{"run_id": "a", "metrics": {key: [0.5, 0.4] for key in keys}}])
    assert metric_pairs(evidence.study, evidence.keys) == [
        ("l2.train", "l2.valid"), ("loss", "val_loss"), ("train/acc", "eval/acc"),
    ]  # fmt: skip


def test_unusual_names_are_referred_to_by_position_in_the_code():
    key = '"]; import os #\n'
    evidence = evidence_of([{"run_id": '"evil"', "metrics": {key: [math.nan, 1.0]}}])
    [finding] = findings_of(evidence, "non_finite")
    assert finding.code == "runs.history_summary(runs.metrics.columns[0]).loc[[list(runs)[0]]]"


def test_findings_are_deterministic():
    runs = [
        {"run_id": f"r{n}", "params": {"lr": n % 3}, "metrics": {"val_loss": np.linspace(1, n / 10, 5)}}
        for n in range(9)
    ]
    assert find_findings(evidence_of(runs), ALL) == find_findings(evidence_of(runs), ALL)
    assert find_findings(evidence_of([]), ALL) == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("huge", [INFINITE, 1.7e308, -1.7e308, 1e160])
@pytest.mark.parametrize("which", ["every value", "last values of some runs", "values within curves"])
def test_values_that_overflow_cause_neither_errors_nor_warnings(huge, which):
    rng = np.random.default_rng(0)
    runs = []
    for number in range(24):
        metrics = {}
        for key in ("val_loss", "train_loss", "val_acc", "epoch_time"):
            values = rng.normal(1, 0.1, 40)
            if which == "every value":
                values = huge * (0.9 + 0.1 * rng.random(40))
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


def test_curves_that_are_read_again_have_the_points_of_those_that_were_kept(monkeypatch):
    values = np.r_[np.linspace(1, 0.2, 60), np.linspace(0.2, 0.9, 60)]
    points = sorted((place // 2, value, 0) for place, value in enumerate(values))  # two of each step and time
    runs = [{"run_id": "a", "metrics": {"val_loss": points, "train_loss": points}}]
    kept = evidence_of(runs).full_curves.curves
    monkeypatch.setattr(collecting, "_MOST_HELD", 1)
    again = evidence_of(runs).full_curves.curves
    assert kept.keys() == again.keys() == {0, 1}
    for row, curve in kept.items():
        assert all(map(np.array_equal, curve, again[row]))


def test_points_without_a_step_and_with_one_time_have_no_order_and_are_no_curve():
    falling = [2 * np.exp(-place / 10) + 0.1 for place in range(40)]
    as_mlflow_sorts_them = [(0, value, 0) for value in sorted(falling)]
    evidence = evidence_of([{"run_id": name, "metrics": {"loss": as_mlflow_sorts_them}} for name in "ab"])
    assert not findings_of(evidence, "diverged")
    in_time = [(0, value, place) for place, value in enumerate(falling[::-1])]  # the same values, one after the other
    assert findings_of(evidence_of([{"run_id": "a", "metrics": {"loss": in_time}}]), "diverged")
