"""The drawing of charts: every mark in its place, valid XML, the same text each time."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.clipping import cut_area, cut_line, reduce_to_pixels
from qualia_lab.charts.colours import INK
from qualia_lab.charts.marks import Axis, Band, Bars, Box, Heat, Line, Panel, Points, Texts
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.ticks import round_ticks
from qualia_lab.charts.unfinished import mark_unfinished

from .every_chart import every_chart
from .sample import curves, labels

SVG = "{http://www.w3.org/2000/svg}"
LIMITS = (0.0, 10.0)
HUGE = 1.5e308


def root_of(marks, x=None, y=None):
    panel = Panel(x or Axis("x", LIMITS), y or Axis("y", LIMITS), tuple(marks))
    return ET.fromstring(Chart("title", (panel,), "sentence").svg())


def found(root, name):
    """The elements of a class."""
    return [element for element in root.iter() if name in (element.get("class") or "").split()]


def box_of(root):
    (panel,) = found(root, "panel")
    return tuple(map(float, panel.get("data-box").split()))


def path_points(path):
    """The points of a path by stretch; after the first, each is written as the distance from the one before."""
    return [
        np.array(re.findall(r"-?[\d.]+", stretch), float).reshape(-1, 2).cumsum(axis=0)
        for stretch in path.get("d").replace("Z", "").split("M")[1:]
    ]


@pytest.mark.parametrize("name", list(every_chart()))
def test_every_chart_is_valid_deterministic_and_has_marks(name):
    chart = every_chart()[name]
    svg = chart.svg()
    assert svg == chart.svg()
    root = ET.fromstring(svg)
    assert root.find(f"{SVG}title").text
    panels = found(root, "panel")
    assert len(panels) == len(chart.panels)
    for panel in panels:
        (marks,) = found(panel, "marks")
        assert len(list(marks.iter())) > 1
    titles = [panel.get("data-title") for panel in panels]
    assert len(set(titles)) == len(titles) or not any(titles)
    assert not re.search(r"\b(nan|inf|e[+-]?\d+)\b", " ".join(element.get("d", "") for element in root.iter()))


@pytest.mark.parametrize("log", [False, True])
def test_points_lines_bars_and_texts_are_where_the_axes_say(log):
    limits = (1.0, 1000.0) if log else LIMITS
    x = np.array([2.0, 5.0, 9.0])
    y = np.array([10.0, 100.0, 500.0]) if log else np.array([1.0, 5.0, 9.5])
    marks = (
        Line(x, y, INK, runs="a"),
        Points(x, y, (INK,), runs=("a", "b c", "d"), texts=("one", "two", "three")),
        Points(x, y, (INK,), symbol="x"),
        Bars(x, y, (INK,), vertical=True, thickness=1),
        Texts(x, y, ("one", "two", "three"), INK),
    )
    root = root_of(marks, y=Axis("y", limits, log=log))
    left, top, width, height = box_of(root)
    share = np.log10(y / limits[0]) / np.log10(limits[1] / limits[0]) if log else y / 10
    expected = np.column_stack([left + x / 10 * width, top + (1 - share) * height])
    circles = found(root, "circle")
    for drawn in (
        path_points(found(root, "line")[0])[0],
        [(float(one.get("cx")), float(one.get("cy"))) for one in circles],
        [(float(one.get("x")), float(one.get("y"))) for one in found(root, "x")],
        [(float(one.get("x")) + float(one.get("width")) / 2, float(one.get("y"))) for one in found(root, "bar")],
        [(float(one.get("x")), float(one.get("y"))) for one in found(root, "label")],
    ):
        assert np.abs(np.array(drawn) - expected).max() <= 0.11
    bottoms = [float(bar.get("y")) + float(bar.get("height")) for bar in found(root, "bar")]
    assert np.abs(np.array(bottoms) - (top + height)).max() <= 0.11
    assert [one.get("data-runs") for one in circles] == ["a", "b c", "d"]
    assert [one.find(f"{SVG}title").text for one in circles] == ["one", "two", "three"]


def test_boxes_heat_maps_and_bands_are_where_the_axes_say():
    values = np.array([[1.0, math.nan], [3.0, 2.0]])
    marks = (
        Box(5.0, 1.0, 2.0, 4.0, 6.0, 9.0, "#DCEAF4", runs="a b"),
        Heat(np.array([0.0, 5.0, 10.0]), np.array([0.0, 5.0, 10.0]), values, "mean"),
        Band(np.array([0.0, 10.0]), np.array([1.0, 1.0]), np.array([2.0, 4.0]), INK, runs="a"),
    )
    root = root_of(marks)
    left, top, width, height = box_of(root)
    (box,) = found(root, "box")
    assert float(box.get("y")) == pytest.approx(top + 0.4 * height, abs=0.11)
    assert float(box.get("height")) == pytest.approx(0.4 * height, abs=0.11)
    assert found(root, "box-plot")[0].get("data-runs") == "a b"
    cells = found(root, "cell")
    assert len(cells) == 3
    assert len({cell.get("fill") for cell in cells}) == 3
    assert all(float(cell.get("width")) == pytest.approx(width / 2, abs=0.11) for cell in cells)
    (polygon,) = path_points(found(root, "band")[0])
    corners = {(left, top + 0.9 * height), (left + width, top + 0.9 * height), (left, top + 0.8 * height)}
    for corner in (*corners, (left + width, top + 0.6 * height)):
        assert np.abs(polygon - corner).max(axis=1).min() <= 0.11


@pytest.mark.parametrize("value", [HUGE, -HUGE, 1e300, 11.0, -5.0, math.inf])
def test_what_is_outside_the_axes_is_cut_at_them(value):
    x = np.array([1.0, 5.0, 9.0])
    y = np.array([5.0, value, 5.0])
    root = root_of((
        Line(x, y, INK), Points(x, y, (INK,)), Band(x, np.full(3, 4.0), y, INK), Bars(x, y, (INK,), vertical=True),
        Texts(x, y, ("a", "b", "c"), INK), Box(5.0, -1e300, 4.0, 5.0, 6.0, 7.0, INK),
    ))  # fmt: skip
    left, top, width, height = box_of(root)
    for path in (*found(root, "line"), *found(root, "band")):
        for stretch in path_points(path):
            assert (stretch >= (left, top)).all()
            assert (stretch <= (left + width, top + height)).all()
    assert len(found(root, "circle")) == 2
    assert len(found(root, "label")) == 2
    if math.isfinite(value):
        (line,) = found(root, "line")
        assert len(path_points(line)) == 2  # cut where it leaves, and again from where it comes back
    for rect in found(root, "bar"):
        assert float(rect.get("y")) >= top - 0.06
        assert float(rect.get("y")) + float(rect.get("height")) <= top + height + 0.11


def test_nan_is_a_gap_and_a_point_by_itself_is_drawn():
    y = np.array([1.0, 2.0, math.nan, 4.0, math.nan, 5.0, 6.0])
    (line,) = found(root_of((Line(np.arange(7.0), y, INK),)), "line")
    assert [len(stretch) for stretch in path_points(line)] == [2, 2, 2]
    assert np.ptp(path_points(line)[1]) > 0
    assert (path_points(line)[1][0] == path_points(line)[1][1]).all()


def test_grid_lines_are_in_the_middle_of_pixels():
    (grid,) = found(root_of((Line(np.arange(9.0), np.arange(9.0), INK),)), "grid")
    lines = list(grid)
    assert len(lines) > 8
    for line in lines:
        side = "x" if line.get("x1") == line.get("x2") else "y"
        assert float(line.get(f"{side}1")) % 1 == 0.5


def test_hostile_names_are_text():
    name = "</text><script>alert(1)</script>\x00\x1b[31m\u202e\ud800\"'&amp;"
    chart = Chart(name, (Panel(Axis(name, LIMITS, ticks=((1.0, name),)), Axis(name, LIMITS), (
        Line(np.arange(3.0), np.arange(3.0), INK, label=name, runs=f"{name} ok 'x'"),
        Points(np.arange(3.0), np.arange(3.0), (INK,), label=f"{name}2", texts=(name,) * 3),
    ), title=name),), name, note=name)  # fmt: skip
    root = ET.fromstring(chart.svg())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "g", "title", "text", "path", "line", "rect", "circle"),
    }
    assert all(text.text.isprintable() for text in root.iter(f"{SVG}text"))
    assert found(root, "line")[0].get("data-runs") == "ok"  # what does not look like an id is left out


def test_a_dense_line_keeps_every_spike_and_few_points():
    y = np.full(200_000, 5.0)
    y[[70_001, 150_003]] = [9.0, 1.0]
    root = root_of((Line(np.arange(200_000.0), y, INK),), x=Axis("x", (0, 200_000)))
    (points,) = path_points(found(root, "line")[0])
    _, top, width, height = box_of(root)
    assert len(points) < 4 * width
    assert points[:, 1].min() == pytest.approx(top + 0.1 * height, abs=0.11)
    assert points[:, 1].max() == pytest.approx(top + 0.9 * height, abs=0.11)


@given(arrays(float, st.integers(2, 30), elements=st.floats(-50, 150)), arrays(float, 30, elements=st.floats(-50, 150)))
def test_a_cut_line_is_the_part_of_the_line_inside(x, y):
    y = y[: len(x)]
    cut_x, cut_y = cut_line(x, y, (0, 0, 100, 100))
    inside = np.isfinite(cut_x)
    assert ((cut_x[inside] >= -1e-9) & (cut_x[inside] <= 100 + 1e-9)).all()
    kept = (x >= 0) & (x <= 100) & (y >= 0) & (y <= 100)
    assert {*zip(x[kept], y[kept], strict=True)} <= {*zip(cut_x[inside], cut_y[inside], strict=True)}
    area_x, area_y = cut_area(x, y, (0, 0, 100, 100))
    assert ((area_x >= -1e-9) & (area_x <= 100 + 1e-9) & (area_y >= -1e-9) & (area_y <= 100 + 1e-9)).all()


@given(arrays(float, st.integers(2, 300), elements=st.floats(0, 20)), st.integers(0, 9))
def test_a_reduced_line_covers_the_same_pixels(y, gaps):
    x = np.sort(y)[::-1].copy()
    y[:: gaps + 2] = np.nan if gaps else y[:: gaps + 2]
    few_x, few_y = reduce_to_pixels(x, y)
    assert len(few_x) <= len(x)
    for column in np.unique(np.floor(x)):
        before, after = y[np.floor(x) == column], few_y[np.floor(few_x) == column]
        if np.isfinite(before).any():
            assert (np.nanmin(before), np.nanmax(before)) == (np.nanmin(after), np.nanmax(after))


@given(st.floats(-1e300, 1e300), st.floats(1e-300, 1e290), st.integers(2, 9))
def test_ticks_are_inside_the_limits_and_their_labels_differ(low, span, most):
    ticks = round_ticks((low, low + span), most)
    assert 1 <= len(ticks) <= most + 2
    assert len({text for _, text in ticks}) == len(ticks)
    if low + span > low and len(ticks) > 1:
        assert all(low - span * 1e-9 <= tick <= low + span * (1 + 1e-9) for tick, _ in ticks)


def test_runs_that_did_not_finish_are_rings_with_their_status():
    points = Points(np.arange(1.0, 4.0), np.arange(3.0), (INK,), texts=("a: 0", "b: 1", "c: 2"), runs=("a", "b", "c"))
    marks = mark_unfinished(points, {"b": "FAILED", "x": "RUNNING"})
    root = root_of(marks)
    (ring,) = found(found(root, "marks")[0], "ring")
    assert (ring.get("data-runs"), ring.find(f"{SVG}title").text) == ("b", "b: 1 (failed)")
    assert [one.get("data-runs") for one in found(root, "circle")] == ["a", "c"]
    assert "not finished" in [text.text for text in root.iter(f"{SVG}text")]
    assert mark_unfinished(points, {}) == [points]


def test_a_chart_of_twenty_lines_is_drawn_in_milliseconds():
    chart = metric_history(curves(20, 500), labels(20), "val_loss", limit=20)
    chart.svg()
    start = time.process_time()
    for _ in range(5):
        chart.svg()
    assert (time.process_time() - start) / 5 < 0.05  # about 10 ms; matplotlib took 300


def test_an_axis_label_of_two_lines_keeps_different_names_different():
    charts = every_chart()
    (first, *_), words = charts["comparison_60"].panels, "validation_mean_intersection_over_union_of_{}_classes"
    panels = tuple(
        dataclasses.replace(first, x=dataclasses.replace(first.x, label=words.format(which)))
        for which in ("all", "rare")
    )
    root = ET.fromstring(dataclasses.replace(charts["comparison_60"], panels=panels * 3).svg())
    shown = ["".join(text.text for text in found(panel, "x-label")) for panel in found(root, "panel")]
    assert len(set(shown)) == 2
