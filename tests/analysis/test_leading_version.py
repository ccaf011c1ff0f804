"""The leading version of evaluations: ranked by the main scorer, with claims corrected for the choice of the leader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow, Judgement, scorers_of
from qualia_lab.analysis.findings.version_sentences import describe_versions
from qualia_lab.analysis.leading_version import compare_with_reference, leading_version
from qualia_lab.analysis.row_keys import RowKeys

ROWS = 40


def evaluation(run_id, right, name="correctness"):
    rows = [
        EvaluationRow(f"{run_id} {place}", RowKeys(inputs=str(place)), judgements={name: Judgement((bool(value),))})
        for place, value in enumerate(right)
    ]
    return Evaluation(run_id, tuple(rows))


def leading(*versions):
    return leading_version(versions, scorers_of(versions))


def test_versions_are_ranked_by_their_mean_and_ties_by_their_id():
    found = leading(evaluation("b", [1, 1, 0, 0]), evaluation("a", [1, 1, 0, 0]), evaluation("c", [1, 1, 1, 1]))
    assert [one.run_id for one in found.ranked] == ["c", "a", "b"]
    assert [one.mean for one in found.ranked] == [1, 0.5, 0.5]


def test_a_scorer_that_says_the_same_of_all_is_not_the_main_one():
    versions = [
        Evaluation(
            run_id,
            tuple(
                EvaluationRow(
                    f"{run_id}{place}",
                    RowKeys(inputs=str(place)),
                    judgements={"always": Judgement((True,)), "correctness": Judgement((value,))},
                )
                for place, value in enumerate(values)
            ),
        )
        for run_id, values in (("a", [True, False]), ("b", [True, True]))
    ]
    assert leading(*versions).scorer.name == "correctness"


def test_lower_is_better_where_the_name_says_so():
    versions = [evaluation("a", [1] * 8, "toxicity"), evaluation("b", [0] * 8, "toxicity")]
    assert [one.run_id for one in leading(*versions).ranked] == ["b", "a"]


def test_no_scorer_with_a_direction_ranks_nothing():
    assert leading(evaluation("a", [1, 0], "contains_pii"), evaluation("b", [1, 1], "contains_pii")) is None


def test_a_clear_difference_is_told():
    rng = np.random.default_rng(0)
    good, bad = rng.random(ROWS) < 0.95, rng.random(ROWS) < 0.3
    found = leading(evaluation("good", good), evaluation("bad", bad), evaluation("same", good))
    assert [(one.run_id, one.verdict) for one in found.rivals] == [("same", "not told apart"), ("bad", "worse")]
    assert not found.is_decided and leading(evaluation("good", good), evaluation("bad", bad)).is_decided
    said = describe_versions(found, {run_id: run_id for run_id in ("good", "bad", "same")})
    assert said.sentence.startswith("good and same have the best mean correctness")
    assert "Over the same rows, good is better than bad; p is" in said.sentence


def test_means_of_different_rows_say_nothing():
    other = [
        replace(row, keys=RowKeys(inputs=f"other {place}")) for place, row in enumerate(evaluation("b", [0] * 40).rows)
    ]
    found = leading(evaluation("a", [1] * 40), Evaluation("b", tuple(other)))
    said = describe_versions(found, {"a": "a", "b": "b"})
    assert said.sentence == (
        "a has the best mean correctness, 1 on 40 rows; next is b with 0 on 40 rows. No row of a has the same inputs as "
        "one of b, so these means are of different rows and do not say which is better."
    )
    assert said.next == "Evaluate the versions on the same rows."


def test_a_version_that_failed_on_many_rows_does_not_lead():
    rows = evaluation("b", [1] * 40).rows
    failed = tuple(replace(row, judgements={}, failed=True) if place % 2 else row for place, row in enumerate(rows))
    found = leading(evaluation("a", [1, 0, 0, 0] * 10), Evaluation("b", failed))
    assert [one.verdict for one in found.rivals] == ["worse"] and not found.is_decided
    said = describe_versions(found, {"a": "a", "b": "b"})
    assert said.sentence.startswith("b has the best mean correctness, 1 on 20 of 40 rows; next is a with 0.25")
    assert said.sentence.endswith("Without a value, and in no mean: 20 of 40 rows of b, 20 of which failed.")
    assert said.next.startswith("Judge the rows without a value")


def test_equal_means_have_no_leader():
    found = leading(evaluation("a", [1, 0] * 9), evaluation("b", [0, 1] * 9))
    said = describe_versions(found, {"a": "a", "b": "b"}).sentence
    assert said == "No version leads by correctness: its mean is 0.5 in both."


def test_of_scorers_that_judged_as_much_the_one_whose_name_has_a_direction_counts():
    versions = [
        replace(one, rows=tuple(replace(row, judgements={**row.judgements, "a_check": Judgement((n % 3 == 0,))})
                                for n, row in enumerate(one.rows)))
        for one in (evaluation("a", [1, 0] * 9), evaluation("b", [1] * 12))
    ]  # fmt: skip
    assert leading(*versions).scorer.name == "correctness"


def test_words_of_judges_that_say_themselves_what_is_better_are_read():
    versions = [
        Evaluation(
            run_id,
            tuple(
                EvaluationRow(f"{run_id}{n}", RowKeys(inputs=str(n)), judgements={"verdict": Judgement((word,))})
                for n, word in enumerate(words)
            ),
        )
        for run_id, words in (("a", ["good", "bad", "bad"]), ("b", ["good", "good", "bad"]))
    ]
    assert [one.run_id for one in leading(*versions).ranked] == ["b", "a"]


def test_a_chosen_leader_has_a_larger_family_than_a_version_that_was_named():
    rng = np.random.default_rng(1)
    versions = [evaluation(str(place), rng.random(ROWS) < 0.3 + place / 10) for place in range(5)]
    scorers = scorers_of(versions)
    named, chosen = (
        [one.corrected for _, one in compare_with_reference(versions[-1], versions, scorers, is_leader=is_leader)]
        for is_leader in (False, True)
    )
    assert all(first <= second for first, second in zip(named, chosen, strict=True))
    smallest = min(one.test.p for _, one in compare_with_reference(versions[-1], versions, scorers))
    assert min(named) == pytest.approx(4 * smallest) and min(chosen) == pytest.approx(10 * smallest)


def test_noise_is_called_better_at_most_once_in_twenty():
    """The leader of six equal versions is the best of six, and still not called better than the last."""
    rng = np.random.default_rng(2)
    claims = 0
    for _ in range(200):
        hard = rng.random(ROWS)
        versions = [
            evaluation(str(place), np.where(rng.random(ROWS) < 0.5, hard, rng.random(ROWS)) < 0.6) for place in range(6)
        ]
        claims += any(one.verdict in ("better", "worse") for one in leading(*versions).rivals)
    assert claims <= 10
