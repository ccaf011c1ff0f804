"""The same tests in several experiments: a stricter limit for results, and more repeats needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from qualia_lab.analysis.best_of import ALPHA
from qualia_lab.analysis.effects import CandidateCrossings, Crossing, Effect, clear_crossings, clear_effects
from qualia_lab.analysis.findings import (
    best_configuration,
    edge_of_range,
    failed_apart,
    monotone_relation,
    trade_offs,
)
from qualia_lab.analysis.over_tasks import limit_over_tasks
from qualia_lab.analysis.selected_power import needed_among
from qualia_lab.study.one_factor import OneFactor
from tests.planted.store import Run

from .study_samples import evidence_of
from .test_answer import repeated

FACTOR = OneFactor("lr", (), ("0.1", "0.01"), (), np.zeros((2, 0), np.intp), {})


def effect(p, better="0.1", worse="0.01"):
    """An effect that is better in both of two contexts."""
    return Effect(FACTOR, better, worse, ((None, None), (None, None)), 1.0, 0.5, 1.5, 2, p)


def test_the_limit_is_alpha_for_one_task_and_a_share_for_several():
    assert limit_over_tasks([], 0.05) == limit_over_tasks([0.04], 0.05) == limit_over_tasks([1.0], 0.05) == 0.05
    assert limit_over_tasks([0.02, 1.0, 1.0, 1.0, 1.0], 0.05) == pytest.approx(0.01)
    assert limit_over_tasks([0.009, 0.019, 0.031, 1.0, 1.0], 0.05) == pytest.approx(0.02)


def test_the_limit_for_another_task_is_the_next_share():
    assert limit_over_tasks([1.0, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.01)
    assert limit_over_tasks([0.005, 1.0, 1.0], 0.03, another=True) == pytest.approx(0.02)
    assert limit_over_tasks([0.001] * 3, 0.03, another=True) == pytest.approx(0.03)


@pytest.mark.parametrize("tasks", [2, 4, 8, 40])
def test_the_error_rate_over_tasks_is_alpha_where_nothing_differs(tasks):
    ps = np.random.default_rng(tasks).uniform(size=(4000, tasks))
    wrong = np.mean([min(row) <= limit_over_tasks(row.tolist(), 0.05) for row in ps])
    assert 0.04 <= wrong <= 0.06


def test_an_effect_clear_in_one_experiment_is_not_clear_among_eight():
    assert len(clear_effects({"0": [effect(0.004)]}, 0.01)["0"]) == 1
    level = {str(task): [effect(0.5)] for task in range(1, 8)}
    assert not any(clear_effects({"0": [effect(0.004)], **level}, 0.01).values())
    assert len(clear_effects({"0": [effect(0.001)], **level}, 0.01)["0"]) == 1
    nothing_to_compare = {str(task): [] for task in range(1, 8)}
    assert len(clear_effects({"0": [effect(0.004)], **nothing_to_compare}, 0.01)["0"]) == 1


def test_a_crossing_clear_in_one_experiment_is_not_clear_among_eight():
    crossing = Crossing("depth", ("1", effect(0.002)), ("2", effect(0.002, "0.01", "0.1")))
    one = {"0": CandidateCrossings(2, np.array([crossing.p]), [crossing].__getitem__)}
    assert clear_crossings(one, 0.01) == {"0": [crossing]}
    level = {str(n): CandidateCrossings(2, np.zeros(0), [].__getitem__) for n in range(1, 8)}
    assert not any(clear_crossings({**one, **level}, 0.01).values())


def test_needed_repeats_depend_on_the_number_of_experiments():
    stores = {name: repeated({f"{name}a": 0.9, f"{name}b": 0.9}, 4, seed=place) for place, name in enumerate("uvwxy")}
    [single] = evidence_of(stores["u"]).answers.values()
    answers = evidence_of(stores).answers
    one_of_five = next(iter(answers.values()))
    assert not any(one.apart for one in answers.values())
    assert (
        single.needed_repeats
        == needed_among(1.0, 2)
        < one_of_five.needed_repeats
        == needed_among(1.0, 2, ALPHA / 2 / 5)
    )
    assert single.detectable_difference < one_of_five.detectable_difference


def edge_runs(name, gain, seed):
    """Four values of a param in three seeds each; the objective rises with the param by this gain."""
    dice = np.random.default_rng(seed)
    return [
        Run(f"{name}{width}-{s}", {"width": width, "seed": s}, {"acc": gain * width + dice.normal(0, 0.01)})
        for width in (10, 20, 30, 40)
        for s in range(3)
    ]


def two_levels(name):
    """Two values of a param: no range with an end."""
    return edge_runs(name, 0.0, 1)[:6]


def opposed_runs(name, gain, seed, count=12):
    """Configurations whose latency rises with the accuracy by this gain."""
    dice = np.random.default_rng(seed)
    accuracies = dice.normal(0.5, 0.01, count).tolist()
    return [
        Run(f"{name}{n}", {"lr": n}, {"val_acc": acc, "latency_ms": 100 * gain * acc + dice.normal(9, 1)})
        for n, acc in enumerate(accuracies)
    ]


def without_latency(name):
    """Configurations without the second metric."""
    return [replace(run, metrics={"val_acc": run.metrics["val_acc"]}) for run in opposed_runs(name, 0, 1)]


def failing_runs(name, share, seed):
    """Runs of which a share fails with one optimizer, and few with the other."""
    dice = np.random.default_rng(seed)
    return [
        Run(
            f"{name}{n}",
            {"optimizer": "ab"[n % 2], "place": n % 3},
            {"acc": float(dice.normal())},
            status="FAILED" if dice.random() < (share if n % 2 else 0.1) else "FINISHED",
        )
        for n in range(40)
    ]


def failures_of_equal_runs(name):
    """Failed and finished runs of one configuration."""
    return [replace(run, params={"optimizer": "a", "place": 1}) for run in failing_runs(name, 0.5, 1)]


def rising_runs(name, gain, seed):
    """Single runs whose objective rises with a param by this gain."""
    dice = np.random.default_rng(seed)
    return [Run(f"{name}{n}", {"width": n}, {"acc": gain * n + dice.normal(0, 0.1)}) for n in range(11)]


def many_texts(name):
    """More configurations of text params than the rank tests cover."""
    return [
        Run(f"{name}{model}{loss}", {"model": model, "loss": loss}, {"acc": (place * 7) % 25})
        for place, (model, loss) in enumerate(product("abcde", repeat=2))
    ]


def models(name, gain, seed):
    """Two models in three seeds each, of which one is better by this gain."""
    dice = np.random.default_rng(seed)
    return [
        Run(f"{name}{model}-{s}", {"model": model, "seed": s}, {"acc": gain * (model == "a") + dice.normal(0.5, 0.01)})
        for model in "ab"
        for s in range(3)
    ]


def equal_repeats(name):
    """Two models whose repeats gave the same values."""
    return [replace(run, metrics={"acc": 0.1 * len(name)}) for run in models(name, 0, 1)]


@pytest.mark.parametrize(
    ("rule", "tested", "level", "untestable"),
    [
        (edge_of_range, edge_runs("t", 0.002, 1), edge_runs, two_levels),
        (trade_offs, opposed_runs("t", 100, 0), opposed_runs, without_latency),
        (failed_apart, failing_runs("t", 0.6, 0), failing_runs, failures_of_equal_runs),
        (monotone_relation, rising_runs("t", 0.04, 0), rising_runs, many_texts),
        (best_configuration, models("t", 0.03, 1), models, equal_repeats),
    ],
    ids=["edge", "trade_offs", "failed_apart", "monotone", "best_configuration"],
)
def test_experiments_that_cannot_be_tested_do_not_make_the_limit_stricter(rule, tested, level, untestable):
    def claimed(experiments):
        """Whether the rule claims something of the experiment `tested`."""
        found = rule.RULE.find(evidence_of(experiments), rule.RULE.thresholds)
        return any(
            one.experiment == "tested" and not ("cannot be told" in one.sentence or "may be chance" in one.sentence)
            for one in found
        )

    assert claimed({"tested": tested, "untestable": untestable("u")})
    assert claimed({"tested": tested, **{f"untestable {n}": untestable(f"u{n}-") for n in range(15)}})
    assert not claimed({"tested": tested, **{f"level {n}": level(f"l{n}-", 0, 100 + n) for n in range(15)}})
