"""Reading of metric names, compared with hand-labelled names of real projects; and the word list."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from qualia_lab.study.metric_names import read_name, stored_key
from qualia_lab.study.metric_words import Meaning, metric_words
from qualia_lab.study.settings import Better, MetricRole

HERE = Path(__file__).parent


def labelled(path):
    """Names, each with all correct answers: higher, lower, none."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len({name for name, _ in rows}) == len(rows)
    return {name: set(right.split("/")) for name, right in rows}


def verdict(names):
    """How many names are correct, which are reversed, and which are falsely read as objectives."""
    said = {name: read_name(name).better or "none" for name in names}
    right = sum(said[name] in names[name] for name in names)
    wrong = [
        name for name in names if said[name] != "none" and said[name] not in names[name] and names[name] != {"none"}
    ]
    claimed = [name for name in names if said[name] != "none" and names[name] == {"none"}]
    return right / len(names), wrong, claimed


def test_the_169_known_names_are_read_correctly(shared_data):
    share, wrong, claimed = verdict(labelled(shared_data / "metric_names.tsv"))
    assert share >= 0.97
    assert (wrong, claimed) == ([], [])


@pytest.mark.parametrize("file", ["metric_names_held_out.tsv", "metric_names_found.tsv"])
def test_held_out_names_of_libraries_and_public_projects_are_read_correctly(file):
    share, wrong, claimed = verdict(labelled(HERE / file))
    assert share >= 0.95
    assert (wrong, claimed) == ([], [])


def test_names_of_29_waves_are_never_reversed_and_rarely_false_objectives():
    names = labelled(HERE / "metric_names_waves.tsv")
    share, wrong, claimed = verdict(names)
    aimless = sum(right == {"none"} for right in names.values())
    assert wrong == []
    assert share >= 0.95
    assert len(claimed) <= aimless / 80


def test_scikit_learn_scorers_are_better_higher_and_losses_lower():
    from sklearn import metrics

    # Whether a likelihood ratio, or the overlap of two labellings, should be high is not in the name.
    scorers = {name: read_name(name).better for name in metrics.get_scorer_names()}
    assert {name for name, better in scorers.items() if better != "higher"} == set()
    lower = ("_error", "_loss", "_deviance")
    losses = {name: read_name(name).better for name in metrics.__all__ if name.endswith(lower)}
    assert len(losses) > 15
    assert {name for name, better in losses.items() if better != "lower"} == set()


@pytest.mark.parametrize(
    ("key", "better"),
    [
        ("neg_root_mean_squared_error", "higher"),
        ("negative_log_likelihood", "lower"),
        ("val_neg_loss", "higher"),
        ("accuracy_std", None),
        ("auc_gap", None),
        ("f1_drop", None),
        ("mean_rank", "lower"),
        ("equalized_odds_difference", "lower"),
        ("brier_score", "lower"),
        ("davies_bouldin_score", "lower"),
        ("recall@10", "higher"),
        ("toxicity/v1/mean", "lower"),
        ("metrics/mAP50-95(B)", "higher"),
        ("metrics/precisionB", "higher"),
        ("val_mIoU", "higher"),
        ("R2", "higher"),
        ("R²", "higher"),
        ("Val Accuracy (%)", "higher"),
        ("wer_accuracy", "higher"),
        ("accuracy_threshold", None),
        ("loss_ssim", "lower"),
        ("loss/dice", "lower"),
        ("losses/explained_variance", "higher"),
        ("tokens_per_batch", None),
        ("tokens_per_second", "higher"),
        ("ms_per_batch", "lower"),
        ("val_per", "lower"),
        ("fpr_at_95_tpr", "lower"),
        ("rmsd_lt_2", None),
        ("reward_vs_random", "higher"),
        ("return_code", None),
        ("loss_reduction", "higher"),
        ("reward_reduction", None),
        ("drop_in_accuracy", None),
        ("error_count", "lower"),
        ("rmse_count", None),
        ("false_match_rate", "lower"),
        ("non_compliance_rate", "lower"),
        ("inaccuracy", "lower"),
        ("1 - ssim", "lower"),
        ("-loss", "higher"),
        ("win_loss_ratio", "higher"),
        ("mae_hr_bpm", None),
        ("cost_per_hour", "lower"),
        ("errors_per_hour", "lower"),
        ("time_to_failure", None),
        ("reward/collision", None),
        ("opponent_win_rate", None),
        ("lambada/perplexity", "lower"),
        ("perplexity/lambada", "lower"),
        ("f1_spam", "higher"),
        ("spam_score", None),
        ("mae_horizon_3", "lower"),
        ("accuracy_samples", None),
        ("acc_token", "higher"),
        ("TT", "lower"),
        ("num_errors", "lower"),
        ("num_samples", None),
        ("", None),
        ("///", None),
        ("0.5", None),
        ("Точность", None),
    ],
)
def test_the_last_word_with_a_meaning_decides(key, better):
    assert read_name(key).better == better


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("val_acc", "objective"),
        ("sentence_overlap", "objective"),
        ("system/cpu_utilization_percentage", "machine"),
        ("loss/G", "part"),
        ("gen/loss", "part"),
        ("losses/approx_kl", "part"),
        ("train/value_loss", "part"),
        ("val/box_loss", "part"),
        ("AP/box", "objective"),
        ("miou_class_6", "objective"),
        ("train_duration_s", "cost"),
        ("charts/SPS", "cost"),
        ("peak_vram_gb", "cost"),
        ("energy_kwh", "cost"),
        ("total_token_count/mean", "cost"),
        ("std_test_score", "spread"),
        ("rank_test_score", "spread"),
        ("arc_easy/acc_stderr", "spread"),
        ("sample_len", "count"),
        ("epoch", "count"),
        ("lr-AdamW", "count"),
        ("train/ent_coef", "count"),
        ("loss_weight", "count"),
        ("confusion_matrix_tp", "count"),
    ],
)
def test_names_give_the_role_of_a_metric(key, role):
    assert read_name(key).role == role


def test_a_name_without_known_words_has_no_direction():
    name = read_name("frobnicity")
    assert (name.role, name.better, name.known) == ("objective", None, False)


@pytest.mark.parametrize(
    ("keys", "family"),
    [
        (["val/acc", "train/acc", "acc", "test_acc_epoch", "best_val_acc", "fold_3_acc", "oof_acc", "acc/dataloader_idx_0"], "acc"),
        (["score_0.50", "score_0.75"], "score"),
        (["trainLoss", "valLoss", "train_loss_epoch", "train_loss_step", "tr_loss", "va_loss", "val_losses", "loss"], "loss"),
        (["valid_0-auc", "validation_0-auc", "eval-auc", "training-auc", "cv_auc", "dev auc", "holdout_auc"], "auc"),
        (["eval_f1", "eval/f1", "eval.f1", "eval-f1"], "f1"),
        (["recall@5", "recall@10", "recall_at_10"], "recall"),
    ],
)  # fmt: skip
def test_metrics_on_other_data_or_at_other_thresholds_share_a_family(keys, family):
    assert {key: read_name(key).family for key in keys} == dict.fromkeys(keys, family)


@pytest.mark.parametrize(
    ("split", "keys"),
    [
        ("training", ["train/loss", "trainLoss", "training_score", "tr_loss", "learn_Logloss", "acc/train", "cv_train_f1", "fold_1_train_auc"]),
        ("validation", ["val_loss", "valLoss", "eval_loss", "valid_0-auc", "validation_1-auc", "va_loss", "oof_auc", "cv_rmse", "dev_bleu", "fold_mean_acc"]),
        ("test", ["test_acc", "Accuracy/test", "holdout_rmse", "out_of_sample_r2"]),
        ("fold", ["fold_3_acc", "split0_test_score", "fold2/val_loss", "auc_fold_4"]),
        ("", ["acc", "value_loss", "v_measure", "humaneval", "fit_time", "learning_rate", "episode_return"]),
    ],
)  # fmt: skip
def test_names_give_the_split_of_a_metric(split, keys):
    assert {key: read_name(key).split for key in keys} == dict.fromkeys(keys, split)


@pytest.mark.parametrize(
    ("key", "better", "split", "family"),
    [
        ("accuracy (valid)", "higher", "validation", "accuracy"),
        ("accuracy (test)", "higher", "test", "accuracy"),
        ("rmse (iris_train.csv)", "lower", "training", "rmse iris csv"),
        ("val_loss (iris)", "lower", "validation", "loss iris"),
        ("f1 (errors)", "higher", "", "f1 error"),
        ("loss (train, model net)", "lower", "training", "loss net"),
        ("loss (valid, model net)", "lower", "validation", "loss net"),
        ("accuracy (model loss-net train)", "higher", "", "accuracy loss-net train"),
        ("accuracy (valid aaaa1111, model net 2)", "higher", "validation", "accuracy aaaa1111 net 2"),
    ],
)
def test_series_of_models_and_datasets_are_read_as_their_metric(key, better, split, family):
    name = read_name(key)
    assert (name.role, name.better, name.split, name.family) == ("objective", better, split, family)
    assert stored_key(key) == key.partition(" (")[0]


@pytest.mark.parametrize(("key", "role"), [("accuracy (std)", "spread"), ("accuracy(B)", "objective")])
def test_other_words_in_brackets_belong_to_the_metric(key, role):
    assert read_name(key).role == role


def test_bounds_are_the_range_of_possible_values():
    assert read_name("val_acc").bounds == (0, 1)
    assert read_name("rmse").bounds == (0, None)
    assert read_name("neg_rmse").bounds == (None, 0)
    assert read_name("r2").bounds == (None, 1)
    assert read_name("cohen_kappa").bounds == (-1, 1)
    assert read_name("psnr").bounds == (None, None)
    assert read_name("frobnicity").bounds == (None, None)


def test_the_word_file_has_no_duplicates_and_only_valid_roles_and_directions():
    table = tomllib.loads(files("qualia_lab.study").joinpath("metric_words.toml").read_text(encoding="utf-8"))
    known = {field.name for field in fields(Meaning)} | {"about", "words"}
    for meaning in table["meaning"]:
        assert set(meaning) <= known, meaning["about"]
        assert meaning["role"] in get_args(MetricRole)
        assert meaning.get("better", "higher") in get_args(Better)
        assert meaning["words"]
    words = [word for meaning in table["meaning"] for word in meaning["words"]]
    words += [word for split in table["splits"].values() for word in split]
    words += [
        word
        for part, listed in table["grammar"].items()
        if part not in ("whole", "edge", "as_losses", "each", "levels")
        for word in listed
    ]
    assert sorted({word for word in words if words.count(word) > 1}) == []
    assert [word for word in words if word != " ".join(word.lower().split())] == []
    assert len(metric_words().by_words) == len(words)
    assert {tuple(word.split()) for word in table["grammar"]["as_losses"]} <= set(metric_words().by_words)
    assert set(table["grammar"]["edge"]) <= {word for split in table["splits"].values() for word in split}
