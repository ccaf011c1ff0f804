"""Configurations over the same seeds or folds, against scipy's tests and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.best_of import best_of
from qualia_lab.analysis.blocks import block_ranges, block_values, has_block_effect, pair_ps

FOLDS = [0.70, 0.75, 0.62, 0.81, 0.68]


def test_values_are_sorted_by_block():
    found = block_values([[("seed", "1"), ("seed", "2"), ("seed", "3")], [("seed", "3"), ("seed", "1"), ("seed", "2")]],
                         [[1.0, 2.0, 3.0], [30.0, 10.0, 20.0]])  # fmt: skip
    assert found.tolist() == [[1, 2, 3], [10, 20, 30]]


@pytest.mark.parametrize(
    "repeats",
    [
        [["a", "b", "c"], ["a", "b", "d"]],  # other blocks
        [["a", "b", "b"], ["a", "b", "b"]],  # one block twice
        [["a", "b"], ["a", "b"]],  # too few
        [[(), (), ()], [(), (), ()]],  # no seeds
        [["a", "b", "c"]],  # nothing to compare with
    ],
)
def test_block_values_require_the_same_blocks(repeats):
    assert block_values(repeats, [[1.0] * len(one) for one in repeats]) is None


def test_two_configurations_give_the_paired_t_test():
    dice = np.random.default_rng(1)
    values = np.array([FOLDS, np.array(FOLDS) + 0.03 + dice.normal(0, 0.01, 5)])
    expected = stats.ttest_rel(values[1], values[0]).pvalue
    assert pair_ps(values, 1)[0] == pytest.approx(expected)
    ranges, degrees = block_ranges(values, 1)
    assert stats.studentized_range.sf(ranges[0], 2, degrees) == pytest.approx(expected, rel=1e-3)


def test_a_small_difference_is_found_despite_large_fold_effects():
    dice = np.random.default_rng(2)
    groups = [[level + gain + dice.normal(0, 0.003) for level in FOLDS] for gain in (0.03, 0.0)]
    folds = [[("fold", str(fold)) for fold in range(5)]] * 2
    assert not best_of(groups, greater_is_better=True).apart
    found = best_of(groups, greater_is_better=True, repeats=folds)
    assert [one.place for one in found.apart] == [1] and found.how == "blocks"


@pytest.mark.parametrize("shared", [0.0, 1.0, 5.0])
def test_noise_over_blocks_hardly_ever_gives_a_difference(shared):
    dice = np.random.default_rng(3)
    claims = 0
    for _ in range(400):
        blocks = dice.normal(0, shared, 4)
        groups = (blocks + dice.normal(0, 1, (5, 4))).tolist()
        claims += bool(best_of(groups, greater_is_better=True, repeats=[list("abcd")] * 5).apart)
    assert claims <= 0.04 * 400


def test_blocks_without_an_effect_are_not_used():
    dice = np.random.default_rng(4)
    used = sum(has_block_effect(dice.normal(0, 1, (4, 5))) for _ in range(400))
    assert used <= 0.025 * 400
    assert has_block_effect(np.array(FOLDS) + dice.normal(0, 0.01, (4, 5)))
