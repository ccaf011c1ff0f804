"""Computations that were logged more than once, and possible copies."""

import random
import time

import pytest

from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study
from tests.planted.store import PlantedStore, Run

NAN = float("nan")
LONG = 0.8765432198


def study_of(*runs, settings=None, **experiments):
    store = PlantedStore({"e": list(runs), **experiments})
    tables = store.tables()
    return describe_study(tables, take_inventory(tables), settings), store.names


def copies(*runs, **experiments):
    study, names = study_of(*runs, **experiments)
    return (
        {names[run]: names[first] for run, first in study.copies.items()},
        [sorted(names[run] for run in one) for one in study.possible_copies],
    )


def test_equal_params_with_a_seed_and_equal_results_are_one_computation():
    runs = [Run(name, {"lr": 1, "seed": 7}, {"val_acc": 1.0}) for name in "abc"]
    study, names = study_of(*runs)
    assert {names[run]: names[first] for run, first in study.copies.items()} == {"b": "a", "c": "a"}
    assert {names[run]: why for run, why in study.left_out.items()} == {"b": "copy of a", "c": "copy of a"}


def test_without_a_seed_coarse_results_are_possible_copies_and_precise_ones_are_copies():
    assert copies(Run("a", {"lr": 1}, {"val_acc": 0.88}), Run("b", {"lr": 1}, {"val_acc": 0.88})) == ({}, [["a", "b"]])
    assert copies(Run("a", {"lr": 1}, {"val_acc": LONG}), Run("b", {"lr": 1}, {"val_acc": LONG})) == ({"b": "a"}, [])


def test_a_seed_of_none_does_not_count_as_a_seed():
    runs = [Run(name, {"random_state": None}, {"val_acc": 0.88}) for name in "ab"]
    assert copies(*runs) == ({}, [["a", "b"]])


def test_a_history_of_several_steps_identifies_a_computation_like_many_digits():
    runs = [Run(name, {"lr": 1}, {"val_acc": [(0, 0.5), (1, 0.7), (2, 0.9)]}) for name in "ab"]
    assert copies(*runs) == ({"b": "a"}, [])


def test_a_difference_in_the_last_digit_counts():
    runs = [Run("a", {"seed": 1}, {"rmse": 6.307184078062235}), Run("b", {"seed": 1}, {"rmse": 6.307184078062236})]
    assert copies(*runs) == ({}, [])


def test_a_metric_logged_by_only_one_run_does_not_separate_copies():
    runs = [
        Run("a", {"seed": 1}, {"rmse": LONG, "mae": 1.0}),
        Run("b", {"seed": 1}, {"rmse": LONG}),
        Run("c", {"seed": 1}, {"rmse": LONG, "mae": 2.0}),
        Run("d", {"seed": 1}, {"mae": 2.0}),
        Run("e", {"seed": 1}, {"accuracy": 0.5}),
    ]
    assert copies(*runs) == ({"b": "a", "d": "c"}, [])


def test_costs_and_system_metrics_are_not_compared():
    runs = [
        Run(name, {"seed": 1}, {"val_acc": LONG, "train_time_s": place, "system/cpu": place, "epoch": place})
        for place, name in enumerate("ab")
    ]
    assert copies(*runs) == ({"b": "a"}, [])
    assert copies(*(Run(name, {"seed": 1}, {"train_time_s": 3.25}) for name in "ab")) == ({}, [])


def test_training_metrics_are_compared():
    runs = [Run(name, {"seed": 1}, {"val_acc": 1.0, "train_acc": acc}) for name, acc in (("a", 0.91), ("b", 0.92))]
    assert copies(*runs) == ({}, [])


def test_nan_equals_nan():
    assert copies(*(Run(name, {"seed": 1}, {"val_loss": NAN}) for name in "ab")) == ({"b": "a"}, [])


@pytest.mark.parametrize(
    "second",
    [
        {"params": {"lr": 2, "seed": 1}},
        {"params": {"lr": 1, "seed": 2}},
        {"params": {"lr": 1, "seed": 1, "more": 1}},
        {"tags": {"mlflow.source.git.commit": "b"}},
        {"tags": {"mlflow.source.name": "other.py"}},
        {"tags": {"variant": "x"}},
        {"data": ("customers", "bbbb")},
        {"status": "FAILED"},
        {"status": "RUNNING"},
    ],
)
def test_runs_with_different_params_code_or_data_are_not_copies(second):
    first = {"params": {"lr": 1, "seed": 1}, "data": ("customers", "aaaa")}
    runs = [
        Run(name, **{"metrics": {"val_acc": LONG}, "tags": {"mlflow.source.git.commit": "a"}, **of})
        for name, of in (("a", first), ("b", {**first, **second}), ("c", {**first, **second}))
    ]
    found, _ = copies(*runs)
    assert "a" not in found
    assert found.get("b") is None


def test_labels_do_not_separate_copies():
    runs = [Run(name, {"seed": 1, "output_dir": f"/out/{name}"}, {"val_acc": LONG}, {"note": name}) for name in "ab"]
    assert copies(*runs) == ({"b": "a"}, [])


def test_equal_runs_of_two_experiments_are_copies_only_if_pooled():
    def runs(*names):
        return [Run(name, {"seed": 1}, {"val_acc": LONG}) for name in names]

    assert copies(*runs("a"), other=runs("b")) == ({}, [])
    assert copies(*runs("a"), other=runs("b"), settings=StudySettings(pool=True)) == ({"b": "a"}, [])


def test_the_run_that_started_first_is_the_original_even_if_listed_last():
    store = PlantedStore({"e": [Run(name, {"seed": 1}, {"val_acc": LONG}) for name in "ab"]})
    tables = store.tables()
    turned = type(tables)(
        **{name: getattr(tables, name) for name in tables.__dataclass_fields__ if name != "runs"},
        runs=tables.runs.take([1, 0]),
    )
    study = describe_study(turned, take_inventory(turned))
    assert study.copies == {store.ids["b"]: store.ids["a"]}


def test_ten_thousand_repetitions_are_fast():
    dice = random.Random(1)
    runs = [
        Run(f"r{place}", {"lr": 1}, {"val_acc": dice.random(), "val_f1": 1.0, **({"auc": 1.0} if place % 3 else {})})
        for place in range(10_000)
    ]
    runs.append(Run("again", {"lr": 1}, {"val_acc": runs[77].metrics["val_acc"], "val_f1": 1.0}))
    store = PlantedStore({"e": runs})
    tables = store.tables()
    inventory = take_inventory(tables)
    begin = time.process_time()
    study = describe_study(tables, inventory)
    assert time.process_time() - begin < 5
    assert study.copies == {store.ids["again"]: store.ids["r77"]}


def test_a_run_logged_again_with_rounded_values_is_a_copy():
    exact, rounded = {"AUC": 0.7576332570761469, "F1": 0.45908123}, {"AUC": 0.7576, "F1": 0.4591}
    runs = [
        Run("own", {"depth": 3, "random_state": 1}, exact),
        Run("again", {"depth": 3, "random_state": 1}, rounded),
        Run("other_seed", {"depth": 3, "random_state": 2}, rounded),
        Run("other_value", {"depth": 3, "random_state": 3}, exact),
        Run("not_rounded", {"depth": 3, "random_state": 3}, {"AUC": 0.7577, "F1": 0.4591}),
        Run("one_metric", {"depth": 3, "random_state": 4}, {"AUC": 0.7576332570761469}),
        Run("one_metric_rounded", {"depth": 3, "random_state": 4}, {"AUC": 0.7576}),
    ]
    assert copies(*runs) == ({"again": "own"}, [])
