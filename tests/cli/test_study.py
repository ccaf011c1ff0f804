"""`qualia study`, and the flags for selection and interpretation, on small stores with known contents."""

import json

from tests.stores.mlruns import write_experiment, write_run

from .command import CREATE, QUALIA, run_here


def said(cases, case, *flags, command="study"):
    done = run_here(QUALIA, command, "--tracking-uri", cases / case, *flags, cwd=cases)
    assert done.returncode == 0, done.stderr
    return done.stdout


def study(cases, case, *flags):
    return json.loads(said(cases, case, *flags, "--json"))


def roles(found):
    return {one["key"]: (one["role"], one["from"]) for one in found["params"]}


def test_experiments_are_tasks_unless_pooled(cases):
    found = study(cases, "two_tasks")
    assert found["objective"] is None
    assert {one["experiment"]: one["objective"]["key"] for one in found["tasks"]} == {
        "predict_a": "val_loss",
        "predict_b": "val_loss",
    }
    pooled = study(cases, "two_tasks", "--pool")
    assert pooled["objective"] | {"rivals": []} == {"key": "val_loss", "better": "lower", "from": "name", "rivals": []}
    assert "2 experiments are 2 tasks" in said(cases, "two_tasks")
    assert "One task: all experiments (6 runs)." in said(cases, "two_tasks", "--pool")


def test_what_is_said_of_several_tasks_names_the_task(tmp_path):
    for number, (name, net, seeds) in enumerate((("big", "vit", 2), ("small", "cnn", 1)), start=1):
        experiment = write_experiment(tmp_path, number, name)
        for seed in range(seeds):
            params = {"net": net, "seed": str(seed)}
            write_run(experiment, f"{number}{seed:031}", params=params, metrics={"acc": [(1, 0.5 + seed / 10, 0)]})
    text = run_here(QUALIA, "study", "--tracking-uri", tmp_path, cwd=tmp_path).stdout
    assert "2 configurations, 1 of several runs; the most, 2 in big: all runs." in text
    assert "constant in each task" in next(line for line in text.splitlines() if line.startswith("net "))


def test_flags_override_what_is_inferred(cases):
    assert roles(study(cases, "label_params"))["out_path"] == ("label", "name")
    flags = ("--factor", "out_path", "--label", "dim", "--seeds", "run")
    assert roles(study(cases, "label_params", *flags)) == {
        "dim": ("label", "person"),
        "out_path": ("factor", "person"),
        "run": ("seed", "person"),
    }
    found = study(cases, "duration_leads", "--metric", "train_duration_s:max")
    assert found["objective"]["key"] == "train_duration_s"
    assert (found["objective"]["better"], found["objective"]["from"]) == ("higher", "person")


def test_project_settings_define_metrics(cases, tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.qualia]\nlabels = ["dim"]\n[tool.qualia.metrics]\nval_acc = { better = "lower" }\n'
    )
    done = run_here(QUALIA, "study", "--tracking-uri", cases / "label_params", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["metrics"][0]["key"], found["metrics"][0]["better"]) == ("val_acc", "lower")
    assert found["metrics"][0]["from"] == "settings"
    assert roles(found)["dim"] == ("label", "settings")
    over = run_here(
        QUALIA, "study", "--tracking-uri", cases / "label_params", "--json", "--metric", "val_acc:max", cwd=tmp_path
    )
    assert json.loads(over.stdout)["objective"]["better"] == "higher"


def test_the_output_has_sentences_and_a_table(cases):
    text = said(cases, "a_sweep_and_its_parent")
    assert "One task: e (13 runs)." in text
    assert "val_acc is the objective, by its name; higher is better." in text
    assert "1 run: a parent whose children are included (sweep)." in text
    assert "12 configurations of 1 run each." in text
    rows = [line.split() for line in text.splitlines()]
    assert ["depth", "factor", "by", "its", "values", "3", "2,", "3,", "4"] in rows
    copies = said(cases, "one_computation_nine_times")
    assert "random_state only repeats configurations." in copies
    assert "8 runs: the same computation as another run (" in copies


def test_a_metric_with_unknown_direction_is_listed_with_the_line_that_sets_it(cases, tmp_path):
    done = run_here(QUALIA, "study", "--tracking-uri", cases / "label_params", "--metric", "val_akk", cwd=tmp_path)
    assert done.returncode == 17
    assert "Did you mean val_acc?" in done.stderr


def test_excluded_runs_that_were_named_are_reported(cases):
    rows = json.loads(said(cases, "a_sweep_and_its_parent", "--json", command="runs"))
    named = [row["run_id"] for row in rows[:4]]
    flags = [word for run_id in [*named, "f" * 32] for word in ("--run", run_id)]
    best = sorted(rows[:4], key=lambda row: -row["metrics"].get("val_acc", -1))[:2]
    done = run_here(
        *(QUALIA, "runs", "--tracking-uri", cases / "a_sweep_and_its_parent", *flags, "--top", 2, "--by", "val_acc"),
        *("--json",),
        cwd=cases,
    )
    assert [row["run_id"] for row in json.loads(done.stdout)] == [row["run_id"] for row in best]
    sentence = "2 of the 5 runs named are excluded by the other conditions, and the store does not have 1."
    assert sentence in done.stderr
    made = run_here(
        *(CREATE, "--tracking-uri", cases / "a_sweep_and_its_parent", *flags, "--top", 2, "--by", "val_acc"),
        *("--dry-run",),
        cwd=cases,
    )
    assert made.returncode == 0, made.stderr
    assert "2 runs of e, best val_acc first" in made.stderr
    assert sentence in made.stderr


def test_findings_are_computed_for_the_selected_runs_and_have_a_kind(cases):
    found = json.loads(said(cases, "interaction", "--metric", "val_acc", "--json", command="findings"))
    assert {one["kind"] for one in found} <= {"answer", "problem", "relation", "provenance", "not examined"}
    assert found[0]["kind"] == "answer"
    assert all(isinstance(one["next"], str) for one in found)
    rows = json.loads(said(cases, "interaction", "--json", command="runs"))
    two = [row["run_id"] for row in rows[:2]]
    few = json.loads(said(cases, "interaction", "--run", two[0], "--run", two[1], "--json", command="findings"))
    assert {run_id for one in few for run_id in one["run_ids"]} <= set(two)
