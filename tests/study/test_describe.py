"""Studies of whole stores: parents and children, runs left out, budgets, notes, and conversion to plain data."""

import json
import subprocess
import sys

import pytest

from qualia_lab.errors import QualiaLabError, UnknownKey
from qualia_lab.inventory import take_inventory
from qualia_lab.selection import Query
from qualia_lab.stores.open import open_store
from qualia_lab.study import StudySettings, describe_study, merge_settings, study_as_data
from qualia_lab.tables import run_tables
from tests.planted.store import PlantedStore, Run


def described(*runs, settings=None, **experiments):
    store = PlantedStore({**({"e": list(runs)} if runs else {}), **experiments})
    tables = store.tables()
    return describe_study(tables, take_inventory(tables), settings), store


def left_out(study, store):
    return {store.names[run]: why for run, why in study.left_out.items()}


@pytest.fixture
def case(cases):
    """The studies of the small stores, by name, as plain data."""

    def study_of(name):
        store = open_store(cases / name)
        tables = store.read(store.read_runs(Query(order_by=("start_time",))).column("run_id").to_pylist())
        return study_as_data(describe_study(tables, take_inventory(tables)), tables)

    return study_of


def roles(study):
    return {one["key"]: one["role"] for one in (*study["params"], *study["tags"])}


def sizes(study):
    return [(one["values"], len(one["runs"]), one["computations"]) for one in study["configurations"]]


def test_two_experiments_are_two_tasks(case):
    study = case("two_tasks")
    assert study["objective"] is None
    assert sorted(one["experiment"] for one in study["tasks"]) == ["predict_a", "predict_b"]
    assert {one["objective"]["key"] for one in study["tasks"]} == {"val_loss"}
    assert len(study["configurations"]) == 6


def test_a_tag_distinguishes_configurations(case):
    study = case("factor_in_a_tag")
    assert roles(study) == {"target": "factor", "seed": "seed", "fingerprint": "factor"}
    assert len(study["configurations"]) == 12
    assert study["copies"] == {}


def test_labels_do_not_split_configurations_and_equal_unseeded_runs_are_possible_copies(case):
    study = case("label_params")
    assert roles(study) == {"dim": "factor", "out_path": "label", "run": "label"}
    assert sizes(study) == [({"dim": "16"}, 2, 2), ({"dim": "32"}, 1, 1)]
    assert [len(one) for one in study["possible_copies"]] == [2]


def test_paths_do_not_hide_seeds(case):
    study = case("paths_hide_seeds")
    assert sizes(study) == [({"attention": "full"}, 5, 5), ({"attention": "none"}, 5, 5)]
    assert study["seeds"] == ["seed"]


def test_ten_runs_form_one_configuration(case):
    assert sizes(case("one_configuration")) == [({}, 10, 10)]


def test_two_runs_equal_to_the_last_digit_are_one_computation(case):
    assert sizes(case("equal_to_the_last_digit")) == [({}, 2, 1)]


def test_nine_copies_count_once(case):
    assert sizes(case("one_computation_nine_times")) == [({"depth": "1"}, 9, 1), ({"depth": "10"}, 6, 6)]


def test_state_size_is_a_factor(case):
    study = case("state_is_no_seed")
    assert roles(study) == {"mamba_d_state": "factor", "lr": "factor"}
    assert len(study["configurations"]) == 6


def test_a_random_search_has_three_factors(case):
    study = case("random_search")
    assert roles(study) == {"lr": "factor", "dropout": "factor", "weight_decay": "factor"}
    assert [one["computations"] for one in study["configurations"]] == [1] * 40


def test_the_parent_of_a_sweep_does_not_compete_with_its_runs(case):
    study = case("a_sweep_and_its_parent")
    assert study["parents"] == [f"{1:032x}"]
    assert len(study["configurations"]) == 12
    assert roles(study) == {"lr": "factor", "depth": "factor", "n_trials": "constant"}
    assert study["left_out"] == {f"{1:032x}": "parent"}


def test_params_that_change_together_are_tied(case):
    study = case("confounded")
    assert roles(study) == {"attention": "factor", "batch_size": "tied", "seed": "seed"}
    assert sizes(study) == [({"attention": "full"}, 5, 5), ({"attention": "none"}, 5, 5)]


def test_the_study_of_every_small_store_can_be_written_as_json(case, shared_data):
    names = [
        line.split("`")[1]
        for line in (shared_data / "cases" / "README.md").read_text().splitlines()
        if line[:3] == "| `"
    ]
    assert len(names) == 22
    for name in names:
        study = json.loads(json.dumps(case(name), allow_nan=False))
        assert study["tasks"]
        assert all(one["from"] in ("person", "settings", "tag", "name", "data", "unknown") for one in study["params"])


def test_params_of_a_parent_do_not_count_as_differences():
    study, store = described(
        Run("sweep", {"lr": 5, "method": "grid"}, {"val_acc": 0.9}),
        *(Run(f"c{lr}", {"lr": lr, "depth": 3}, {"val_acc": lr / 10}, parent="sweep") for lr in (1, 2)),
    )
    assert {one.name: one.role for one in study.params} == {"depth": "constant", "lr": "factor", "method": "constant"}
    assert {store.names[one]: len(children) for one, children in study.parents.items()} == {"sweep": 2}
    assert [one.label for one in study.configurations] == ["lr=1", "lr=2"]


def test_a_parent_without_its_children_competes():
    study, _ = described(Run("alone", {"lr": 1}, {"val_acc": 0.9}), Run("b", {"lr": 2}, {"val_acc": 0.8}))
    assert study.parents == {}
    assert len(study.configurations) == 2


def test_only_the_innermost_runs_of_nested_sweeps_compete():
    study, store = described(
        Run("all"),
        Run("inner", {"model": "a"}, parent="all"),
        Run("other", {"model": "b"}, parent="all"),
        *(
            Run(f"{parent}{lr}", {"lr": lr}, {"val_acc": lr / 10}, parent=parent)
            for parent in ("inner", "other")
            for lr in (1, 2)
        ),
    )
    assert {store.names[one] for one in study.parents} == {"all", "inner", "other"}
    assert sorted(store.names[run] for one in study.configurations for run in one.run_ids) == [
        "inner1",
        "inner2",
        "other1",
        "other2",
    ]


def test_children_that_only_evaluate_their_parent_are_parts_of_it():
    study, store = described(
        Run("train", {"lr": 1}, {"val_acc": 0.9}),
        Run("plots", {"what": "roc"}, {"duration_s": 3}, parent="train"),
        Run("train2", {"lr": 2}, {"val_acc": 0.8}),
    )
    assert study.parents == {}
    assert left_out(study, store) == {"plots": "part of train"}
    assert [one.label for one in study.configurations] == ["lr=1", "lr=2"]


def test_values_that_a_failed_run_did_not_log_are_not_differences():
    runs = [Run(f"r{seed}", {"lr": 1, "seed": seed, "classes": 10}, {"val_acc": seed / 10}) for seed in (1, 2)]
    study, _ = described(*runs, Run("failed", {"lr": 1, "seed": 3}, status="FAILED"))
    assert [(one.label, len(one.run_ids)) for one in study.configurations] == [("all runs", 3)]
    study, _ = described(*runs, Run("failed", {"lr": 9, "seed": 3}, status="FAILED"))
    assert [(one.label, len(one.run_ids)) for one in study.configurations] == [("lr=1", 2), ("lr=9", 1)]


def test_cyclic_parents_are_tolerated():
    store = PlantedStore(
        {
            "e": [
                Run(name, {"lr": place}, {"val_acc": 0.5}, parent={"a": "b", "b": "a"}.get(name))
                for place, name in enumerate("abc")
            ]
        }
    )
    tables = store.tables()
    study = describe_study(tables, take_inventory(tables))
    assert len(study.tasks[0].run_ids) == 3
    assert len(study.parents) == 1


@pytest.mark.parametrize(
    "how", ["{id}", "{name}", "runs/{name}/checkpoints/last.ckpt", "mlruns/1/{id}/artifacts", "ckpts/{name}.pt"]
)
def test_a_run_continued_by_another_one_is_left_out(how):
    first = PlantedStore({"e": [Run("first")]}).ids["first"]
    value = how.format(id=first, name="first")
    study, store = described(
        Run("first", {"lr": 1}, {"val_acc": [(0, 0.1), (9, 0.5)]}, status="KILLED"),
        Run("second", {"lr": 1, "resume_from": value}, {"val_acc": [(10, 0.5), (19, 0.9)]}),
        Run("third", {"lr": 2, "resume_from": "None"}, {"val_acc": [(0, 0.1), (19, 0.8)]}),
    )
    assert left_out(study, store) == {"first": "continued in second"}
    assert {store.names[one]: store.names[later] for one, later in study.continued.items()} == {"first": "second"}
    assert [(one.label, len(one.run_ids)) for one in study.configurations] == [("lr=1", 1), ("lr=2", 1)]
    assert {one.name: one.role for one in study.params} == {"lr": "factor", "resume_from": "label"}


def test_a_resume_flag_marks_the_run_of_the_checkpoint_as_continued():
    def left(resume):
        study, store = described(
            Run("first", {"lr": 1}, {"val_acc": 0.5}),
            Run("second", {"lr": 1, "resume": resume, "ckpt": f"mlruns/1/{1:032x}/last.ckpt"}, {"val_acc": 0.9}),
        )
        return left_out(study, store)

    assert left(True) == {"first": "continued in second"}
    assert left(False) == {}


def test_of_three_runs_that_name_each_other_cyclically_one_is_kept():
    ids = [f"{place:032x}" for place in (1, 2, 3)]
    study, _ = described(*(Run(f"r{place}", {"resume_from": ids[place - 1]}, {"val_acc": 0.5}) for place in range(3)))
    assert len(study.continued) == 2


def test_a_tag_can_name_the_continued_run_and_an_ambiguous_name_is_ignored():
    study, store = described(
        Run("a", {"lr": 1}, {"val_acc": 0.1}),
        Run("b", {"lr": 1}, {"val_acc": 0.2}, {"resumed_from": "a"}),
        Run("c", {"lr": 1}, {"val_acc": 0.3}, {"resumed_from": "c"}),
        Run("d", {"lr": 1}, {"val_acc": 0.4}, {"mlflow.parentRunId": "a"}),
    )
    assert left_out(study, store) == {"a": "continued in b"}


def test_a_run_whose_status_does_not_count_stays_in_its_configuration():
    runs = [
        Run(name, {"lr": 1}, {"val_acc": place / 10}, status=status)
        for place, (name, status) in enumerate((("a", "FINISHED"), ("b", "FAILED"), ("c", "RUNNING"), ("d", "KILLED")))
    ]
    study, store = described(*runs)
    assert left_out(study, store) == {"b": "failed", "c": "running", "d": "killed"}
    assert len(study.configurations[0].run_ids) == 4
    study, store = described(*runs, settings=StudySettings(statuses=("FINISHED", "KILLED")))
    assert left_out(study, store) == {"b": "failed", "c": "running"}
    study, store = described(*runs[1:])
    assert left_out(study, store) == {}
    with pytest.raises(QualiaLabError, match="There is no status DONE"):
        described(*runs, settings=StudySettings(statuses=("DONE",)))


def test_trials_that_optuna_pruned_are_left_out():
    runs = [
        Run(
            f"t{place}",
            {"lr": place},
            {"val_loss": 0.1 * place},
            {"number": place, "datetime_start": f"2026-01-0{place + 1}", "state": state},
        )
        for place, state in enumerate(("COMPLETE", "PRUNED", "TrialState.FAIL", "TrialState.COMPLETE"))
    ]
    study, store = described(*runs)
    assert left_out(study, store) == {"t1": "pruned", "t2": "failed"}


def curve(steps):
    return {"val_acc": [(step, 0.5) for step in range(steps)]}


def test_a_finished_run_that_stopped_much_earlier_is_marked():
    study, store = described(
        *(Run(f"r{lr}", {"lr": lr}, curve(100)) for lr in range(4)), Run("short", {"lr": 9}, curve(30))
    )
    assert [(store.names[one.run_id], one.last_step, one.usual) for one in study.short_runs] == [("short", 29, 99)]


def test_a_budget_param_explains_a_short_run():
    runs = [Run(f"r{lr}", {"lr": lr, "epochs": 100}, curve(100)) for lr in range(4)]
    explained, _ = described(*runs, Run("short", {"lr": 9, "epochs": 30}, curve(30)))
    assert explained.short_runs == ()
    stopped, store = described(*runs, Run("short", {"lr": 9, "epochs": 50}, curve(15)))
    assert [store.names[one.run_id] for one in stopped.short_runs] == ["short"]


def test_a_failed_run_a_pruned_one_and_one_without_steps_are_not_short():
    study, _ = described(
        *(Run(f"r{lr}", {"lr": lr}, curve(100)) for lr in range(4)),
        Run("failed", {"lr": 9}, curve(3), status="FAILED"),
        Run("once", {"lr": 10}, {"val_acc": 0.7}),
        Run("pruned", {"lr": 11}, curve(5), {"state": "TrialState.PRUNED"}),
    )
    assert study.short_runs == ()


def test_a_flag_that_contradicts_the_name_is_noted():
    runs = [Run(f"r{lr}", {"lr": lr}, {"loss": lr}) for lr in (1.0, 2.0)]
    study, _ = described(*runs, settings=StudySettings(better={"loss": "higher"}))
    assert study.notes == ("GREATER_IS_BETTER says that more loss is better; its name says less.",)
    assert study.objective.better == "higher"
    project = merge_settings(StudySettings(), StudySettings(better={"loss": "higher"}))
    assert described(*runs, settings=project)[0].notes[0].startswith("[tool.qualia] says that more loss is better")
    assert described(*runs, settings=StudySettings(better={"loss": "lower"}))[0].notes == ()


def test_an_unknown_metric_is_an_error_for_users_and_a_note_for_projects():
    runs = [Run(f"r{lr}", {"lr": lr}, {"val_auc": lr / 10}) for lr in (1, 2)]
    with pytest.raises(UnknownKey) as error:
        described(*runs, settings=StudySettings(metric="val_auk"))
    assert str(error.value) == "There is no metric val_auk. Did you mean val_auc?"
    study, _ = described(*runs, settings=merge_settings(StudySettings(), StudySettings(metric="val_auk")))
    assert study.objective.key == "val_auc"
    assert study.notes == ("[tool.qualia] names the metric val_auk, which none of these runs has.",)


def test_empty_tables_and_empty_runs_are_described():
    tables = run_tables()
    study = describe_study(tables, take_inventory(tables))
    assert (study.tasks, study.configurations, study.metrics) == ((), (), ())
    study, _ = described(Run("a"), Run("b"))
    assert [one.label for one in study.configurations] == ["all runs"]
    assert study.tasks[0].objective is None
    assert study_as_data(study, PlantedStore({"e": [Run("a"), Run("b")]}).tables())["objective"] is None


def test_study_as_data_has_the_documented_fields():
    study, store = described(
        *(
            Run(f"r{lr}{seed}", {"lr": lr, "seed": seed}, {"val_acc": lr / 10 + seed / 100})
            for lr in (1, 2)
            for seed in (1, 2)
        )
    )
    data = study_as_data(study, store.tables())
    assert data["metrics"][0] | {"twin": None} == {
        "key": "val_acc",
        "role": "objective",
        "better": "higher",
        "from": "name",
        "split": "validation",
        "family": data["metrics"][0]["family"],
        "twin": None,
    }
    assert data["objective"] == {"key": "val_acc", "better": "higher", "from": "name", "rivals": []}
    assert data["tasks"] == [{"experiment": "e", "runs": 4, "objective": data["objective"]}]
    assert [(one["key"], one["role"], one["from"]) for one in data["params"]] == [
        ("lr", "factor", "data"),
        ("seed", "seed", "name"),
    ]
    assert data["configurations"][0] == {
        "experiment": "e",
        "values": {"lr": "1"},
        "runs": [store.ids["r11"], store.ids["r12"]],
        "computations": 2,
    }


@pytest.mark.parametrize(
    "name",
    [
        *("packt-hyperparameter-tuning/mlruns", "pycaret-tutorials/tutorials/mlruns", "promptchain-examples/mlruns"),
        *("stock-quant/mlruns", "torch-points3d/mlruns", "cr21-hpo/logs/mlruns"),
    ],
)
def test_every_run_of_a_public_store_is_in_one_configuration_or_left_out(shared_data, name):
    store = open_store(shared_data / "stores" / name)
    tables = store.read(store.read_runs(Query()).column("run_id").to_pylist())
    study = describe_study(tables, take_inventory(tables))
    held = [run for one in study.configurations for run in one.run_ids]
    assert len(held) == len(set(held))
    aside = {run for run, why in study.left_out.items() if why.startswith(("parent", "part of", "continued"))}
    assert set(held) | aside == set(tables.run_ids)
    assert not set(held) & aside
    assert sorted(run for task in study.tasks for run in task.run_ids) == sorted(tables.run_ids)
    json.dumps(study_as_data(study, tables), allow_nan=False)


def test_a_hostile_store_is_described(hostile_store):
    uri, canary = hostile_store
    store = open_store(uri)
    tables = store.read(store.read_runs(Query()).column("run_id").to_pylist())
    study = describe_study(tables, take_inventory(tables))
    assert {run for task in study.tasks for run in task.run_ids} == set(tables.run_ids)
    assert not list(canary.iterdir())


def test_importing_the_package_does_not_import_heavy_modules():
    code = "import sys, qualia_lab.study as study; study.StudySettings; print(any(m in sys.modules for m in ('numpy', 'pyarrow')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
