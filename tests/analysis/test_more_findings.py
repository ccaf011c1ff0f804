"""Rules on training cut short, test data, cheaper rivals, and scores not computed."""

from __future__ import annotations

import math
import random

import pytest

from tests.planted.run_rules import find
from tests.planted.store import PlantedStore, Run


def only_finding(runs, rule):
    """The only finding of a rule with the names of its runs; None if it has none."""
    store = PlantedStore({"e": runs})
    findings = [one for one in find(store) if one.rule == rule]
    assert len(findings) <= 1
    return (findings[0], {store.names[run_id] for run_id in findings[0].run_ids}) if findings else None


def falling(rng, steps, rate):
    """A validation loss that keeps falling, or has converged, depending on the rate."""
    return [(step, 0.5 + math.exp(-rate * step / steps) + rng.gauss(0, 0.02)) for step in range(steps)]


def test_runs_that_end_while_improving_are_one_finding():
    rng = random.Random(1)
    runs = [Run(f"r{i}", {"lr": i}, {"val_loss": falling(rng, 12, 2.0)}) for i in range(8)]
    finding, names = only_finding(runs, "still_improving")
    assert "val_loss was still improving when the runs ended" in finding.sentence
    assert len(names) >= 7 and finding.next.startswith("Train longer")


def test_the_mean_improvement_says_over_which_runs():
    """Two runs get worse, which the mean counts."""
    rng = random.Random(2)
    runs = [Run(f"r{i}", {"lr": i}, {"val_loss": falling(rng, 12, 2.0)}) for i in range(10)]
    for run in runs[:2]:
        run.metrics["val_loss"] = [(step, value + 0.1 * (step > 9)) for step, value in run.metrics["val_loss"]]
    finding, names = only_finding(runs, "still_improving")
    mean = next(one.value for one in finding.numbers if one.what == "mean improvement")
    assert (
        len(names) == 8
        and f"in 8 of 10 runs the last points are better than those before, by a mean over all 10 of {mean:.4g}."
        in finding.sentence
    )


def test_runs_without_a_metric_are_counted_even_if_their_params_are_others():
    runs = [Run(f"r{i}", {"lr": i, "depth": 2}, {"val_acc": 0.8 + i / 100}) for i in range(4)]
    runs += [Run("alike", {"lr": 9, "depth": 2}, {}), Run("session", {"host": "a", "user": "b"}, {})]
    finding, names = only_finding(runs, "silent")
    assert names == {"alike"}
    assert finding.sentence == (
        "1 of 6 runs finished without any metric of the model, though runs with similar params have some: alike; 1 more "
        "has none either, and other params."
    )


@pytest.mark.parametrize("rate", [40.0, 25.0])
def test_converged_runs_are_not_still_improving(rate):
    rng = random.Random(2)
    for _ in range(10):
        runs = [Run(f"r{i}", {"lr": i}, {"val_loss": falling(rng, 60, rate)}) for i in range(8)]
        assert only_finding(runs, "still_improving") is None


def test_random_walks_are_not_still_improving():
    rng, findings = random.Random(3), 0
    for _ in range(60):
        runs = []
        for i in range(6):
            level, points = 1.0, []
            for step in range(30):
                level += rng.gauss(0, 0.1)
                points.append((step, level))
            runs.append(Run(f"r{i}", {"lr": i}, {"val_loss": points}))
        findings += only_finding(runs, "still_improving") is not None
    assert findings <= 2


def rankings(agree, n=10):
    rng = random.Random(4)
    values = [rng.random() for _ in range(n)]
    other = values if agree else rng.sample(values, n)
    return [
        Run(f"r{i}", {"width": i, "dropout": rng.random()}, {"val/acc": a, "test/acc": b + rng.gauss(0, 1e-3)})
        for i, (a, b) in enumerate(zip(values, other, strict=True))
    ]


def test_a_validation_ranking_unrelated_to_the_test_ranking_is_found():
    finding, names = only_finding(rankings(agree=False), "carries_over")
    assert finding.sentence.startswith("val/acc says little about test/acc")
    assert names == set() and finding.keys == ("val/acc", "test/acc")


def test_agreeing_or_short_rankings_yield_no_finding():
    assert only_finding(rankings(agree=True), "carries_over") is None
    assert only_finding(rankings(agree=False, n=6), "carries_over") is None


def test_a_configuration_that_is_nearly_as_good_and_much_cheaper_is_found():
    auc, seconds = [0.90, 0.897, 0.85, 0.80, 0.82, 0.70], [40.0, 4.0, 3.0, 5.0, 60.0, 1.0]
    runs = [
        Run(f"m{i}", {"model": f"m{i}"}, {"val_auc": a, "fit_time": s})
        for i, (a, s) in enumerate(zip(auc, seconds, strict=True))
    ]
    finding, names = only_finding(runs, "cheaper")
    assert names == {"m0", "m1"}
    assert "at 10 % of its fit_time (4 against 40)" in finding.sentence
    runs[1].metrics["fit_time"] = 30.0
    assert only_finding(runs, "cheaper") is None


def test_a_configuration_not_distinguishable_from_the_best_may_be_cheaper():
    rng = random.Random(5)
    runs = [
        Run(f"{size}-{seed}", {"size": size, "seed": seed},
            {"val_acc": level + rng.gauss(0, 0.01), "latency_ms": cost + rng.gauss(0, 0.1)})
        for size, level, cost in (("small", 0.9, 5.0), ("large", 0.901, 50.0), ("tiny", 0.5, 1.0)) for seed in range(5)
    ]  # fmt: skip
    result = only_finding(runs, "cheaper")
    if result is not None:  # if the small one leads, no rival costs less
        assert {name.partition("-")[0] for name in result[1]} == {"small", "large"}
        assert "is not distinguishable from" in result[0].sentence


def test_scores_of_exactly_zero_or_chance_level_were_not_computed():
    values = [0.77, 0.76, 0.7, 0.69, 0.66, 0.5, 0.0]
    runs = [Run(f"m{i}", {"model": f"m{i}"}, {"AUC": value}) for i, value in enumerate(values)]
    finding, names = only_finding(runs, "not_computed")
    assert names == {"m5", "m6"}
    assert "exactly 0 in m6 and exactly 0.5 in m5, 2 runs of 7" in finding.sentence
    assert (
        only_finding([Run(f"m{i}", {"model": i}, {"AUC": 0.5 + i / 20}) for i in range(1, 8)], "not_computed") is None
    )
    losses = [Run(f"m{i}", {"model": i}, {"val_loss": value}) for i, value in enumerate(values)]
    assert only_finding(losses, "not_computed") is None
