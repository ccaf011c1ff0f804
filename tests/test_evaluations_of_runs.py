"""`runs.evaluations` on the store of `create-demo-runs --genai`, whose truth is known."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.errors import UnknownKey, UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.notebook.results import read_results
from qualia_lab.runs import Runs
from qualia_lab.runs.missing import with_dashes
from qualia_lab.scripts.genai_story import VERSIONS, generate_genai_story

pytestmark = pytest.mark.usefixtures("quick_kernels")

LEADER, NEXT = "large-prompt2", "large-prompt1"


@pytest.fixture(scope="module")
def uri(genai_demo):
    return f"sqlite:///{genai_demo}"


@pytest.fixture(scope="module")
def selection(uri):
    with NotebookGenerator(uri) as generator:
        return generator.select(experiments=["docs-assistant"])


@pytest.fixture(scope="module")
def evaluations(uri, selection):
    return load_runs(uri, selection.run_ids).evaluations


@pytest.fixture(scope="module")
def story():
    return [answer for answer in generate_genai_story() if answer.evaluated]


def said_by_judge(story, version, name="correctness"):
    """{question: what the judge says} of a version."""
    index = [one.name for one in VERSIONS].index(version)
    return {
        answer.question.text: judgement.value
        for answer in story
        if answer.version == index
        for judgement in answer.judgements
        if judgement.name == name and judgement.source != "HUMAN" and judgement.value is not None
    }


def test_means_are_over_the_rows_with_a_value_and_what_has_none_is_counted(evaluations, story):
    scores = evaluations.scores()
    assert len(scores) == 3 * len(VERSIONS)
    for version in VERSIONS:
        row = scores[scores["scorer"] == "correctness"].loc[version.name]
        values = said_by_judge(story, version.name)
        answers = [one for one in story if VERSIONS[one.version] == version]
        failed = sum(one.name == "correctness" and one.value is None for a in answers for one in a.judgements)
        assert row["n"] == len(values) and row["failed"] == failed
        assert row["mean"] == pytest.approx(sum(values.values()) / len(values))
        assert row["n"] + row["failed"] + row["missing"] == len(answers)


def test_a_comparison_pairs_equal_questions_and_is_mcnemars_test(evaluations, story):
    compared = evaluations.compare(against=LEADER)
    assert compared.attrs["against"] == LEADER
    first = said_by_judge(story, LEADER)
    for version in VERSIONS:
        if version.name == LEADER:
            assert version.name not in compared.index
            continue
        second = said_by_judge(story, version.name)
        pairs = [(first[question], second[question]) for question in first if question in second]
        row = compared[compared["scorer"] == "correctness"].loc[version.name]
        wins, losses = (sum(pair == one for pair in pairs) for one in ((False, True), (True, False)))
        assert (row["pairs"], row["wins"], row["losses"], row["ties"]) == (
            len(pairs), wins, losses, len(pairs) - wins - losses
        )  # fmt: skip
        table = [[0, losses], [wins, 0]]
        assert row["p (Holm)"] >= round(float(mcnemar(table, exact=True).pvalue), 4)


def test_a_number_that_is_missing_is_not_shown_as_a_logged_nan(genai_sample):
    ids = json.loads((genai_sample / "ids.json").read_text())
    runs = load_runs(f"sqlite:///{genai_sample / 'mlflow.db'}", list(ids["runs"].values()))
    shown = with_dashes(runs.evaluations.compare())
    assert shown[shown["scorer"] == "grade"]["difference"].tolist() == ["–"]
    shown = with_dashes(runs.evaluations.scores())
    assert set(shown[shown["scorer"] == "grade"]["mean"]) == {"–"}


def test_the_answer_says_no_more_than_the_table(evaluations):
    said, compared = repr(evaluations.answer()), evaluations.compare()
    assert said.startswith(f"{LEADER} has the best mean correctness, 0.")
    of_main = compared[compared["scorer"] == "correctness"]
    told = said.partition("it is better than ")[2].partition(" and cannot be told from")[0]
    for run, row in of_main.iterrows():
        assert (run in told) == (row["verdict"] == "worse"), run
    assert "small-prompt2" in told and NEXT not in told


def test_changed_rows_are_those_on_which_the_two_differ_with_what_got_worse_first(evaluations, story):
    changed = evaluations.changed_rows(LEADER, NEXT, limit=100)
    first, second = said_by_judge(story, NEXT), said_by_judge(story, LEADER)
    expected = {question for question in first if question in second and first[question] != second[question]}
    assert set(changed["inputs"]) == expected
    scores = changed[f"{LEADER}: correctness"].tolist()
    assert scores == sorted(scores), "0 is before 1"
    assert changed.attrs["showing"] == f"{len(expected)} of {len(expected)}"
    assert evaluations.changed_rows(LEADER, NEXT, limit=2).attrs["showing"] == f"2 of {len(expected)}"


def test_the_planted_slice_is_found(evaluations):
    slices = evaluations.slices()
    row = slices[slices["scorer"] == "correctness"].loc["topic = prices"]
    assert row["difference"] < -0.5 and row["verdict"] == "worse"
    others = set(slices[slices["verdict"] != "worse"]["verdict"])
    assert (slices["verdict"] == "worse").sum() == 1, "nothing else is claimed"
    assert others <= {"not told apart", "too few pairs to tell"}


def test_judges_and_costs(evaluations, story):
    judges = evaluations.judges()
    assert list(judges.index) == ["correctness"]
    assert 50 <= judges.loc["correctness", "n"] <= 60 and judges.loc["correctness", "kappa"] > 0.7
    costs = evaluations.costs()
    assert (costs["rows"] == 60).all()
    for place, version in enumerate(VERSIONS):
        answers = [one for one in story if one.version == place]
        assert costs.loc[version.name, "failed"] == sum(one.failed for one in answers)
        paid = [sum(step.cost for step in one.steps) for one in answers if not one.failed]
        assert costs.loc[version.name, "USD per 1,000"] == pytest.approx(1000 * sum(paid) / len(paid))


def test_the_chart_has_a_panel_per_scorer_and_a_point_per_version(evaluations):
    chart = evaluations.chart()
    assert [panel.title for panel in chart.panels] == ["contains_fact", "correctness", "relevance"]
    assert all(len(panel.marks[-1].x) == len(VERSIONS) - 1 for panel in chart.panels)
    assert "told apart" in chart.sentence


def test_other_runs_and_scorers_can_be_asked_for(evaluations):
    changed = evaluations.changed_rows("medium-prompt1", "small-prompt1", "contains_fact")
    assert "medium-prompt1: contains_fact" in changed.columns
    with pytest.raises(UnknownKey, match="Did you mean correctness"):
        evaluations.changed_rows(scorer="corectness")
    with pytest.raises(UnknownRun):
        evaluations.compare(against="no such run")


def test_runs_without_an_evaluation_say_so(demo_store):
    uri = f"sqlite:///{demo_store}"
    with NotebookGenerator(uri) as generator:
        run_ids = generator.select(experiments=["churn"], limit=3).run_ids
    evaluations = load_runs(uri, run_ids).evaluations
    for method in ("answer", "scores", "compare", "chart", "changed_rows", "slices", "costs"):
        assert "No run has an evaluation" in repr(getattr(evaluations, method)()), method


def test_one_version_is_not_compared(uri, selection):
    evaluations = load_runs(uri, selection.run_ids[:1]).evaluations
    assert "is the only version judged by" in repr(evaluations.answer())
    for method in ("compare", "chart", "changed_rows", "slices"):
        assert "Only one run has an evaluation" in repr(getattr(evaluations, method)()), method
    assert isinstance(evaluations.scores(), pd.DataFrame)


@pytest.mark.slow
def test_the_template_evaluate_is_executed_without_the_store(genai_demo, tmp_path):
    shutil.copy(genai_demo, tmp_path / "mlflow.db")
    with NotebookGenerator(f"sqlite:///{tmp_path / 'mlflow.db'}") as generator:
        plan = generator.plan(generator.select(experiments=["docs-assistant"]), template="evaluate")
        notebook = json.loads(generator.make(plan, tmp_path / "e.ipynb", execute=True).read_text())
        selection = plan.selection
        runs = Runs(generator.store_of(selection), generator.read(selection), generator.describe(selection))
        said = {one_line(one.sentence, 700) for one in runs.find({}) if one.kind != "not examined"}
    # The kernel has a part of the spans, and finds the same.
    assert {one.sentence for one in read_results(notebook, ()).findings} == said
    assert any("correctness" in one for one in said)
    outputs = {
        cell["metadata"].get("qualia_lab", {}).get("key", cell["id"]): json.dumps(cell["outputs"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    }
    assert not any('"error"' in output for output in outputs.values())
    text = "".join(outputs.values())
    for said in ("large-prompt2 has the best mean correctness", "topic = prices", "USD per 1,000", "not told apart"):
        assert said in text
