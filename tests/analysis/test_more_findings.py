"""Rules of what an owner would look for next: training cut short, test data, cheaper rivals, scores not computed."""

from __future__ import annotations

import math
import random

import pytest

from tests.planted.finding import find
from tests.planted.store import PlantedStore, Run


def found(runs, rule):
    """The one finding of a rule with the names of its runs; None where it says nothing."""
    store = PlantedStore({"e": runs})
    findings = [one for one in find(store) if one.rule == rule]
    assert len(findings) <= 1
    return (findings[0], {store.names[run_id] for run_id in findings[0].run_ids}) if findings else None


def falling(dice, steps, rate):
    """A validation loss that goes on falling, or has come to its end."""
    return [(step, 0.5 + math.exp(-rate * step / steps) + dice.gauss(0, 0.02)) for step in range(steps)]


def test_runs_that_end_while_they_improve_are_said_together():
    dice = random.Random(1)
    runs = [Run(f"r{i}", {"lr": i}, {"val_loss": falling(dice, 12, 2.0)}) for i in range(8)]
    one, names = found(runs, "still_improving")
    assert "val_loss was still improving when the runs ended" in one.sentence
    assert len(names) >= 7 and one.next.startswith("Train longer")


@pytest.mark.parametrize("rate", [40.0, 25.0])
def test_runs_that_have_come_to_their_end_are_not(rate):
    dice = random.Random(2)
    for _ in range(10):
        runs = [Run(f"r{i}", {"lr": i}, {"val_loss": falling(dice, 60, rate)}) for i in range(8)]
        assert found(runs, "still_improving") is None


def test_noise_and_random_walks_do_not_improve_to_the_end():
    dice, said = random.Random(3), 0
    for _ in range(60):
        runs = []
        for i in range(6):
            level, points = 1.0, []
            for step in range(30):
                level += dice.gauss(0, 0.1)
                points.append((step, level))
            runs.append(Run(f"r{i}", {"lr": i}, {"val_loss": points}))
        said += found(runs, "still_improving") is not None
    assert said <= 2


def orders(agree, n=10):
    dice = random.Random(4)
    values = [dice.random() for _ in range(n)]
    other = values if agree else dice.sample(values, n)
    return [
        Run(f"r{i}", {"width": i, "dropout": dice.random()}, {"val/acc": a, "test/acc": b + dice.gauss(0, 1e-3)})
        for i, (a, b) in enumerate(zip(values, other, strict=True))
    ]


def test_an_order_on_validation_data_that_says_nothing_of_test_data_is_said():
    one, names = found(orders(agree=False), "carries_over")
    assert one.sentence.startswith("val/acc says little of test/acc")
    assert names == set() and one.keys == ("val/acc", "test/acc")


def test_orders_that_agree_are_nothing_to_say():
    assert found(orders(agree=True), "carries_over") is None
    assert found(orders(agree=False, n=6), "carries_over") is None


def test_a_configuration_that_is_nearly_as_good_and_much_cheaper_is_named():
    auc, seconds = [0.90, 0.897, 0.85, 0.80, 0.82, 0.70], [40.0, 4.0, 3.0, 5.0, 60.0, 1.0]
    runs = [
        Run(f"m{i}", {"model": f"m{i}"}, {"val_auc": a, "fit_time": s})
        for i, (a, s) in enumerate(zip(auc, seconds, strict=True))
    ]
    one, names = found(runs, "cheaper")
    assert names == {"m0", "m1"}
    assert "at 10 % of its fit_time (4 against 40)" in one.sentence
    runs[1].metrics["fit_time"] = 30.0
    assert found(runs, "cheaper") is None


def test_what_repeats_do_not_tell_from_the_best_may_be_cheaper():
    dice = random.Random(5)
    runs = [
        Run(f"{size}-{seed}", {"size": size, "seed": seed},
            {"val_acc": level + dice.gauss(0, 0.01), "latency_ms": cost + dice.gauss(0, 0.1)})
        for size, level, cost in (("small", 0.9, 5.0), ("large", 0.901, 50.0), ("tiny", 0.5, 1.0)) for seed in range(5)
    ]  # fmt: skip
    said = found(runs, "cheaper")
    if said is not None:  # where the small one leads, nothing costs less
        assert {name.partition("-")[0] for name in said[1]} == {"small", "large"}
        assert "is not told apart from" in said[0].sentence


def test_scores_that_are_exactly_nothing_or_exactly_chance_were_not_computed():
    values = [0.77, 0.76, 0.7, 0.69, 0.66, 0.5, 0.0]
    runs = [Run(f"m{i}", {"model": f"m{i}"}, {"AUC": value}) for i, value in enumerate(values)]
    one, names = found(runs, "not_computed")
    assert names == {"m5", "m6"}
    assert "exactly 0 in m6 and exactly 0.5 in m5, 2 runs of 7" in one.sentence
    assert found([Run(f"m{i}", {"model": i}, {"AUC": 0.5 + i / 20}) for i in range(1, 8)], "not_computed") is None
    losses = [Run(f"m{i}", {"model": i}, {"val_loss": value}) for i, value in enumerate(values)]
    assert found(losses, "not_computed") is None
