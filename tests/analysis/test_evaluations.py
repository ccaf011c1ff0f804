"""Rows of evaluations: which judgements count, how rows are paired, and what the comparison says."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from scipy.stats import binom

from qualia_lab import schema
from qualia_lab.analysis.assessments import first_opinions
from qualia_lab.analysis.evaluation_artifact import evaluation_of_table
from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow, Judgement, evaluations_of, scorers_of
from qualia_lab.analysis.judges import constant_judges, judges_against_humans
from qualia_lab.analysis.logged_tables import read_logged_table
from qualia_lab.analysis.row_keys import RowKeys, inputs_key
from qualia_lab.analysis.row_pairs import pair_rows
from qualia_lab.analysis.scorers import read_scorers
from qualia_lab.analysis.slices import compare_slices
from qualia_lab.analysis.version_comparison import changed_rows, compare_versions
from qualia_lab.genai_tables import evaluation_tables
from qualia_lab.tables import table_of

from .genai_samples import START, feedback, trace, traces_of

# Noise datasets; QUALIA_TEST_DATASETS asks for more.
DATASETS = int(os.environ.get("QUALIA_TEST_DATASETS", "100"))


@pytest.mark.parametrize(
    ("name", "values", "kind", "greater_is_better"),
    [
        ("correctness", [True, False], "binary", True),
        ("relevance", ["yes", "no", "unknown"], "binary", True),
        ("is_toxic", [True, False], "binary", False),
        ("is_concise", ["yes", "no"], "binary", True),
        ("contains_pii", [True, False], "binary", None),
        ("refusal", ["yes", "no"], "binary", None),
        ("anything_else", ["pass", "fail"], "binary", True),
        ("toxicity", [0.1, 0.9], "number", False),
        ("latency", [1, 2.5], "number", False),
        ("quality", [1, 2, "3"], "number", True),
        ("tone", [1, 2, 3], "number", None),
        ("retries", [0, 1, 0], "binary", None),
        ("tone", ["formal", "casual"], "category", None),
        ("odd", [[1], "x"], "mixed", None),
        ("nothing", [None], "binary", None),
    ],
)
def test_a_scorer_is_described_by_all_of_its_values_and_its_name(name, values, kind, greater_is_better):
    scorer = read_scorers({name: values})[name]
    assert (scorer.kind, scorer.greater_is_better) == (kind, greater_is_better)
    assert scorer.why
    assert read_scorers({name: values}, {name: False})[name].greater_is_better is False


def test_superseded_and_failed_judgements_are_not_values():
    rows = [trace("t", "r")]
    judged = [
        feedback("t", "correctness", True, valid=False, assessment_id="a1"),
        feedback("t", "correctness", False, overrides="a1", assessment_id="a2", creation_time=START + 1),
        feedback("t", "relevance", None, error="rate limit"),
        feedback("t", "safety", "unknown", source_type="LLM_JUDGE"),
        feedback("t", "quality", 2, source_type="LLM_JUDGE", source_id="x", assessment_id="q1"),
        feedback("t", "quality", 4, source_type="LLM_JUDGE", source_id="y", assessment_id="q2"),
        feedback("t", "quality", 5, source_type="HUMAN", source_id="ann", assessment_id="q3"),
        feedback("t", "tone", 3, source_type="HUMAN", source_id="ann"),
        feedback("t", "other_run", True, run_id="another"),
    ]
    [evaluation] = evaluations_of(traces_of(rows, judged))
    [row] = evaluation.rows
    scorers = scorers_of([evaluation])
    assert row.judgements["correctness"].values == (False,)
    assert (row.judgements["relevance"].values, row.judgements["relevance"].error) == ((), "rate limit")
    assert (row.judgements["safety"].values, row.judgements["safety"].error) == ((), "undecided")
    assert row.judgements["quality"].number(scorers["quality"]) == 3.0
    assert row.judgements["tone"].is_human
    assert "other_run" not in row.judgements


def test_the_traces_of_scorers_and_of_runs_without_feedback_are_no_rows():
    rows = [trace("t", "r"), trace("judge", "r"), trace("plain", "s"), trace("linked")]
    judged = [
        feedback("t", "correctness", True),
        feedback("judge", "x", True),
        feedback("linked", "correctness", False),
    ]
    tables = traces_of(
        rows, judged, tags=[("judge", "mlflow.trace.sourceScorer", "x")], links=[("linked", "e"), ("t", "e")]
    )
    found = {one.run_id: [row.row_id for row in one.rows] for one in evaluations_of(tables)}
    assert found == {"r": ["t"], "e": ["linked", "t"]}


def test_inputs_are_the_same_in_any_order_of_keys():
    assert inputs_key('{"a": 1, "b": [2]}') == inputs_key({"b": [2], "a": 1}) != inputs_key({"a": 1})
    assert inputs_key("what  is\n it") == inputs_key("what is it")
    assert inputs_key("") == inputs_key("{}") == inputs_key("null") == ""
    assert inputs_key("[" * 100_000)


def versions(first, second, **columns):
    """Two evaluations of the same questions: (question, value) pairs of each."""
    rows, judged = [], []
    for run_id, side in (("a", first), ("b", second)):
        for place, (question, value) in enumerate(side):
            trace_id = f"{run_id}{place}"
            rows.append(trace(trace_id, run_id, request_preview=json.dumps({"q": question})))
            if value is not None:
                judged.append(feedback(trace_id, "correctness", value, rationale=f"because {value}"))
    return evaluations_of(traces_of(rows, judged, **columns))


def test_rows_are_paired_by_their_inputs_and_repeated_ones_are_averaged():
    first, second = versions(
        [("x", True), ("y", False), ("z", True), ("z", False), ("only", True)],
        [("y", True), ("x", True), ("z", True), ("new", True), ("new2", None)],
    )
    pairs = pair_rows(first, second)
    assert (pairs.by, len(pairs.pairs), pairs.repeated) == ("inputs", 3, 1)
    assert [row.row_id for row in pairs.only_first] == ["a4"]
    assert [row.row_id for row in pairs.only_second] == ["b3", "b4"]
    compared = compare_versions(first, second)
    [scorer] = compared.scorers
    assert (scorer.test.n, scorer.wins, scorer.losses, scorer.ties) == (3, 2, 0, 1)
    assert (scorer.first_values, scorer.test.test) == ((1.0, 0.0, 0.5), "sign flips")
    assert scorer.verdict == "too few pairs to tell"
    changed = changed_rows(compared, "correctness")
    assert [(row.pair.key, row.is_better) for row in changed] == [(scorer.keys[1], True), (scorer.keys[2], True)]
    assert (changed[0].first_rationale, changed[0].second_rationale) == ("because False", "because True")


def test_rows_are_paired_by_request_ids_or_records_where_these_pair_more():
    cut = "x" * 997 + "..."
    rows = [trace(f"{run}{i}", run, request_preview=cut, client_request_id=f"q{i}") for run in "ab" for i in range(3)]
    judged = [feedback(row["trace_id"], "correctness", True) for row in rows]
    first, second = evaluations_of(traces_of(rows, judged))
    assert pair_rows(first, second).by == "request"
    assert [len(pair.first) for pair in pair_rows(first, second).pairs] == [1, 1, 1]
    inputs = {row["trace_id"]: json.dumps({"q": row["trace_id"][1:]}) for row in rows}
    records = [
        {"dataset_id": "d", "record_id": f"rec{i}", "inputs": json.dumps({"q": str(i)}), "tags": '{"split": "hard"}'}
        for i in range(3)
    ]
    datasets = evaluation_tables(records=table_of(schema.EVALUATION_RECORDS, records))
    first, second = evaluations_of(traces_of(rows, judged), inputs, datasets)
    pairs = pair_rows(first, second)
    assert (pairs.by, [pair.key for pair in pairs.pairs]) == ("record", ["rec0", "rec1", "rec2"])
    assert first.rows[0].tags == {"split": "hard"}
    for row in rows:
        row["client_request_id"] = None
    first, second = evaluations_of(traces_of(rows, judged))
    assert (pair_rows(first, second).pairs, pair_rows(first, second).without_key) == ((), 6)


def test_missing_and_failed_judgements_are_counted_and_in_no_mean():
    first, second = versions([(i, True) for i in range(10)], [(i, None if i < 2 else i % 2 == 0) for i in range(10)])
    [scorer] = compare_versions(first, second).scorers
    assert (scorer.test.n, scorer.second_lacks.missing, scorer.first_lacks.missing) == (8, 2, 0)
    assert (scorer.first_mean, scorer.second_mean, scorer.losses) == (1.0, 0.5, 4)
    assert scorer.verdict == "not told apart"


def test_a_row_with_one_of_two_judges_failed_has_a_value_and_is_counted():
    rows = [trace(f"{run}{i}", run, request_preview=f"question {i}") for run in "ab" for i in range(3)]
    judged = [feedback(row["trace_id"], "correctness", True, source_id="x") for row in rows]
    judged.append(feedback("b1", "correctness", None, error="rate limit", source_id="y", assessment_id="y"))
    first, second = evaluations_of(traces_of(rows, judged))
    [scorer] = compare_versions(first, second).scorers
    assert (scorer.test.n, scorer.second_lacks.partly_failed, scorer.second_lacks.failed) == (3, 1, 0)


def test_p_values_are_corrected_over_the_scorers():
    rows = [trace(f"{run}{i}", run, request_preview=f"question {i}") for run in "ab" for i in range(30)]
    judged = [
        feedback(row["trace_id"], name, row["trace_id"][0] == "b" or int(row["trace_id"][1:]) >= wins)
        for row in rows
        for name, wins in (("correctness", 6), ("relevance", 8), ("safety", 0))
    ]
    first, second = evaluations_of(traces_of(rows, judged))
    found = {one.scorer.name: one for one in compare_versions(first, second).scorers}
    assert found["relevance"].corrected == pytest.approx(3 * 2 / 2**8)
    assert found["correctness"].corrected == pytest.approx(2 * 2 / 2**6)
    assert (found["relevance"].verdict, found["correctness"].verdict) == ("better", "not told apart")
    assert found["relevance"].test.low > 0


def test_a_table_of_mlflow_2_is_an_evaluation():
    text = json.dumps(
        {
            "columns": [
                "inputs",
                "ground_truth",
                "outputs",
                "toxicity/v1/score",
                "answer_similarity/v1/score",
                "answer_similarity/v1/justification",
                "latency",
                "token_count",
            ],
            "data": [
                ["What?", "That", "This", 0.1, 4, "close", 1.5, 12],
                ["Who?", "He", "She", 0.2, None, None, None, 3],
            ],
        }
    )
    evaluation = evaluation_of_table("r", read_logged_table(text))
    assert evaluation.scorer_names == ("answer_similarity/v1", "toxicity/v1")
    first, second = evaluation.rows
    assert (first.inputs, first.outputs, first.duration, first.total_tokens) == ("What?", "This", 1500.0, 12.0)
    assert first.judgements["answer_similarity/v1"].rationale == "close"
    assert second.judgements["answer_similarity/v1"].error == "no value"
    scorers = scorers_of([evaluation])
    assert (scorers["toxicity/v1"].greater_is_better, scorers["answer_similarity/v1"].greater_is_better) == (
        False,
        True,
    )
    assert len(pair_rows(evaluation, evaluation).pairs) == 2
    assert evaluation_of_table("r", read_logged_table('{"columns": ["a"], "data": [[1]]}')) is None


def test_judges_are_compared_with_humans_also_where_these_corrected_them():
    judged = []
    for place in range(40):
        by_judge, by_human = place % 4 != 0, place % 8 != 0
        differs = by_judge != by_human
        judged.append(
            feedback(
                f"t{place}",
                "correctness",
                by_judge,
                source_type="LLM_JUDGE",
                assessment_id=f"j{place}",
                valid=not differs,
            )
        )
        judged.append(
            feedback(
                f"t{place}",
                "correctness",
                "yes" if by_human else "no",
                source_type="HUMAN",
                assessment_id=f"h{place}",
                overrides=f"j{place}" if differs else None,
            )
        )
    opinions = first_opinions(traces_of([], judged).assessments)
    [agreement] = judges_against_humans(opinions)
    assert (agreement.kappa.n, agreement.kappa.agreement) == (40, 0.875)
    assert agreement.kappa.low < agreement.kappa.kappa < agreement.kappa.high
    assert agreement.corrected_by_humans == len(agreement.disagreements) == 5


def test_a_judge_that_always_says_yes_is_found():
    judged = [feedback(f"t{i}", "safe", "yes", source_type="LLM_JUDGE", source_id="gpt") for i in range(25)]
    judged += [
        feedback(f"t{i}", "safe", i > 2, source_type="HUMAN", source_id="ann", assessment_id=f"h{i}") for i in range(6)
    ]
    judged += [feedback(f"t{i}", "valid_json", True) for i in range(25)]
    [judge] = constant_judges(first_opinions(traces_of([], judged).assessments), 20)
    assert (judge.name, judge.value, len(judge.trace_ids), judge.others) == ("safe", "yes", 25, ("no", "yes"))
    assert judge.differing == ("t0", "t1", "t2")
    assert constant_judges(first_opinions(traces_of([], judged).assessments), 26) == ()


def planted(seed, *, better=0.0, worse_on=0.0, rows=120):
    """Two versions whose true chances of a right answer differ as given, on slices by topic."""
    generator = np.random.default_rng(seed)
    topics = generator.choice(["sql", "pandas", "charts"], rows)
    hard = generator.random(rows)
    evaluations = []
    for run in "ab":
        rows_of_run = []
        for place in range(rows):
            change = 0.0 if run == "a" else -worse_on if topics[place] == "sql" else better
            right = bool(generator.random() < np.clip(0.3 + 0.4 * hard[place] + change, 0, 1))
            grade = int(np.clip(np.round(3 + hard[place] + change * 3 + generator.normal()), 1, 5))
            judgements = {"correctness": Judgement((right,)), "quality": Judgement((grade,))}
            keys = RowKeys(inputs=str(place))
            rows_of_run.append(EvaluationRow(f"{run}{place}", keys, "", "", judgements, {"topic": str(topics[place])}))
        evaluations.append(Evaluation(run, tuple(rows_of_run)))
    first, second = evaluations
    return compare_versions(first, second)


def test_planted_differences_are_found():
    found = [planted(seed, better=0.3) for seed in range(10)]
    verdicts = [one.verdict for comparison in found for one in comparison.scorers]
    assert verdicts.count("better") >= 18
    assert not any(one.is_hidden_regression for comparison in found for one in compare_slices(comparison))
    on_slices = [planted(seed, better=0.45, worse_on=0.45, rows=200) for seed in range(10)]
    hidden = [{(one.tag, one.value) for one in compare_slices(each) if one.is_hidden_regression} for each in on_slices]
    assert hidden.count({("topic", "sql")}) >= 9


def test_of_versions_that_do_not_differ_at_most_one_in_twenty_has_a_claim():
    claims = slices = 0
    for seed in range(DATASETS):
        comparison = planted(seed, rows=60)
        claims += any(one.verdict in ("better", "worse") for one in comparison.scorers)
        slices += any(one.compared.verdict in ("better", "worse") for one in compare_slices(comparison))
    most = binom.ppf(0.98, DATASETS, 0.05)
    assert claims <= most, claims
    assert slices <= most, slices
