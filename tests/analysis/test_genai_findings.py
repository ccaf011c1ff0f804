"""The rules about evaluations, traces and models: planted facts are found with their numbers, and noise is not."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from qualia_lab.analysis.findings import RULES as ALL_RULES
from qualia_lab.analysis.findings import best_version
from qualia_lab.analysis.findings.finding import number
from tests.planted.run_rules import evidence_of
from tests.planted.store import PlantedStore

from .genai_samples import START, feedback, models_of, span, trace, traces_of
from .planted_genai import (
    HOUR,
    LATE,
    LATE_AND_STEADY,
    OUTPUTS,
    RULES,
    evaluated,
    every_rule,
    found,
    models,
    noise,
    served,
)

# Noise datasets; QUALIA_TEST_DATASETS asks for more.
DATASETS = int(os.environ.get("QUALIA_TEST_DATASETS", "40"))

# What a rule claims of noise; the others count what is there, or say themselves that it is noise.
CLAIMS = ("errors_began", "slice_regression", "usage_regression")


def test_a_version_worse_on_a_slice_is_found_with_its_rows():
    traces = evaluated(1, better=0.5, worse_on=0.5, rows=150)
    one = found(traces, rules=("slice_regression",))["slice_regression"]
    assert re.match(
        r"b is worse than a where topic = sql: mean (correctness|quality) [\d.]+ instead of [\d.]+ on the same \d+ rows "
        r"\(\d+ worse, \d+ better, p = [\d.e-]+ after correction\), although it is better in the mean of all 150 rows, ",
        one.sentence,
    )
    topics = {row["trace_id"]: row["value"] for row in traces.tags.to_pylist()}
    assert {topics[trace_id] for trace_id in one.trace_ids} == {"sql"}
    assert {trace_id[0] for trace_id in one.trace_ids} == {"b"}


def test_slower_and_dearer_versions_are_found_on_the_same_inputs():
    one = found(evaluated(2, slower=1.5), rules=("usage_regression",))["usage_regression"]
    numbers = {each.what: each.value for each in one.numbers}
    assert numbers["low"] < 1.5 < numbers["high"]
    assert re.match(
        r"Over the same inputs, b takes 1\.\d+ times the time \([\d.]+ s instead "
        r"of [\d.]+ s, 95 % 1\.\d+ to 1\.\d+\) and 1\.\d+ times the cost \(.*\) of a, n = 7\d \(p = ",  # without failed ones
        one.sentence,
    )
    assert found(evaluated(2, slower=1.1), rules=("usage_regression",)) == {}


def test_of_several_versions_the_one_that_grew_most_is_described():
    seconds = {"a": 1, "b": 1.5, "c": 4.5}
    rows = [
        trace(
            f"{run}{i}",
            run,
            request_preview=f"q{i}",
            duration=int(1000 * seconds[run] * (1 + i % 5)),
            request_time=START + n,
        )
        for n, run in enumerate(seconds)
        for i in range(20)
    ]
    judged = [feedback(one["trace_id"], "correctness", True) for one in rows]
    one = found(traces_of(rows, judged), rules=("usage_regression",))["usage_regression"]
    assert re.match(
        r"Over the same inputs, 2 versions take more than the one before, most of all c with 3\.00 times the time \(.* s "
        r"instead of .* s, 95 % .*\) of b, n = 20 \(p = .* after correction\)\. The others: b takes 1\.50 times the time of "
        r"a, n = 20\.",
        one.sentence,
    )


def test_models_in_use_are_compared_as_samples():
    generator = np.random.default_rng(0)
    rows = [
        trace(
            f"t{i}",
            model_id="m1" if i < 60 else "m2",
            request_time=START + i,
            total_tokens=int(generator.normal(100 if i < 60 else 180, 20)),
        )
        for i in range(120)
    ]
    one = found(traces_of(rows), rules=("usage_regression",))["usage_regression"]
    assert re.match(
        r"Models in use: m2 takes 1\.\d+ times the tokens \(.* tokens instead of "
        r".* tokens, 95 % .*\) of m1, n = 60 against 60 \(p = ",
        one.sentence,
    )


def test_errors_that_began_at_a_time_are_found():
    one = found(served(3, failing_from=250), rules=("errors_began",))["errors_began"]
    numbers = {each.what: each.value for each in one.numbers}
    assert START + 250 * 60_000 <= numbers["since, ms"] <= START + 262 * 60_000
    assert one.sentence.startswith("From 2023-11-15 02:2")
    assert set(one.trace_ids) <= {f"t{i}" for i in range(250, 400)}


def test_errors_of_a_version_are_found():
    one = found(served(4, failing_model="m2"), rules=("errors_began",))["errors_began"]
    assert re.match(r"With the model m2, \d+ of 150 traces failed, of the other traces \d+ of 250 \(p = ", one.sentence)


def test_an_outage_that_ended_is_called_so():
    rows = [trace(f"t{i}", request_time=START + i * HOUR, state="ERROR" if 90 <= i < 102 else "OK") for i in range(200)]
    one = found(traces_of(rows), rules=("errors_began",))["errors_began"]
    assert one.sentence.startswith(
        "From 2023-11-18 16:13 UTC on, 12 of 110 traces failed, the last one 2023-11-19 03:13 UTC, none of 98 since, "
        "before that 0 of 90 (p = "
    )


def test_of_noise_at_most_one_in_twenty_has_a_claim():
    claims = [tuple(found(noise(seed), rules=CLAIMS)) for seed in range(DATASETS)]
    count = sum(map(bool, claims))
    print(f"{count} of {DATASETS} noise stores have a claim: {[one for one in claims if one]}")
    assert count <= binom.ppf(0.98, DATASETS, 0.05)


def test_a_better_mean_within_noise_is_called_so():
    seed = next(
        seed
        for seed in range(50)
        if "improved_within_noise" in found(evaluated(seed), rules=("improved_within_noise",))
    )
    one = found(evaluated(seed), rules=("improved_within_noise",))["improved_within_noise"]
    assert one.sentence.startswith("b has a better mean than a, within noise on the same rows: ")
    assert found(evaluated(5, better=0.4), rules=("improved_within_noise",)) == {}


def test_repeated_tool_calls_are_retries_or_loops():
    call = {"type": "TOOL", "inputs": '{"q": "refund"}'}
    spans = [span("t1", "root"), *(span("t1", f"s{i}", "root", name="search", **call) for i in range(5))]
    spans += [span("t2", f"s{i}", None, name="search", **call) for i in range(2)]
    one = found(traces_of([trace("t1"), trace("t2")]), spans=spans, rules=("repeated_tool_calls",))[
        "repeated_tool_calls"
    ]
    assert one.sentence == (
        "1 of 2 traces calls a tool 3 times or more with the same input, although it had answered: search up to 5 times, in t1."
    )
    assert one.trace_ids == ("t1",)


def test_the_type_of_spans_that_takes_most_time_is_named():
    spans = [
        one
        for i in range(25)
        for one in (span(f"t{i}", "root", None, (0, 10**9)), span(f"t{i}", "llm", "root", (0, 9 * 10**8), type="LLM"))
    ]
    rows = [trace(f"t{i}") for i in range(25)]
    one = found(traces_of(rows), spans=spans, rules=("span_type_dominates",))["span_type_dominates"]
    assert one.sentence == (
        "Spans of type LLM take 90 % of the time of all spans of 25 traces: 22 s in 25 spans, without the time of the spans that they call."
    )
    assert (
        found(traces_of(rows), spans=spans, span_type_dominates={"share": 0.95}, rules=("span_type_dominates",)) == {}
    )


def test_a_judge_that_never_says_no_is_a_warning_if_humans_do():
    judged = [feedback(f"t{i}", "safe", "yes", source_type="LLM_JUDGE", source_id="gpt") for i in range(25)]
    alone = found(traces_of([], judged))["judge_always_same"]
    assert (alone.severity, alone.sentence) == (
        "note",
        "The judge safe of gpt gives all 25 traces the value yes: so far it does not tell any traces apart.",
    )
    judged += [feedback(f"t{i}", "safe", i > 2, source_type="HUMAN", assessment_id=f"h{i}") for i in range(6)]
    warned = found(traces_of([], judged))["judge_always_same"]
    assert (warned.severity, warned.trace_ids) == ("warning", ("t0", "t1", "t2"))
    assert "while others judge 3 of these differently" in warned.sentence


def test_expectations_without_feedback_are_counted():
    judged = [feedback(f"t{i}", "expected_response", "Paris", kind="expectation") for i in range(4)]
    judged += [
        feedback("t0", "correctness", True),
        feedback("t1", "correctness", None, error="rate limit", assessment_id="e"),
    ]
    one = found(traces_of([], judged))["unchecked_expectations"]
    assert one.sentence == (
        "3 of 4 traces with expectations (expected_response) have no feedback: nothing recorded compares them with the answer."
    )


def test_a_champion_that_another_model_exceeds_is_found():
    one = found(models=models({"m1": 0.8, "m2": 0.9, "m3": 0.7}))["champion_not_best"]
    assert one.sentence == (
        "Version 3 of churn with the alias champion, model model m1, has auc 0.8 on dataset valid; 1 of 2 other models is "
        "better, the best is model m2 (step 7) with 0.9. These are single values: whether it is more than noise is not known."
    )
    assert found(models=models({"m1": 0.8, "m2": 0.81})) == {}
    assert found(models=models({"m1": 0.8, "m2": 0.9}, key="foo")) == {}
    assert found(models=models({"m1": 0.8, "m2": 0.9}, champion="m2")) == {}


def test_a_best_step_that_was_never_saved_is_found():
    one = found(runs=LATE_AND_STEADY, models=models_of(outputs=OUTPUTS))["best_never_saved"]
    assert one.run_ids == (LATE,)
    assert one.steps == (39,)
    assert "No model was saved near the best val_acc in 1 of 2 runs: late, 0.8919 at step 39, " in one.sentence
    saved = [*OUTPUTS, {"run_id": LATE, "model_id": "saved", "step": 39}]
    assert found(runs=LATE_AND_STEADY, models=models_of(outputs=saved)) == {}


def test_nothing_is_said_without_models_and_traces():
    assert found() == {}
    assert found(traces_of([]), models=models_of(), spans=[]) == {}
    assert {rule.name for rule in ALL_RULES} >= set(RULES)


def test_every_number_of_a_sentence_is_in_its_finding_and_hostile_names_stay_on_one_line():
    said = every_rule()
    assert {one.rule for one in said} == set(RULES)
    for one in said:
        assert one.sentence.isprintable()
        assert one.next
        text = re.sub(
            r"95 %|of \d+ runs|\d{4}-\d\d-\d\d \d\d:\d\d UTC|m\d|alert\(1\)|\[31m|u202e|x1b|s\d", "", one.sentence
        )
        values = [each.value for each in one.numbers]
        ours = {text for value in values for text in (number(value), f"{value:.2f}", f"{value:.2g}", f"{value:.0f}")}
        for token in re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", text):
            assert token.rstrip(",") in ours, (one, token)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_condition_and_thresholds(rule):
    [one] = [each for each in ALL_RULES if each.name == rule]
    assert one.fires
    assert one.thresholds is not None


def test_versions_on_too_few_rows_or_without_a_direction_are_said_not_to_be_examined():
    def reasons(name, values, rows):
        traces = [
            trace(f"{run}{n}", run, request_preview=f"q {n}", request_time=START + place)
            for place, run in enumerate("ab")
            for n in range(rows)
        ]
        judged = [feedback(one["trace_id"], name, values[n % len(values)]) for n, one in enumerate(traces)]
        evidence = replace(evidence_of(PlantedStore({"qa": []})), traces=traces_of(traces, judged))
        return best_version.RULE.unexamined(evidence, best_version.RULE.thresholds)

    assert reasons("correctness", [True, False, True], 5) == ["which version is better: 5 rows, 6 are needed"]
    assert reasons("tone", ["dry", "warm"], 20) == [
        "which version is better: no scorer says which of its values are better"
    ]
    assert reasons("correctness", [True, False, True], 20) == []
