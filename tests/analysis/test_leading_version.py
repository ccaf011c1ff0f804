"""The leading version of evaluations: ranked by the main scorer, with claims corrected for the choice of the leader."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow, Judgement, scorers_of
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
    assert found.told_apart == ("bad",)


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
        claims += bool(leading(*versions).told_apart)
    assert claims <= 10
