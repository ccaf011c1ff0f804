"""What a project says in [tool.qualia], and what of it reaches a notebook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qualia_lab.errors import NoRunMatches, QualiaLabError, SettingsError
from qualia_lab.inventory import take_inventory
from qualia_lab.notebook.defaults import fill_selection
from qualia_lab.schema import EXPERIMENT_TAGS
from qualia_lab.selection import Selection
from qualia_lab.settings import Settings, read_settings
from qualia_lab.tables import table_of

from .analysis.test_groups import runs_with


def written(folder, text):
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_says_metric_seeds_baseline_and_templates(tmp_path):
    text = """
    [tool.qualia]
    metric = "val_auc:max"
    seeds = ["shuffle"]
    baseline = { lr = 0.1, model = "mlp" }
    [tool.qualia.templates]
    team = "mine.py"
    """
    assert read_settings(written(tmp_path, text)) == Settings(
        {"team": Path("mine.py")}, "val_auc:max", ("shuffle",), {"lr": "0.1", "model": "mlp"}
    )


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'", "tool = 3", "[tool.other]\nmetric = 3"])
def test_a_project_that_says_nothing_of_it_settles_nothing(tmp_path, text):
    assert read_settings(written(tmp_path, text)) == Settings()


def test_a_folder_without_a_project_settles_nothing(tmp_path):
    assert read_settings(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.qualia]\nmetrik = 'a'", r"has no key metrik. Did you mean metric\?"),
        ("[tool.qualia]\nzzz = 1", r"has no key zzz. There are: "),
        ("[tool.qualia]\nmetric = 3", "metric is no text. Write metric ="),
        ("[tool.qualia]\nseeds = 'seed'", r"seeds is no list of texts. Write seeds = \[\"seed\"\]"),
        ("[tool.qualia]\nbaseline = 3", "baseline is of the wrong kind"),
        ("[tool.qualia]\nbaseline = { lr = [1] }", r"baseline.lr is neither text nor a number"),
        ("[tool.qualia]\ntemplates = 'a.py'", "templates is of the wrong kind"),
        ("[tool]\nqualia = 3", "tool.qualia is no table"),
        ("[tool.qualia", "pyproject.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_named_with_what_to_write(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said):
        read_settings(written(tmp_path, text))


TABLES = runs_with(
    [({"lr": str(lr), "shuffle": str(n)}, {"val_auc": 0.5, "odd": 1.0}) for lr in (0.1, 0.2) for n in range(3)]
)


def filled(settings=None, tables=TABLES, **asked):
    selection = Selection("sqlite:///a.db", tables.run_ids, **asked)
    return fill_selection(selection, take_inventory(tables), tables.experiment_tags, settings or Settings(), tables)


def test_without_a_word_the_metric_is_found_by_its_name_and_that_is_said():
    found = filled()
    assert (found.primary_metric, found.greater_is_better, found.seeds, found.baseline) == ("val_auc", True, None, None)
    assert found.notes == ("The primary metric is val_auc, by its name; more is better.",)


def test_settings_fill_what_was_not_asked_for():
    settings = Settings({}, "odd:min", ("shuffle", "elsewhere"), {"lr": "0.2"})
    found = filled(settings)
    assert (found.primary_metric, found.greater_is_better) == ("odd", False)
    assert (found.seeds, found.baseline) == (("shuffle",), {"lr": "0.2"})
    assert found.notes == ("The primary metric is odd, by [tool.qualia]; less is better.",)
    asked = filled(settings, primary_metric="val_auc", seeds=("lr",), baseline="run0")
    assert (asked.primary_metric, asked.greater_is_better) == ("val_auc", True)
    assert (asked.seeds, asked.baseline) == (("lr",), "run0")


def test_a_metric_whose_direction_nothing_says_has_none_and_that_is_said():
    found = filled(primary_metric="odd")
    assert found.greater_is_better is None
    assert found.notes[0].endswith("whether more or less of it is better is not known.")


def test_settings_that_these_runs_lack_are_said_and_the_rest_goes_on():
    found = filled(Settings({}, "f1:max", None, {"lr": "7"}))
    assert (found.primary_metric, found.baseline) == ("val_auc", None)
    assert found.notes[1] == "The metric f1 of [tool.qualia] is in none of these runs."
    assert found.notes[2].startswith("The baseline of [tool.qualia] is not here: No configuration has lr=7")


def test_the_experiments_tags_come_before_names_and_behind_the_project():
    tags = [
        {"experiment_id": "1", "key": "mlflow.experiment.primaryMetric.name", "value": "odd"},
        {"experiment_id": "1", "key": "mlflow.experiment.primaryMetric.greaterIsBetter", "value": "False"},
    ]
    tagged = replace(TABLES, experiment_tags=table_of(EXPERIMENT_TAGS, tags))
    found = filled(tables=tagged)
    assert (found.primary_metric, found.greater_is_better) == ("odd", False)
    assert found.notes == ("The primary metric is odd, by the experiment's tags; less is better.",)
    assert filled(Settings({}, "val_auc"), tagged).primary_metric == "val_auc"
    assert filled(tables=tagged, primary_metric="odd").greater_is_better is False


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"primary_metric": "val_au"}, r"None of these runs has a metric val_au. There is val_auc."),
        ({"seeds": ("shufle",)}, r"None of these runs has a param shufle. There is shuffle."),
    ],
)
def test_what_was_asked_for_has_to_be_there(asked, said):
    with pytest.raises(NoRunMatches, match=said):
        filled(**asked)


def test_a_baseline_that_was_asked_for_has_to_be_one_configuration():
    with pytest.raises(QualiaLabError, match="The baseline nobody is none of these runs"):
        filled(baseline="nobody")
    with pytest.raises(QualiaLabError, match=r"3 configurations have lr=0.1, and only one can be the baseline"):
        filled(baseline={"lr": "0.1"})  # shuffle was not said to be a seed
    assert filled(baseline={"lr": "0.1"}, seeds=("shuffle",)).baseline == {"lr": "0.1"}
