"""The choice of the objective, the roles of other metrics, and how settings override them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from qualia_lab import schema
from qualia_lab.inventory import MetricCount
from qualia_lab.study.metrics import describe_metrics, direction_of
from qualia_lab.study.objective import choose_objective, presence_of
from qualia_lab.study.settings import StudySettings, merge_settings
from qualia_lab.tables import table_of

HERE = Path(__file__).parent
PRIMARY = "mlflow.experiment.primaryMetric.name"
GREATER = "mlflow.experiment.primaryMetric.greaterIsBetter"


UNSAID = StudySettings()


def study_of(metrics, settings=UNSAID, experiment_tags=(), run_tags=()):
    """Metrics and objective of a task, from the values per key and run; None if a run has none."""
    rows = [
        {"run_id": str(run), "key": key, "value": value, "step": 0, "timestamp": 0}
        for key, values in metrics.items()
        for run, value in enumerate(values)
        if value is not None
    ]
    tags = [{"experiment_id": "1", "key": key, "value": value} for key, value in experiment_tags]
    described = describe_metrics(
        [MetricCount(key, len(values), 2, 0, stepped=False) for key, values in metrics.items()],
        settings,
        table_of(schema.EXPERIMENT_TAGS, tags),
        table_of(schema.TAGS, [{"run_id": "0", "key": key, "value": value} for key, value in run_tags]),
    )
    presence = presence_of(table_of(schema.METRICS, rows), experiment_tags)
    return {one.key: one for one in described}, choose_objective(described, settings, presence)


def leader(metrics, **more):
    """The key of the objective; metrics given as a list of keys vary over two runs."""
    if isinstance(metrics, list):
        metrics = dict.fromkeys(metrics, (1.0, 2.0))
    objective = study_of(metrics, **more)[1]
    return objective and objective.key


def right_profiles(path):
    profiles = json.loads(path.read_text(encoding="utf-8"))
    wrong = []
    for profile in profiles:
        objective = study_of(dict.fromkeys(profile["metrics"], (1.0, 2.0)))[1]
        if (objective.key, objective.better) not in profile["primary"].items():
            wrong.append((profile["source"], objective))
    return len(profiles), wrong


def test_the_primary_metric_of_22_frameworks_is_chosen(shared_data):
    assert right_profiles(shared_data / "metric_profiles.json") == (22, [])


@pytest.mark.parametrize(("file", "count"), [("metric_profiles_held_out.json", 30), ("metric_profiles_found.json", 57)])
def test_the_primary_metric_of_held_out_frameworks_is_chosen(file, count):
    assert right_profiles(HERE / file) == (count, [])


def test_a_reward_term_is_a_part_if_the_total_reward_is_logged():
    described, objective = study_of(
        dict.fromkeys(("Train/mean_reward", "Episode_Reward/track_lin_vel", "Loss/surrogate"), (1.0, 2.0))
    )
    assert described["Episode_Reward/track_lin_vel"].role == "part"
    assert objective.key == "Train/mean_reward"
    assert study_of({"Episode_Reward/track_lin_vel": (1.0, 2.0)})[1].key == "Episode_Reward/track_lin_vel"


def test_a_training_score_is_preferred_to_a_loss_without_a_split():
    assert leader(["loss", "train_acc"]) == "train_acc"
    assert leader(["loss", "train_acc", "test_loss"]) == "test_loss"


def test_a_score_is_preferred_to_an_error_in_a_tie():
    assert leader(["val_hd95", "val_mean_dice"]) == "val_mean_dice"


def test_user_settings_tag_and_name_choose_the_objective_in_this_order():
    metrics = dict.fromkeys(("val_acc", "val_loss", "rmse", "seconds"), (1.0, 2.0))
    tags = [(PRIMARY, "rmse")]
    person, project = StudySettings(metric="seconds"), StudySettings(metric="val_loss")
    asked = [
        (merge_settings(person, project), tags, "seconds", "person"),
        (merge_settings(StudySettings(), project), tags, "val_loss", "settings"),
        (StudySettings(), tags, "rmse", "tag"),
        (StudySettings(), [], "val_acc", "name"),
    ]
    for settings, experiment_tags, key, source in asked:
        objective = study_of(metrics, settings, experiment_tags)[1]
        assert (objective.key, objective.source) == (key, source)


def test_a_requested_metric_that_the_task_lacks_is_ignored():
    objective = study_of({"acc": (1.0, 2.0)}, merge_settings(StudySettings(metric="auc"), StudySettings()))[1]
    assert (objective.key, objective.source) == ("acc", "name")
    assert leader(["acc"], experiment_tags=[(PRIMARY, "auc")]) == "acc"


def test_only_an_edited_parameters_cell_counts_as_a_user_s_choice():
    metrics = {"acc": (1.0, 2.0), "loss": (1.0, 2.0)}
    assert study_of(metrics, StudySettings(metric="acc"))[1].source == "name"
    assert study_of(metrics, StudySettings(metric="acc"), [(PRIMARY, "acc")])[1].source == "tag"
    assert study_of(metrics, StudySettings(metric="loss"))[1].source == "person"


def test_validation_is_preferred_to_training_regardless_of_coverage():
    assert leader({"acc/train": (0.7, 0.8, 0.9, 0.9), "acc/val": (0.5, None, None, 0.6)}) == "acc/val"


def test_validation_is_preferred_to_test_if_half_of_the_runs_have_it():
    test = (0.7, 0.8, 0.9, 0.9)
    assert leader({"test_acc": test, "val_acc": (0.5, None, None, 0.6)}) == "val_acc"
    assert leader({"test_acc": test, "val_acc": (0.5, None, None, None)}) == "test_acc"
    assert leader({"acc": (0.1, 0.2, 0.3, 0.4), "val_f1": (0.5, None, None, 0.6)}) == "val_f1"


def test_scores_are_preferred_to_losses_then_metrics_of_more_runs():
    assert leader(["loss", "rmse"]) == "rmse"
    assert leader({"auc": (0.1, 0.2, None), "f1": (0.1, 0.2, 0.3)}) == "f1"


def test_partial_metrics_and_single_classes_come_last():
    assert leader(["accuracy_cats", "accuracy_dogs", "precision", "recall", "f1"]) == "f1"
    assert leader(["acc_cats", "accuracy"]) == "accuracy"


def test_a_constant_metric_is_not_the_objective_if_another_varies():
    metrics = {"acc": (1.0, 1.0, 1.0), "f1": (0.8, 0.9, 0.7)}
    assert study_of(metrics)[1].key == "f1"
    assert leader({"acc": (1.0, 1.0)}) == "acc"


def test_the_mean_over_folds_is_preferred_to_a_single_fold():
    described, objective = study_of(dict.fromkeys(("fold_0_auc", "fold_1_auc", "mean_auc", "std_auc"), (0.1, 0.2)))
    assert objective.key == "mean_auc"
    assert objective.rivals == ("fold_0_auc", "fold_1_auc")
    assert described["mean_auc"].role == "objective"


def test_costs_counts_spreads_and_parts_are_not_chosen_if_there_is_an_objective():
    others = ["train_duration_s", "tokens_per_second", "epoch", "acc_std", "loss/G", "system/gpu"]
    assert leader([*others, "loss"]) == "loss"
    assert leader([*others, "frobnicity"]) == "frobnicity"


def test_throughput_is_chosen_among_costs_and_nothing_among_counts():
    assert leader(["peak_memory", "train_time", "tokens_per_second"]) == "tokens_per_second"
    assert leader(["peak_memory", "train_time"]) == "peak_memory"
    assert leader(["epoch", "lr", "system/cpu"]) is None
    assert leader({}) is None


def test_a_metric_of_unknown_meaning_comes_after_those_with_a_direction():
    described, objective = study_of({"frobnicity": (1.0, 2.0), "train_loss": (1.0, 2.0)})
    assert objective.key == "train_loss"
    assert objective.rivals == ("frobnicity",)
    assert (described["frobnicity"].better, described["frobnicity"].source) == (None, "unknown")
    alone = study_of({"frobnicity": (1.0, 2.0)})[1]
    assert (alone.key, alone.better, alone.source) == ("frobnicity", None, "unknown")


def test_non_finite_values_are_ignored():
    assert leader({"auc": (float("nan"), float("inf")), "loss": (1.0, 2.0)}) == "loss"


def test_the_last_numbered_evaluation_set_is_chosen():
    assert leader(["validation_0-auc", "validation_1-auc"]) == "validation_1-auc"


def test_training_metrics_are_paired_with_held_out_ones():
    described, _ = study_of(dict.fromkeys(("loss", "train_loss_step", "val_loss", "train_acc", "eval_f1"), (1.0, 2.0)))
    assert {key: (one.role, one.twin) for key, one in described.items()} == {
        "loss": ("training", "val_loss"),
        "train_loss_step": ("training", "val_loss"),
        "val_loss": ("objective", "train_loss_step"),
        "train_acc": ("objective", None),
        "eval_f1": ("objective", None),
    }


def test_a_twin_has_the_same_threshold_if_possible():
    described, _ = study_of(dict.fromkeys(("train/acc1", "train/acc5", "val/acc1", "val/acc5"), (1.0, 2.0)))
    assert described["train/acc5"].twin == "val/acc5"
    assert described["val/acc1"].twin == "train/acc1"


def test_a_loss_with_an_extra_word_is_a_part_if_the_total_loss_is_logged():
    described, _ = study_of(dict.fromkeys(("total_loss", "loss_cls", "recon_loss", "val/recon_loss"), (1.0, 2.0)))
    assert [described[key].role for key in ("total_loss", "loss_cls", "recon_loss", "val/recon_loss")] == [
        "objective",
        "part",
        "part",
        "objective",
    ]


@pytest.mark.parametrize("source", ["person", "settings"])
def test_given_directions_and_roles_take_precedence_and_record_their_source(source):
    said = StudySettings(
        better={"acc": "lower", "frobnicity": "higher"}, metric_roles={"elapsed": "objective", "f1": "count"}
    )
    settings = merge_settings(*((said, StudySettings()) if source == "person" else (StudySettings(), said)))
    described, objective = study_of(dict.fromkeys(("acc", "frobnicity", "elapsed", "f1", "auc"), (1.0, 2.0)), settings)
    assert (described["acc"].better, described["acc"].source) == ("lower", source)
    assert (described["frobnicity"].better, described["frobnicity"].source) == ("higher", source)
    assert (described["elapsed"].role, described["elapsed"].source) == ("objective", source)
    assert (described["f1"].role, described["f1"].better) == ("count", None)
    assert (described["auc"].better, described["auc"].source) == ("higher", "name")
    assert "f1" not in (objective.key, *objective.rivals)
    assert direction_of("acc", settings) == ("lower", source)


def test_the_tag_of_an_experiment_gives_the_direction_of_its_primary_metric_only():
    tags = [(PRIMARY, "score"), (GREATER, "False")]
    assert direction_of("score", StudySettings(), tags) == ("lower", "tag")
    assert direction_of("accuracy", StudySettings(), tags) == ("higher", "name")
    assert direction_of("score", merge_settings(StudySettings(better={"score": "higher"}), StudySettings()), tags) == (
        "higher",
        "person",
    )
    objective = study_of({"score": (1.0, 2.0), "accuracy": (1.0, 2.0)}, experiment_tags=tags)[1]
    assert (objective.key, objective.better, objective.source) == ("score", "lower", "tag")


@pytest.mark.parametrize("text", ["MINIMIZE", "StudyDirection.MINIMIZE", "['MINIMIZE']"])
def test_the_direction_tag_of_optuna_applies_to_the_metric_its_callback_logged(text):
    tags = [
        ("direction", text),
        ("state", "COMPLETE"),
        ("lr_distribution", "FloatDistribution(high=1.0, log=True, low=0.1)"),
    ]
    described, objective = study_of({"value": (1.0, 2.0), "acc": (1.0, 2.0)}, run_tags=tags)
    assert (described["value"].better, described["value"].source) == ("lower", "tag")
    assert described["acc"].better == "higher"
    assert objective.key == "acc"
    assert study_of({"frobnicity": (1.0, 2.0)}, run_tags=tags)[0]["frobnicity"].better == "lower"


def test_directions_of_several_objectives_apply_to_the_numbered_values():
    described, _ = study_of(
        {"value_0": (1.0, 2.0), "value_1": (1.0, 2.0)}, run_tags=[("direction", "['MINIMIZE', 'MAXIMIZE']")]
    )
    assert [described[key].better for key in ("value_0", "value_1")] == ["lower", "higher"]


def test_a_user_tag_named_direction_is_ignored():
    assert study_of({"frobnicity": (1.0, 2.0)}, run_tags=[("direction", "north")])[0]["frobnicity"].better is None


def test_presence_counts_runs_with_any_of_several_metrics():
    rows = [("a", "x", 1.0), ("a", "y", 1.0), ("b", "y", 2.0), ("c", "z", 3.0), ("d", "x", float("nan"))]
    table = table_of(
        schema.METRICS,
        [{"run_id": run, "key": key, "value": value, "step": 7, "timestamp": 0} for run, key, value in rows],
    )
    presence = presence_of(table)
    assert presence.runs_with == {"x": 1, "y": 2, "z": 1}
    assert presence.varies == {"x": False, "y": True, "z": False}
    assert presence.steps == {"x": 7, "y": 7, "z": 7}
    assert [presence.runs_with_any(keys) for keys in (["x", "y"], ["x", "y", "z"], ["absent"], [])] == [2, 3, 0, 0]


def test_a_hundred_thousand_runs_are_fast():
    import pyarrow as pa

    runs, keys = 100_000, ("val_acc", "val_loss", "train_loss", "seconds")
    table = pa.table(
        {
            "run_id": pa.array([str(run) for run in range(runs)] * len(keys)),
            "key": pa.array([key for key in keys for _ in range(runs)]),
            "value": pa.array([run / runs for run in range(runs)] * len(keys)),
            "step": pa.array([0] * runs * len(keys), pa.int64()),
            "timestamp": pa.array([0] * runs * len(keys), pa.int64()),
        }
    )
    started = time.perf_counter()
    presence = presence_of(table)
    assert presence.runs_with_any(keys) == runs
    assert time.perf_counter() - started < 5
