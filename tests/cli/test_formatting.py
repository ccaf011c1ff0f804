"""Formatting of ages, durations and numbers for a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.chooser import formatting
from qualia_lab.times import LATEST_TIME

TIMES = st.integers(1, LATEST_TIME - 1)
NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "just now"), (61, "1 min ago"), (7200, "2 h ago"), (86_400, "1 day ago"), (3 * 86_400, "3 days ago"),
     (40 * 86_400, "1 month ago"), (800 * 86_400, "2 years ago"), (-7200, "in 2 h")],
)  # fmt: skip
def test_an_age_is_formatted_in_one_unit(seconds, said):
    assert formatting.age(NOW - seconds * 1000, NOW) == said


@given(TIMES | st.none(), TIMES | st.none())
def test_any_time_of_a_run_can_be_formatted(start, end):
    for said in (formatting.age(start), formatting.moment(start), formatting.duration(start, end)):
        assert said.isprintable()
        assert len(said) < 40


@given(st.floats() | st.none())
def test_any_metric_value_can_be_formatted(value):
    assert len(formatting.number(value)) < 12


def test_durations_are_formatted_in_one_unit():
    assert formatting.duration(0, 1500) == "1.5 s"
    assert formatting.duration(0, 5_400_000) == "1 h"
    assert formatting.duration(0, None) == ""
