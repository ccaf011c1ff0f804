"""Parsing of answers to a list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.chooser.choice import narrow, parse_choice
from qualia_lab.errors import SelectionError

TEN = 10


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("1", (0,)),
        ("1,3-5", (0, 2, 3, 4)),
        (" 10 , 1 ", (9, 0)),
        ("3 - 5, 4", (2, 3, 4)),
        ("1 2 3", (0, 1, 2)),
        ("2,", (1,)),
        ("all", tuple(range(10))),
        ("ALL", tuple(range(10))),
    ],
)
def test_numbers_ranges_and_all_select_items(answer, chosen):
    assert parse_choice(answer, TEN) == chosen


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("churn", "churn"),
        ("/3", "3"),
        ("/", ""),
        ("", ""),
        ("2026-11-23", "2026-11-23"),
        ("1;2", "1;2"),
        ("-1", "-1"),
        (",", ","),
    ],
)
def test_other_text_filters_the_list(answer, text):
    assert parse_choice(answer, TEN) == text


@pytest.mark.parametrize("answer", ["0", "11", "1,11", "5-11", "5-3", "9" * 6000])
def test_a_number_outside_the_list_is_refused_with_the_valid_range(answer):
    with pytest.raises(SelectionError) as refused:
        parse_choice(answer, TEN)
    assert refused.value.hint
    assert len(str(refused.value)) < 250


@given(st.lists(st.integers(1, 50), min_size=1), st.sampled_from([",", ", ", " ", " , "]))
def test_numbers_select_items_in_the_order_given(numbers, between):
    chosen = parse_choice(between.join(map(str, numbers)), 50)
    assert chosen == tuple(number - 1 for number in dict.fromkeys(numbers))


@given(st.text() | st.text("0123456789,- "), st.integers(0, 20))
def test_any_answer_gives_positions_or_text_or_a_selection_error(answer, count):
    try:
        choice = parse_choice(answer, count)
    except SelectionError:
        return
    if isinstance(choice, tuple):
        assert all(0 <= position < count for position in choice)
        assert len(set(choice)) == len(choice)


@given(st.text(), st.lists(st.text(), max_size=8))
def test_narrowing_keeps_the_order_and_only_matching_items(text, items):
    positions = narrow(text, items)
    assert list(positions) == sorted(positions)
    assert [items[position] for position in positions] == [item for item in items if text.casefold() in item.casefold()]
