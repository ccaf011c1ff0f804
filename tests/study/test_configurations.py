"""Configurations: runs with equal factors, and sets of configurations that differ in one factor."""

import itertools
import random

from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study, one_factor_sets
from tests.planted.store import PlantedStore, Run


def study_of(runs, settings=None):
    tables = PlantedStore(runs if isinstance(runs, dict) else {"e": runs}).tables()
    return describe_study(tables, take_inventory(tables), settings)


def runs_of(*params, **tags):
    return [
        Run(f"r{place}", one, {"val_acc": 0.5 + place / 1000}, {key: of[place] for key, of in tags.items()})
        for place, one in enumerate(params)
    ]


def told(study):
    names = {f"{place + 1:032x}": f"r{place}" for place in range(99)}
    return {one.label: [names[run] for run in one.run_ids] for one in study.configurations}


def test_spelling_does_not_split_a_configuration():
    study = study_of(
        runs_of(
            {"lr": "1e-3", "layers": "[64,64]", "on": "True", "k": 1},
            {"lr": "0.001", "layers": "[64, 64]", "on": "true", "k": 1},
            {"lr": "0.01", "layers": "(64, 64)", "on": "TRUE", "k": 1},
        )
    )
    assert told(study) == {"lr=1e-3": ["r0", "r1"], "lr=0.01": ["r2"]}
    # Equal values are spelled as in their first occurrence.
    assert study.configurations[1].settings == (("k", "1"), ("layers", "[64,64]"), ("lr", "0.01"), ("on", "True"))


def test_seeds_and_labels_do_not_split_a_configuration_and_tied_params_appear_once():
    study = study_of(
        runs_of(
            *(
                {"model": m, "width": w, "seed": seed, "output_dir": f"/out/{m}/{seed}"}
                for m, w in (("a", 8), ("b", 16))
                for seed in (1, 2)
            )
        )
    )
    assert told(study) == {"model=a": ["r0", "r1"], "model=b": ["r2", "r3"]}
    first = study.configurations[0]
    assert first.repeats == ((("seed", "1"),), (("seed", "2"),))
    assert first.settings == (("model", "a"), ("width", "8"))


def test_a_missing_param_distinguishes_configurations():
    study = study_of(runs_of({"lr": 1}, {"lr": 1, "dropout": 0.1}, {"lr": 1}))
    assert told(study) == {"no params": ["r0", "r2"], "dropout=0.1": ["r1"]}
    assert study.configurations[0].params == (("dropout", None),)


def test_a_factor_tag_splits_configurations_and_a_tag_written_later_does_not():
    study = study_of(
        runs_of({"lr": 1}, {"lr": 1}, {"lr": 1}, {"lr": 1}, loss=["a", "a", "b", "b"], status=["ok", "ok", "bad", "ok"])
    )
    assert told(study) == {"loss=a": ["r0", "r1"], "loss=b": ["r2", "r3"]}


def test_experiments_are_separate_tasks_unless_pooled():
    runs = {
        "a": [Run("a1", {"lr": 1}, {"val_loss": 19.0}), Run("a2", {"lr": 2}, {"val_loss": 20.0})],
        "b": [Run("b1", {"lr": 1}, {"val_loss": 570.0}), Run("b2", {"lr": 2}, {"val_loss": 580.0})],
    }
    study = study_of(runs)
    assert [(one.experiment_id, one.label, len(one.run_ids)) for one in study.configurations] == [
        ("1", "lr=1", 1),
        ("1", "lr=2", 1),
        ("2", "lr=1", 1),
        ("2", "lr=2", 1),
    ]
    assert [[one.label for one in study.in_task(task)] for task in study.tasks] == [["lr=1", "lr=2"]] * 2
    pooled = study_of(runs, StudySettings(pool=True))
    assert [(one.experiment_id, one.experiment, len(one.run_ids)) for one in pooled.tasks] == [("", "", 4)]
    assert [(one.label, len(one.run_ids)) for one in pooled.configurations] == [("lr=1", 2), ("lr=2", 2)]


def test_configurations_list_only_factors_that_differ_in_their_task():
    study = study_of(
        {
            "a": [Run("a1", {"lr": 1, "depth": 3}, {"loss": 1.0}), Run("a2", {"lr": 2, "depth": 3}, {"loss": 2.0})],
            "b": [Run("b1", {"lr": 1, "depth": 3}, {"loss": 1.0}), Run("b2", {"lr": 1, "depth": 4}, {"loss": 2.0})],
        }
    )
    assert [one.label for one in study.configurations] == ["lr=1", "lr=2", "depth=3", "depth=4"]


def test_runs_of_a_configuration_are_equal_and_configurations_are_distinct():
    dice = random.Random(3)
    params = [{key: dice.choice("abc") for key in ("p", "q", "r") if dice.random() < 0.9} for _ in range(300)]
    study = study_of(runs_of(*params))
    of_run = {f"{place + 1:032x}": one for place, one in enumerate(params)}
    kinds = [{tuple(sorted(of_run[run].items())) for run in one.run_ids} for one in study.configurations]
    assert all(len(kind) == 1 for kind in kinds)
    assert len(set.union(*kinds)) == len(kinds)
    assert sorted(run for one in study.configurations for run in one.run_ids) == sorted(of_run)


def test_swapping_the_values_of_two_params_gives_another_configuration():
    """Names with equal endings, and values whose sums would be equal."""
    study = study_of(
        runs_of({"train_batch_size": 1, "valid_batch_size": 2}, {"train_batch_size": 2, "valid_batch_size": 1})
    )
    assert len(study.configurations) == 2


def test_one_factor_sets_contain_configurations_that_differ_in_one_factor():
    grid = [{"lr": lr, "bs": bs, "seed": seed} for lr in (1, 2) for bs in (3, 4) for seed in (0, 1)]
    study = study_of(runs_of(*grid, {"lr": 9, "bs": 9, "seed": 0}))
    found = {one.factor: one for one in one_factor_sets(study, study.tasks[0])}
    assert set(found) == {"lr", "bs"}
    lr = found["lr"]
    assert lr.levels == ("1", "2")
    contexts = [[dict(lr.configurations[place].params) for place in context] for context in lr.places.T]
    assert contexts == [[{"bs": bs, "lr": "1"}, {"bs": bs, "lr": "2"}] for bs in ("3", "4")]
    assert [lr.others["bs"].texts[code] for code in lr.others["bs"].codes] == ["3", "4"]
    assert [len(lr.configurations[place].run_ids) for place in lr.places[:, 0]] == [2, 2]


def test_tied_factors_count_as_one_and_a_missing_value_is_a_level():
    study = study_of(
        runs_of(
            *(
                {"task": task, **({"attention": "full", "heads": 4} if full else {})}
                for task in (1, 2)
                for full in (1, 0)
            )
        )
    )
    found = {one.factor: one for one in one_factor_sets(study, study.tasks[0])}
    assert found["heads"].names == ("heads", "attention")
    assert set(found["heads"].levels) == {"4", None}
    assert found["heads"].places.shape == (2, 2)


def test_one_factor_sets_agree_with_a_pairwise_comparison():
    dice = random.Random(5)
    params = [{key: dice.choice("abc") for key in "pqr"} for _ in range(40)]
    study = study_of(runs_of(*params))
    pairs = set()
    for one, other in itertools.combinations(study.configurations, 2):
        apart = [a[0] for a, b in zip(one.params, other.params, strict=True) if a != b]
        if len(apart) == 1:
            pairs.add((apart[0], frozenset((one.run_ids[0], other.run_ids[0]))))
    found = {
        (of_one.factor, frozenset((one.run_ids[0], other.run_ids[0])))
        for of_one in one_factor_sets(study, study.tasks[0])
        for context in of_one.places.T
        for one, other in itertools.combinations([of_one.configurations[place] for place in context if place >= 0], 2)
    }
    assert found == pairs
