"""Settings from [tool.qualia], flags and arguments, and their application to runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from qualia_lab.errors import NoRunMatches, SelectionError, SettingsError, UnknownKey
from qualia_lab.inventory import take_inventory
from qualia_lab.schema import METRICS, PARAMS, RUNS
from qualia_lab.settings import Settings, read_settings, settings_from_arguments
from qualia_lab.study.baseline import fit_baseline
from qualia_lab.study.describe import describe_study
from qualia_lab.study.settings import StudySettings, merge_settings
from qualia_lab.tables import run_tables, table_of


def written(folder, text):
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_project_settings_are_read(tmp_path):
    text = """
    [tool.qualia]
    metric = "val_auc:max"
    seeds = ["shuffle"]
    factors = ["variant"]
    labels = ["out"]
    statuses = ["finished", "FAILED"]
    pool = true
    smallest_difference = 0.01
    baseline = { lr = 0.1, model = "mlp" }
    [tool.qualia.templates]
    team = "mine.py"
    [tool.qualia.metrics]
    val_foo = "higher"
    joules = { better = "lower", role = "cost" }
    "odd/key" = { role = "count" }
    [tool.qualia.findings]
    plateau = false
    """
    assert read_settings(written(tmp_path, text)) == Settings(
        {"team": Path("mine.py")},
        StudySettings(
            metric="val_auc",
            better={"val_foo": "higher", "joules": "lower", "val_auc": "higher"},
            metric_roles={"joules": "cost", "odd/key": "count"},
            seeds=("shuffle",),
            factors=("variant",),
            labels=("out",),
            baseline={"lr": "0.1", "model": "mlp"},
            statuses=("FINISHED", "FAILED"),
            pool=True,
            smallest_difference=0.01,
            findings={"plateau": False},
        ),
    )


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'", "tool = 3", "[tool.other]\nmetric = 3"])
def test_a_project_without_the_table_has_default_settings(tmp_path, text):
    assert read_settings(written(tmp_path, text)) == Settings()


def test_a_folder_without_a_project_has_default_settings(tmp_path):
    assert read_settings(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.qualia]\nmetrik = 'a'", r"has no key metrik. Did you mean metric\?"),
        ("[tool.qualia]\nzzz = 1", r"has no key zzz. Known keys: "),
        ("[tool.qualia]\nmetric = 3", "metric is not a text. Write metric ="),
        ("[tool.qualia]\nseeds = 'seed'", r"seeds is not a list of texts. Write seeds = \[\"seed\"\]"),
        ("[tool.qualia]\nfactors = [1]", r"factors is not a list of texts. Write factors = \[\"factor\"\]"),
        ("[tool.qualia]\nstatuses = 'FINISHED'", r"statuses is not a list of texts. Write statuses = \[\"FINISHED\"\]"),
        ("[tool.qualia]\npool = 1", "pool is neither true nor false"),
        ("[tool.qualia]\nsmallest_difference = -1", "smallest_difference is not a number above 0"),
        ("[tool.qualia.metrics]\na = 'up'", "a has a better that is not one of higher, lower"),
        ("[tool.qualia.metrics]\na = {role = 'loss'}", "a has a role that is not one of objective, training, part"),
        ("[tool.qualia.metrics]\na = {}", "a has neither a better direction nor a role. Write val_auc ="),
        ("[tool.qualia.metrics]\na = 3", "a has neither"),
        ("[tool.qualia.metrics]\na = {best = 1}", "a has neither"),
        ("[tool.qualia]\nmetrics = 3", r"metrics is not a table. Write \[tool.qualia.metrics\]"),
        ("[tool.qualia]\nbaseline = 3", "baseline has the wrong type"),
        ("[tool.qualia]\nbaseline = { lr = [1] }", r"baseline.lr is neither text nor a number"),
        ("[tool.qualia]\ntemplates = 'a.py'", "templates has the wrong type"),
        ("[tool]\nqualia = 3", "tool.qualia is not a table"),
        ("[tool.qualia", "pyproject.toml cannot be read"),
    ],
)
def test_invalid_settings_are_reported_with_a_hint(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said):
        read_settings(written(tmp_path, text))


def test_arguments_become_settings():
    assert settings_from_arguments() == StudySettings()
    assert settings_from_arguments(
        metric="a:min", seeds=[], factors=["f"], labels=["l"], pool=True, smallest_difference=0.1
    ) == (
        StudySettings(
            metric="a",
            better={"a": "lower"},
            seeds=(),
            factors=("f",),
            labels=("l",),
            pool=True,
            smallest_difference=0.1,
        )
    )
    assert settings_from_arguments(metric="a:b").metric == "a:b"
    assert settings_from_arguments(baseline=["lr = 0.1", "model=mlp"]).baseline == {"lr": "0.1", "model": "mlp"}
    assert settings_from_arguments(baseline="run 7").baseline == "run 7"
    assert settings_from_arguments(baseline={"lr": "0.1"}).baseline == {"lr": "0.1"}
    with pytest.raises(SelectionError, match="The baseline run7 is not of the form param=value"):
        settings_from_arguments(baseline=["lr=0.1", "run7"])


# Two configurations with three runs each, and a metric with unknown direction.
CONFIGURED = [(f"run{place}", ("0.1", "0.2")[place // 3], str(place % 3)) for place in range(6)]
TABLES = run_tables(
    runs=table_of(RUNS, [{"run_id": one, "experiment_id": "1", "status": "FINISHED"} for one, _, _ in CONFIGURED]),
    params=table_of(
        PARAMS,
        [
            {"run_id": one, "key": key, "value": value}
            for one, lr, shuffle in CONFIGURED
            for key, value in (("lr", lr), ("shuffle", shuffle))
        ],
    ),
    metrics=table_of(
        METRICS,
        [
            {"run_id": one, "key": key, "value": value}
            for one, _, shuffle in CONFIGURED
            for key, value in (("val_auc", 0.5 + int(shuffle) / 100), ("odd", 1.0))
        ],
    ),
)


def described(person=None, project=None):
    settings = merge_settings(person or StudySettings(), project or StudySettings())
    return fit_baseline(describe_study(TABLES, take_inventory(TABLES), settings), TABLES)


def test_user_settings_override_project_settings_which_override_names():
    assert described().objective.key == "val_auc"
    project = StudySettings(metric="odd", better={"odd": "lower"}, seeds=("shuffle",), baseline={"lr": "0.2"})
    study = described(project=project)
    assert (study.objective.key, study.objective.better, study.objective.source) == ("odd", "lower", "settings")
    assert (study.seeds, study.settings.baseline) == (("shuffle",), {"lr": "0.2"})
    asked = described(StudySettings(metric="val_auc", seeds=("lr",), baseline="run0"), project)
    assert (asked.objective.key, asked.objective.better, asked.objective.source) == ("val_auc", "higher", "person")
    assert (asked.seeds, asked.settings.baseline) == (("lr",), "run0")


def test_keys_of_the_project_that_no_run_has_are_noted():
    study = described(project=StudySettings(metric="f1", baseline={"lr": "7"}))
    assert (study.objective.key, study.settings.baseline) == ("val_auc", None)
    assert any("f1" in note and "[tool.qualia]" in note for note in study.notes)
    assert "The baseline of [tool.qualia] is not among these runs: No configuration has lr=7." in study.notes


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (StudySettings(metric="val_auk"), UnknownKey, r"There is no metric val_auk\. Did you mean val_auc\?"),
        (StudySettings(seeds=("shufle",)), UnknownKey, r"no param or tag shufle\. Did you mean shuffle\?"),
        (StudySettings(baseline="run77"), NoRunMatches, "run77 is neither the id nor the name of a run here"),
        (StudySettings(baseline={"lr": "7"}), NoRunMatches, "No configuration has lr=7"),
        (StudySettings(baseline={"no": "7"}), NoRunMatches, "No configuration has no=7"),
    ],
)
def test_keys_of_the_user_that_no_run_has_are_errors(said, error, words):
    with pytest.raises(error, match=words):
        described(said)


def test_a_baseline_matches_regardless_of_spelling():
    assert described(StudySettings(baseline={"lr": "1e-1"}, seeds=("shuffle",))).settings.baseline == {"lr": "1e-1"}
    with pytest.raises(NoRunMatches, match=r"2 configurations have shuffle=1. Add params that distinguish them"):
        described(StudySettings(baseline={"shuffle": "1"}, seeds=(), factors=("shuffle",)))
