"""Roles of params and tags: factors, seeds, labels, constants and tied ones."""

import random
import uuid

import pytest

from qualia_lab.errors import UnknownKey
from qualia_lab.inventory import take_inventory
from qualia_lab.study import StudySettings, describe_study, merge_settings
from qualia_lab.study.factor_names import role_by_name, tag_is_label, words
from tests.planted.store import PlantedStore, Run


def study_of(runs, settings=None, **experiments):
    """The study of runs given as tuples of params and tags, each with a distinct result."""
    named = {"e": runs, **experiments}
    planted = {
        experiment: [
            Run(f"{experiment}-{place}", params, {"val_acc": 0.5 + place / 1000}, tags)
            for place, (params, tags) in enumerate(of_one)
        ]
        for experiment, of_one in named.items()
    }
    tables = PlantedStore(planted).tables()
    return describe_study(tables, take_inventory(tables), settings)


def of_params(*params, settings=None):
    study = study_of([(one, {}) for one in params], settings)
    return {one.name: one.role for one in study.params}


def of_tags(*tags):
    study = study_of([({"lr": 0.1}, one) for one in tags])
    return {one.name: one.role for one in study.tags}


SEEDS = [
    "seed",
    "random_seed",
    "data_seed",
    "model.seed",
    "np.random.seed",
    "torch_seed",
    "env-seed",
    "SEED",
    "globalSeed",
    "randomState",
    "random_state",
    "model__random_state",
    "rng",
    "rng_state",
    "numpy_rng_state",
    "seed_everything",
    "PYTHONHASHSEED",
    "seed_value",
    "global_seed",
    "fold",
    "cv_fold",
    "fold_idx",
    "foldId",
    "outer_fold",
    "split_id",
    "repeat",
    "repeat_id",
    "replicate",
    "replica",
    "replica_id",
    "trial",
    "trial_id",
    "trial_number",
    "trial.number",
    "run_idx",
    "run_index",
    "trainer/fold",
]
NO_SEEDS = [
    "n_fold",
    "n_folds",
    "num_folds",
    "k_fold",
    "kfold",
    "state",
    "hidden_state",
    "d_state",
    "mamba_d_state",
    "state_dim",
    "cell_state",
    "action_repeat",
    "frame_repeat",
    "n_repeats",
    "num_seeds",
    "n_trials",
    "max_trials",
    "use_seed",
    "seedling",
    "reseeding",
    "folding",
    "train_split",
    "threshold",
    "speed",
    "lr",
    "n_seed",
    "random_features",
    "split_ratio",
]


@pytest.mark.parametrize("key", SEEDS)
def test_names_of_seeds_are_recognised(key):
    assert role_by_name(key) == "seed"
    assert of_params(*({key: value, "lr": lr} for lr in (1, 2) for value in range(3)))[key] == "seed"


@pytest.mark.parametrize("key", NO_SEEDS)
def test_names_that_only_resemble_seeds_are_factors(key):
    assert role_by_name(key) != "seed"
    assert of_params(*({key: value, "depth": depth} for depth in (1, 2) for value in (3, 5, 9)))[key] == "factor"


def test_a_split_is_a_seed_if_all_values_are_integers():
    assert of_params(*({"split": value, "lr": lr} for value in range(3) for lr in (1, 2)))["split"] == "seed"
    assert (
        of_params(*({"split": value, "lr": lr} for value in ("random", "scaffold") for lr in (1, 2)))["split"]
        == "factor"
    )
    assert of_params(*({"split": value, "lr": lr} for value in (0.2, 0.5) for lr in (1, 2)))["split"] == "factor"


def test_a_seeding_flag_is_a_factor():
    assert of_params(*({"fix_seed": on, "lr": lr} for on in (True, False) for lr in (1, 2)))["fix_seed"] == "factor"


LABELS = [
    "path",
    "dir",
    "output",
    "output_dir",
    "out_path",
    "save_path",
    "save_dir",
    "log_dir",
    "logdir",
    "checkpoint_dir",
    "ckpt_path",
    "results_folder",
    "run",
    "run_name",
    "run_id",
    "wandb_id",
    "wandb.name",
    "id",
    "name",
    "timestamp",
    "date",
    "created_at",
    "hostname",
    "user",
    "slurm_job_id",
    "job_id",
    "hydra.run.dir",
    "hydra.job.num",
    "hydra/launcher",
    "trainer.log_dir",
    "resume_from",
    "tensorboard_dir",
    "experiment_dir",
    "ckpt_name",
    "save_name",
    "model_save_path",
    "python_version",
]


@pytest.mark.parametrize("key", LABELS)
def test_names_of_labels_are_recognised_even_if_values_repeat(key):
    assert of_params(*({key: value, "lr": lr} for value in ("a", "b") for lr in (1, 2)))[key] == "label"


@pytest.mark.parametrize(
    "key", ["model", "model_name", "optimizer_name", "dataset_name", "model.name", "arch", "model_id"]
)
def test_distinct_words_are_a_factor(key):
    assert of_params(*({key: value} for value in ("resnet50", "vit", "mlp-mixer", "convnext")))[key] == "factor"


@pytest.mark.parametrize(
    "values",
    [
        ["/home/a/x", "/home/a/y", "/home/a/z"],
        ["s3://bucket/1", "s3://bucket/2", "s3://bucket/3"],
        ["./a", "./b", "./c"],
        ["C:\\a", "C:\\b", "C:\\c"],
        ["2026-01-02", "2026-01-03", "2026-01-04"],
        ["2026-01-02T10:00:00", "2026-01-02T11:00:00.5Z", "2026-01-03 10:00:00+02:00"],
        ["20260102_101112", "20260102_111112", "20260103_101112"],
        ["ppo__1__1760000000", "ppo__2__1760000321", "ppo__3__1760000999"],
        [str(uuid.UUID(int=number)) for number in (2**100, 2**101 + 5, 2**102 + 9)],
        ["1a2b3c4d5e", "a1b2c3d4e5", "0f0e0d0c0b"],
        ["https://a.example/1", "https://a.example/2", "https://a.example/3"],
        ["results/a", "results/b", "results/c"],
        ["full_0.pt", "full_1.pt", "none_0.pt"],
        ["e-0", "e-1", "e-2"],
    ],
)
def test_values_that_look_like_labels_are_labels_if_unique_per_run(values):
    """The last values are the names of the runs."""
    assert of_params(*({"thing": value, "lr": place} for place, value in enumerate(values)))["thing"] == "label"


def test_a_model_is_a_factor_even_if_runs_are_named_after_it():
    assert of_params(*({"model": f"e-{place}"} for place in range(3)))["model"] == "factor"


@pytest.mark.parametrize(
    ("values", "role"),
    [
        (["yolov8n.pt", "yolov8s.pt", "yolov8m.pt"], "factor"),
        (["best_1.pt", "best_2.pt", "best_3.pt"], "label"),
        (["runs/a.pt", "runs/b.pt", "runs/c.pt"], "label"),
        (["net_20260102_101112.pt", "net_20260102_111112.pt", "net_20260103_101112.pt"], "label"),
    ],
)
def test_a_file_of_pretrained_weights_is_a_factor(values, role):
    assert of_params(*({"model": value} for value in values))["model"] == role


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("model_path", ["meta-llama/Llama-3-8B", "mistralai/Mistral-7B"]),
        ("tokenizer_path", ["/models/a", "/models/b"]),
        ("data_path", ["/data/small.csv", "/data/large.csv"]),
        ("train_file", ["a.csv", "b.csv"]),
        ("exp_name", ["baseline", "ours"]),
        ("experiment_name", ["baseline", "ours"]),
        ("env_id", ["Hopper-v4", "Ant-v4"]),
        ("train_start_date", ["2015-01-01", "2018-01-01"]),
        ("weights", ["/pre/a.pt", "/pre/b.pt"]),
    ],
)
def test_an_input_shared_by_runs_is_a_factor(key, values):
    assert of_params(*({key: value, "seed": seed} for value in values for seed in range(3)))[key] == "factor"


@pytest.mark.parametrize("key", ["device", "gpu", "trainer.device"])
def test_a_device_number_is_a_label_and_a_device_type_a_factor(key):
    assert of_params(*({key: f"cuda:{number}", "lr": lr} for number in (0, 1) for lr in (1, 2)))[key] == "label"
    if "device" in key:
        assert of_params(*({key: kind, "lr": lr} for kind in ("cuda:0", "cpu") for lr in (1, 2)))[key] == "factor"


def test_a_path_unique_per_run_is_a_label_and_a_hub_name_is_not():
    assert of_params(*({"data_path": f"/data/{place}.csv"} for place in range(3)))["data_path"] == "label"
    hub = of_params({"model_path": "meta-llama/Llama-3-8B"}, {"model_path": "mistralai/Mistral-7B"})
    assert hub["model_path"] == "factor"
    assert of_params({"model_path": "models/a"}, {"model_path": "models/b"})["model_path"] == "label"


@pytest.mark.parametrize("key", ["restart_period", "restore_best_weights", "n_restarts_optimizer", "lr_restart_epochs"])
def test_restarts_of_a_schedule_do_not_name_another_run(key):
    assert of_params(*({key: value, "lr": lr} for value in (5, 9) for lr in (1, 2)))[key] == "factor"


@pytest.mark.parametrize(
    "key", ["resume", "resume_from", "resumed_from_run", "continue_from", "continuation_of", "restart_from"]
)
def test_a_param_that_names_the_previous_run_is_a_label(key):
    assert of_params(*({key: value, "lr": lr} for value in ("a", "b") for lr in (1, 2)))[key] == "label"


def test_a_param_named_like_a_result_is_a_label():
    assert of_params(*({"val_acc": place, "lr": place % 2} for place in range(4)))["val_acc"] == "label"


def test_a_constant_ignores_spelling_and_a_param_missing_in_some_runs_varies():
    roles = of_params({"a": "1e-3", "b": True, "c": 1}, {"a": "0.001", "b": "true"}, {"a": 0.001, "b": "True"})
    assert roles == {"a": "constant", "b": "constant", "c": "factor"}


def test_a_param_that_differs_only_between_experiments_is_constant():
    runs = [({"lr": lr, "data": "a"}, {}) for lr in (1, 2)]
    study = study_of(runs, other=[({"lr": lr, "data": "b"}, {}) for lr in (1, 2)])
    assert {one.name: one.role for one in study.params} == {"lr": "factor", "data": "constant"}
    pooled = study_of(runs, StudySettings(pool=True), other=[({"lr": lr, "data": "b"}, {}) for lr in (1, 2)])
    assert {one.name: one.role for one in pooled.params} == {"lr": "factor", "data": "factor"}


def test_params_with_one_to_one_values_are_tied_to_the_shortest_name():
    study = study_of(
        [
            ({"model": m, "width": w, "z": z, "seed": s}, {})
            for m, w, z in (("a", 8, 1), ("b", 16, 2), ("c", 32, 1))
            for s in (1, 2)
        ]
    )
    assert {one.name: (one.role, one.tied_to) for one in study.params if one.role != "seed"} == {
        "model": ("factor", None),
        "width": ("tied", "model"),
        "z": ("factor", None),
    }


def test_a_random_search_has_no_tied_params():
    dice = random.Random(1)
    drawn = [{"lr": dice.random(), "dropout": dice.random(), "words": f"w{place}x"} for place in range(12)]
    for seeds in (1, 3):
        roles = of_params(*({**one, "seed": seed} for one in drawn for seed in range(seeds)))
        assert {roles["lr"], roles["dropout"], roles["words"]} == {"factor"}


def test_numbers_in_the_same_or_in_reversed_order_are_tied():
    dice = random.Random(2)
    drawn = [dice.random() for _ in range(12)]
    study = study_of(
        [({"lr": one, "log_of_lr": one**2, "inverse": 1 / one, "other": dice.random()}, {}) for one in drawn]
    )
    assert {one.name: one.tied_to for one in study.params} == {
        "lr": None,
        "log_of_lr": "lr",
        "inverse": "lr",
        "other": None,
    }


def test_ties_are_detected_within_each_experiment():
    grid = [({"lr": lr, "dropout": dropout}, {}) for lr, dropout in ((0.1, 0.3), (0.5, 0.1), (0.2, 0.9))]
    assert {one.role for one in study_of(grid, other=grid).params} == {"factor"}


def test_a_missing_value_is_a_value_for_ties():
    study = study_of([({"model": "a"}, {}), ({"model": "b", "heads": 4}, {}), ({"model": "c", "heads": 4}, {})])
    assert {one.name: one.role for one in study.params} == {"model": "factor", "heads": "factor"}


def test_a_tag_whose_values_repeat_is_a_factor():
    assert of_tags(*({"fingerprint": kind} for kind in ("morgan", "maccs") for _ in range(3))) == {
        "fingerprint": "factor"
    }


@pytest.mark.parametrize(
    "key",
    [
        "user",
        "host",
        "hostname",
        "node",
        "git_branch",
        "branch",
        "version",
        "model_version",
        "job_id",
        "slurm.job",
        "timestamp",
        "commit",
        "git.sha",
        "status",
        "notes",
        "description",
        "best",
        "is_best",
        "champion",
        "result",
        "passed",
        "decision",
        "approved",
        "release.version",
        "Run_Time",
        "author",
        "run_id",
    ],
)
def test_tags_for_who_where_when_and_results_are_labels(key):
    assert tag_is_label(key) or role_by_name(key) == "label"
    assert of_tags(*({key: value} for value in ("a", "b") for _ in range(3))) == {key: "label"}


@pytest.mark.parametrize("key", ["model", "team", "dataset", "phase", "variant", "stage", "ablation", "fold_type"])
def test_other_tags_may_be_factors(key):
    assert of_tags(*({key: value} for value in ("one", "two") for _ in range(3))) == {key: "factor"}


def test_a_tag_written_after_the_results_is_a_label():
    assert of_tags({"stage": "Production"}, {"stage": "Staging"}, {"stage": "Staging"}, {}) == {"stage": "label"}
    assert of_tags({"figure3": "yes"}, {"figure3": "yes"}, {}, {}) == {"figure3": "label"}
    assert of_tags({"thought": "x " * 100}, {"thought": "x " * 100}, {"thought": "y " * 100}, {}) == {
        "thought": "label"
    }
    assert of_tags({"val_acc": "0.9"}, {"val_acc": "0.9"}, {"val_acc": "0.8"}) == {"val_acc": "label"}


def test_a_mark_is_a_factor_only_if_otherwise_equal_runs_lack_it():
    def mark(*places, seeds):
        runs = [
            ({"lr": 1, "seed": seed}, {"distilled": "yes"} if at in places else {}) for at, seed in enumerate(seeds)
        ]
        return {one.name: one.role for one in study_of(runs).tags}

    assert mark(0, 1, 2, seeds=(1, 2, 3, 1, 2, 3)) == {"distilled": "factor"}
    assert mark(0, 1, 2, seeds=(1, 2, 3, 4, 5, 6)) == {"distilled": "label"}


def test_a_tag_with_distinct_values_is_a_label():
    assert of_tags(*({"who": f"a{place}"} for place in range(4))) == {"who": "label"}


def test_tags_of_sweepers_are_labels():
    hydra = {"hydra.job.name": "train", "hydra.job.num": 1}
    assert set(of_tags(hydra, hydra, {**hydra, "hydra.job.num": 2}, {**hydra, "hydra.job.num": 2}).values()) == {
        "label"
    }
    optuna = [
        {
            "number": place,
            "datetime_start": f"2026-01-01 00:0{place}:00",
            "direction": "MINIMIZE",
            "mine": "ab"[place % 2],
        }
        for place in range(4)
    ]
    assert set(of_tags(*optuna).values()) == {"label"}


def test_a_tag_named_like_a_param_gets_a_prefix_and_is_tied_if_equal():
    study = study_of([({"model": m, "lr": lr}, {"model": m, "mlflow.user": "x"}) for m in "ab" for lr in (1, 2)])
    assert [(one.name, one.key, one.role, one.tied_to) for one in study.tags] == [
        ("tags.model", "model", "tied", "model")
    ]


def test_settings_override_what_is_inferred_and_record_their_source():
    runs = [({"seed": seed, "k": k, "model": m}, {}) for seed in (1, 2) for k in (1, 2) for m in "ab"]
    said = merge_settings(StudySettings(seeds=("k",), labels=("model",)), StudySettings())
    assert {one.name: (one.role, one.source) for one in study_of(runs, said).params} == {
        "seed": ("factor", "data"),
        "k": ("seed", "person"),
        "model": ("label", "person"),
    }
    project = merge_settings(StudySettings(), StudySettings(seeds=(), factors=("seed",)))
    assert {one.name: (one.role, one.source) for one in study_of(runs, project).params}["seed"] == (
        "factor",
        "settings",
    )


def test_a_label_can_be_declared_a_factor_and_then_leads_its_ties():
    runs = [({"run": r, "a": r * 2, "seed": s}, {}) for r in (1, 2) for s in (1, 2)]
    study = study_of(runs, StudySettings(factors=("run",)))
    assert {one.name: (one.role, one.tied_to) for one in study.params if one.name != "seed"} == {
        "run": ("factor", None),
        "a": ("tied", "run"),
    }


@pytest.mark.parametrize("field", ["seeds", "factors", "labels"])
def test_an_unknown_key_is_an_error_with_a_suggestion_and_a_note_for_projects(field):
    runs = [({"batch_size": 1}, {}), ({"batch_size": 2}, {})]
    said = StudySettings(**{field: ("batchsize",)})
    with pytest.raises(UnknownKey) as error:
        study_of(runs, merge_settings(said, StudySettings()))
    assert "batchsize" in error.value.message
    assert error.value.hint == "Did you mean batch_size?"
    study = study_of(runs, merge_settings(StudySettings(), said))
    assert any("batchsize" in note and "[tool.qualia]" in note for note in study.notes)


def test_hostile_names_and_values_have_a_role():
    odd = ["", "..", "\x1b[2J", "🙂" * 50, "a" * 6000, "__class__", "<script>"]
    roles = of_params(*({"k": value, f"key {place} \u202e/..": value} for place, value in enumerate(odd)))
    assert roles["k"] == "factor"


def test_the_word_lists_are_lower_case():
    for table in words().values():
        for key, known in table.items():
            assert known, key
            assert all(word == word.lower().strip() for word in known)
