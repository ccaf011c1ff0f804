"""Shortened names stay distinct, fit, and are shortened as little as possible."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qualia_lab.escaping import one_line
from qualia_lab.names import aside, display_width, distinct_names

WIDTHS = st.integers(8, 64)
NAMES = st.text(st.sampled_from("ab_-/ 01\n漢\u0301🐙…()"), max_size=90) | st.text(max_size=90)
# Typical names: a long shared prefix, a distinct part, and a shared suffix.
LONG = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "benchmark-pointnet2-", "experiments/2026/resnet50_imagenet_" * 2, "実験" * 30]),
    st.text(st.sampled_from("ab1"), max_size=40),
    st.sampled_from(["", "-20200428_103323", "/checkpoints/epoch_final/model.bin" * 2]),
)
IDS = st.text(st.sampled_from("0a"), max_size=12) | st.uuids().map(lambda one: one.hex)
OWN = st.text("xyz", max_size=12)
PAIRS = st.lists(st.tuples(NAMES | LONG, IDS), max_size=30)


@given(PAIRS, WIDTHS)
@example([("mlp", "0a"), ("mlp (0a)", "1"), ("mlp", "0b")], 60)
@example([("a b", ""), ("a  b", ""), ("", ""), (" ", "")], 8)
@example([("a…b", ""), ("a" * 30 + "b" * 30, ""), ("a" * 30 + "cb" * 15, "")], 8)
def test_shortened_names_stay_distinct_and_fit(pairs, width):
    shown = distinct_names([name for name, _ in pairs], [own for _, own in pairs], width)
    assert len({*zip(pairs, shown, strict=True)}) == len({*pairs}) == len({*shown})
    for text in shown:
        assert display_width(text) <= width
        assert one_line(text) == text or not text.strip()


@given(PAIRS, WIDTHS, st.randoms())
def test_shortening_does_not_depend_on_the_order(pairs, width, chance):
    shown = dict(zip(pairs, distinct_names([name for name, _ in pairs], [own for _, own in pairs], width), strict=True))
    chance.shuffle(pairs)
    again = distinct_names([name for name, _ in pairs], [own for _, own in pairs], width)
    assert again == [shown[pair] for pair in pairs]


@given(st.lists(NAMES | LONG, max_size=30, unique_by=one_line), WIDTHS)
def test_names_that_fit_are_unchanged_unless_ambiguous(names, width):
    shown = distinct_names(names, width=width)
    cut = {text for name, text in zip(names, shown, strict=True) if text != one_line(name)}
    for name, text in zip(names, shown, strict=True):
        line = one_line(name)
        if display_width(line) <= width and text != line:
            # Only if a shortened name would have been equal.
            assert line.count("…") or line.endswith(")") or not line
    assert all("…" in text or text.endswith(")") for text in cut)


@given(st.lists(LONG.filter(lambda name: display_width(name) > 30), min_size=1, max_size=20, unique=True))
def test_a_shortened_name_uses_the_available_width(names):
    for text in distinct_names(names, width=30):
        assert display_width(text) >= 27  # a character two columns wide may not fit at each cut


@given(st.text(st.sampled_from("ab1"), min_size=1, max_size=12), st.lists(OWN, min_size=2, max_size=9))
def test_shared_parts_are_cut_before_distinct_ones(end, own):
    own = [f"{place}{text}" for place, text in enumerate(own)]
    names = [f"{'benchmark/pointnet2/' * 4}{one}-{end}" for one in own]
    for one, text in zip(own, distinct_names(names, width=30), strict=True):
        assert text.endswith(f"{one}-{end}")


def test_a_shared_ending_is_cut_if_names_differ_at_the_start():
    names = [
        f"{kind}/artifacts/checkpoints/epoch_0119/weights.bin"
        for kind in ("teacher_model", "student_model", "teacher_mouse")
    ]
    assert distinct_names(names, width=20) == ["teacher_model…ts.bin", "student_model…ts.bin", "teacher_mouse…ts.bin"]


@pytest.mark.parametrize(
    ("names", "ids", "width", "shown"),
    [
        (["mlp", "gbm"], ["1", "2"], 60, ["mlp", "gbm"]),
        (["mlp", "mlp"], ["77ab01cd2", "1f0c5d6b3"], 60, ["mlp (77ab01cd)", "mlp (1f0c5d6b)"]),
        (["mlp", "mlp"], ["77ab01cd2222x", "77ab01cd2223x"], 60, ["mlp (77ab01cd2222)", "mlp (77ab01cd2223)"]),
        (["", ""], ["77ab01cd2", "1f0c5d6b3"], 60, ["77ab01cd", "1f0c5d6b"]),
        (["mlp\t\u202e1"], [], 60, ["mlp \\u202e1"]),
        (["run_with_a_long_name_1", "run_with_a_long_name_2"], [], 12, ["run_wi…ame_1", "run_wi…ame_2"]),
        (["漢字漢字漢字一", "漢字漢字漢字二"], [], 9, ["漢字…字一", "漢字…字二"]),
        (["long_name" * 9] * 2, ["77ab01cd2", "1f0c5d6b3"], 10, ["77ab01cd", "1f0c5d6b"]),
        ([], [], 60, []),
    ],
)
def test_displayed_names(names, ids, width, shown):
    assert distinct_names(names, ids, width) == shown


def test_widths_are_terminal_columns():
    for char, columns in (("a", 1), ("é", 1), ("漢", 2), ("🐙", 2), ("e\u0301", 1), ("…", 1)):
        assert display_width(char) == columns, unicodedata.name(char[0])


def test_an_already_shortened_name_is_not_cut_at_its_ellipsis():
    names = [f"benchmark-shapenet-{own}-lr_{lr}-2026-11-21" for own in ("kpconv_paper", "pointnet2") for lr in (1, 2)]
    again = distinct_names(distinct_names(names, width=32), width=24)
    assert len({*again}) == 4
    assert not any("……" in text for text in again)


def test_parentheses_are_not_nested():
    assert aside("a and b") == aside("a and b", ends=True) == " (a and b)"
    assert aside("a (1) and b") == " — a (1) and b —"
    assert aside("a (1) and b", ends=True) == ": a (1) and b"
