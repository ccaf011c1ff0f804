"""Intervals are clipped to the bounds of a metric."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.analysis.bounds import bounds_of, clip_interval
from qualia_lab.analysis.intervals import mean_interval


@pytest.mark.parametrize(
    ("values", "named", "bounds"),
    [
        ([0.91, 0.97], (0.0, 1.0), (0.0, 1.0)),
        ([91.0, 97.0], (0.0, 1.0), (0.0, 100.0)),
        ([0.9, 97.0], (0.0, 1.0), (0.0, 100.0)),  # a percentage, though one value is small
        ([91.0, 197.0], (0.0, 1.0), (0.0, None)),  # no proportion
        ([-0.2, 0.97], (0.0, 1.0), (None, 1.0)),
        ([-0.2, 0.97], (-1.0, 1.0), (-1.0, 1.0)),
        ([-20.0, 97.0], (-1.0, 1.0), (-100.0, 100.0)),
        ([-3.0, 0.97], (None, 1.0), (None, 1.0)),  # R2
        ([0.3, 7.0], (0.0, None), (0.0, None)),
        ([0.3, 7.0], None, (None, None)),
        ([], (0.0, 1.0), (0.0, 1.0)),
    ],
)
def test_bounds_of_the_name_apply_as_far_as_values_respect_them(values, named, bounds):
    assert bounds_of(values, named) == bounds


def test_an_interval_of_accuracies_is_clipped_at_one():
    found = mean_interval([0.99, 0.999, 0.97])
    assert found.high > 1
    assert clip_interval(found.low, found.high, (0.0, 1.0)) == (found.low, 1.0)


@given(st.floats(-200, 200), st.floats(0, 100), st.floats(0, 1))
def test_a_clipped_interval_keeps_all_possible_values(low, width, share):
    clipped = clip_interval(low, low + width, (0.0, 100.0))
    assert 0 <= clipped[0] <= clipped[1] <= 100
    inside = low + share * width
    if 0 <= inside <= 100 and inside <= low + width:
        assert clipped[0] <= inside <= clipped[1]
