"""Names at the ends of lines: none overlaps another one or a line, and there is a legend where they have no place."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import REST
from qualia_lab.charts.end_labels import end_labels
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.notebook.page.figure import chart_html

X = np.arange(11.0)
EARLY = "stopped early"
TEXTS = {**{f"run-{index}": f"run-{index}" for index in range(9)}, EARLY: EARLY}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6FDF")


def panel(ends, *more, x=X):
    lines = tuple(
        Line(x, np.linspace(0, end, len(x)), COLOURS[index % 7], f"run-{index}", runs=f"{index:032x}")
        for index, end in enumerate(ends)
    )
    return Panel(Axis("step", (-0.2, 10.2)), Axis("auc", (0.0, 1.0)), (*lines, *more))


def across(heights):
    """Grey lines, which have no name."""
    return [Line(X, np.full(11, height), REST, "others") for height in heights]


@given(st.floats(0, 8), st.floats(0, 1), st.lists(st.floats(0, 1), max_size=5))
def test_the_name_of_a_line_that_ends_early_is_beside_its_end_and_on_no_line(last, end, others):
    drawn = panel([0.2, 0.8], Line(np.array([0, last]), np.array([0, end]), COLOURS[3], EARLY), *across(others))
    names = end_labels(drawn, [mark for mark in drawn.marks if mark.colour != REST], 300, 60, TEXTS)
    early = [name for name in names if name.inside]
    assert [name.line.label for name in early] == [EARLY] * bool(names)
    for name in early:
        assert abs(name.at - name.y) <= 11
        assert all(abs((1 - height) * 300 - name.at) >= 7 for height in others)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=7))
def test_names_are_apart_in_the_order_of_the_ends_and_near_them(ends):
    lines = panel(ends).marks
    names = end_labels(panel(ends), lines, 300, 60, TEXTS)
    for one, other in pairwise(names):
        assert other.at - one.at > 13.9
        assert one.y <= other.y
    assert all(0 <= one.at <= 300 and abs(one.at - one.y) <= 48 for one in names)
    heights = sorted(ends)
    if all(other - one > 0.05 for one, other in pairwise(heights)):
        assert [one.at for one in names] == pytest.approx([one.y for one in names])
        assert len(names) == len(ends)


@pytest.mark.parametrize(
    "drawn",
    [
        panel([0.5]),
        panel([0.2, 0.8], Line(X[:10], X[:10] / 10, COLOURS[3], EARLY)),
        panel([0.2, 0.8], Line(X[:5], X[:5] / 10, COLOURS[3], EARLY), *across(np.linspace(0.2, 0.6, 9))),
        panel([0.2, 1.8]),
        panel([0.2, 0.8], Points(X[:1], X[:1], ("#0072B2",), "a point")),
        panel([0.5 + index / 1e4 for index in range(12)]),
    ],
    ids=[
        "one line",
        "an end just before the last",
        "an early end among lines",
        "an end outside the axes",
        "a point in the legend",
        "too many at one height",
    ],
)
def test_there_is_a_legend_where_names_have_no_place(drawn):
    chart = Chart("title", (drawn,), "sentence", names_at_ends=True)
    assert "end-label" not in chart.svg()
    assert 'class="legend"' in chart.svg()
    assert chart.plotly()["layout"]["annotations"] == []


def test_the_name_of_a_line_that_ends_early_is_in_the_drawing_the_figure_and_the_page():
    chart = Chart(
        "title", (panel([0.1, 0.2], Line(X[:5], X[:5] / 5, COLOURS[3], EARLY)),), "sentence", names_at_ends=True
    )
    assert 'class="legend"' not in chart.svg()
    (annotation,) = [one for one in chart.plotly()["layout"]["annotations"] if one["text"] == EARLY]
    assert (annotation["x"], annotation["y"], annotation["ax"] > 0) == (4, 0.8, True)
    (place,) = re.findall(rf'<text x="([\d.]+)%"[^>]*>{EARLY}</text>', chart_html(chart.svg(), 1))
    assert float(place) == pytest.approx(100 * 4.2 / 10.4, abs=0.2)


def test_names_are_in_the_drawing_the_figure_and_the_page_and_grey_lines_have_none():
    chart = Chart("title", (panel([0.2, 0.8], Line(X, X / 20, REST, "3 other runs")),), "sentence", names_at_ends=True)
    svg = chart.svg()
    assert svg.count('class="end-label"') == 2
    assert "3 other runs" not in svg.replace('data-label="3 other runs"', "")
    assert [one["text"] for one in chart.plotly()["layout"]["annotations"]] == ["run-1", "run-0"]
    assert not any(trace["showlegend"] for trace in chart.plotly()["data"])
    page = chart_html(svg, 1)
    assert page.count('class="end-label"') == 2
    assert page.count("<button") == 2  # for the keyboard, and for narrow screens
    dashed = Chart(
        "title", (panel([0.2, 0.8], Line(X, X / 15, COLOURS[3], "run-2", dash="dot")),), "sentence", names_at_ends=True
    )
    swatches = re.findall(r'class="swatch"[^>]*><line ([^>]*)/>', chart_html(dashed.svg(), 1))
    assert ["stroke-dasharray" in one for one in swatches] == [False, True, False]
    assert all('stroke-width="1.8"' in one for one in swatches)
