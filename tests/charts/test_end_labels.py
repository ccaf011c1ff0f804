"""Names at the ends of lines: none overlaps another one, and there is a legend where they have no place."""

from __future__ import annotations

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
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6FDF")


def panel(ends, *more, x=X):
    lines = tuple(
        Line(x, np.linspace(0, end, len(x)), COLOURS[index % 7], f"run-{index}", runs=f"{index:032x}")
        for index, end in enumerate(ends)
    )
    return Panel(Axis("step", (-0.2, 10.2)), Axis("auc", (0.0, 1.0)), (*lines, *more))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=7))
def test_names_are_apart_in_the_order_of_the_ends_and_near_them(ends):
    lines = panel(ends).marks
    names = end_labels(panel(ends), lines, 300)
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
        panel([0.2, 0.8], Line(X[:5], X[:5] / 10, "#0072B2", "stopped early")),
        panel([0.2, 1.8]),
        panel([0.2, 0.8], Points(X[:1], X[:1], ("#0072B2",), "a point")),
        panel([0.5 + index / 1e4 for index in range(12)]),
    ],
    ids=["one line", "an early end", "an end outside the axes", "a point in the legend", "too many at one height"],
)
def test_there_is_a_legend_where_names_have_no_place(drawn):
    chart = Chart("title", (drawn,), "sentence", names_at_ends=True)
    assert "end-label" not in chart.svg()
    assert 'class="legend"' in chart.svg()
    assert chart.plotly()["layout"]["annotations"] == []


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
