"""What charts show, in each output format."""

import base64
import dataclasses
import json
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

from qualia_lab.charts.chart import PLOTLY_MIME, Chart
from qualia_lab.charts.colours import PALETTE, QUIET, REST, STYLES, chosen_styles, run_styles
from qualia_lab.charts.layout import BETWEEN_PANELS, TEXT_SIZE, compute_layout
from qualia_lab.charts.marks import Axis, Band, Bars, Heat, Line, Panel, Points, Texts
from qualia_lab.charts.metric_comparison import metric_comparison
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.param_distribution import param_distribution
from qualia_lab.charts.simplify import simplify
from qualia_lab.charts.text_width import text_width

from .sample import curves, history, labels, metrics, params, run_ids

ODD_NAMES = {
    "r000": "_hidden",
    "r001": "$\\frac{1}$ $x",
    "r002": "<b>bold</b> <a href='https://x.example'>a</a> &lt;",
    "r003": "%{y} %{fullData.name}",
    "r004": "a\x1b[31m\u202e\nb" + "x" * 8000,
    "r005": "日本 😀",
}


def drawing(chart):
    """The root of the SVG in the image of a chart."""
    tag = re.fullmatch(
        r'<img alt="[^"<>]*" width="960" height="(\d+)" src="data:image/svg\+xml;base64,([\w+/=]+)">',
        chart._repr_html_(),
    )
    svg = base64.b64decode(tag[2]).decode()
    assert svg == chart.svg()
    root = ET.fromstring(svg)
    assert root.get("height") == tag[1]
    return root


def texts(root):
    """All texts that a drawing shows."""
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def bundle(chart):
    data = chart._repr_mimebundle_()
    assert set(data) == {PLOTLY_MIME, "text/html", "text/plain"}
    text = json.dumps(data[PLOTLY_MIME], allow_nan=False)
    root = drawing(chart)
    assert data["text/html"] == chart._repr_html_()
    layout = data[PLOTLY_MIME]["layout"]
    assert (root.get("width"), root.get("height")) == (str(layout["width"]), str(layout["height"]))
    return json.loads(text), root, data["text/plain"]


def numbers(array):
    """Numbers as plotly.js reads them, from a list or from base64."""
    if isinstance(array, dict):
        return np.frombuffer(base64.b64decode(array["bdata"]), "<" + array["dtype"]).astype(float).tolist()
    return [math.nan if value is None else value for value in array]


@pytest.mark.parametrize("count", [1, 12, 200])
def test_a_history_for_any_number_of_runs(count):
    figure, _, sentence = bundle(metric_history(curves(count, 30), labels(count), "val_loss", greater_is_better=False))
    named = [trace["name"] for trace in figure["data"] if trace["showlegend"]]
    assert len(named) == min(count, 7) + (count > 7)
    assert f"{count} run" in sentence
    assert "Best last value" in sentence
    if count == 200:
        assert named[0] == "193 other runs"
        assert named[-1] == "churn-r000"  # drawn last, first in the legend
        assert "7 of 200 runs" in sentence
        assert len(figure["data"]) == 8  # plotly has all grey lines in one trace


def test_non_finite_values_are_gaps_and_crosses_and_are_counted():
    table = history({"r000": [1.0, math.nan, 3.0, 4.0, 1.7976931348623157e308], "r001": [math.nan], "r002": [2.5]})
    figure, _, sentence = bundle(metric_history(table, labels(3), "val_loss", greater_is_better=True))
    line = next(trace for trace in figure["data"] if trace["mode"] == "lines")
    assert [math.isnan(value) for value in numbers(line["y"])] == [False, True, False, False, True]
    low, high = figure["layout"]["yaxis"]["range"]
    crosses = {
        (x, y)
        for trace in figure["data"]
        if trace["mode"] == "markers" and trace["marker"]["symbol"] == "x"
        for x, y in zip(trace["x"], trace["y"], strict=True)
    }
    assert crosses == {(1, low), (4, high), (0, low)}
    assert "3 values of 2 runs NaN or infinite" in sentence
    assert {trace["name"] for trace in figure["data"] if trace["showlegend"]} == set(labels(3).values())


def test_long_lines_are_encoded_and_reduced_and_the_note_says_so():
    chart = metric_history(curves(2, 5000), labels(2), "val_loss")
    figure, _, sentence = bundle(chart)
    assert figure["data"][0]["x"]["dtype"] == "i2"
    assert figure["data"][0]["y"]["dtype"] == "f4"
    assert len(numbers(figure["data"][0]["y"])) <= 1000
    assert numbers(figure["data"][0]["x"])[-1] == 4999
    assert "up to 5,000 points are reduced" in sentence


def test_step_ticks_are_integers_and_equal_curves_are_counted():
    figure, _, sentence = bundle(
        metric_history(history({"r000": [1.0, 2.0], "r001": [1.0, 2.0]}), labels(2), "val_loss")
    )
    assert figure["layout"]["xaxis"]["ticktext"] == ["0", "1"]
    assert "1 line is hidden under another" in sentence


def test_extreme_numbers_are_drawn():
    for values in ([1e-320, 1e300, 5.0], [-1.7e308, 1.7e308], [0.0, 0.0], [1e308], [2**53 + 1.0, 2.0]):
        bundle(metric_history(history({"r000": values * 40}), labels(1), "val_loss"))
        bundle(
            metric_comparison(metrics({f"r{i:03}": value for i, value in enumerate(values)}), labels(3), ["val_auc"])
        )


def test_a_positive_metric_over_decades_is_logarithmic_by_default():
    table = history({"r000": [1000.0, 10.0, 1.0]})
    assert metric_history(table, labels(1), "val_loss").panels[0].y.log
    assert not metric_history(table, labels(1), "val_loss", log_y=False).panels[0].y.log
    assert not metric_history(history({"r000": [1000.0, 0.0]}), labels(1), "val_loss", log_y=True).panels[0].y.log


def test_plotly_shows_names_literally():
    figure, _, _ = bundle(metric_history(curves(6, 5), ODD_NAMES, "val_loss"))
    names = [trace["name"] for trace in figure["data"]][::-1]
    assert names[:2] == ["_hidden", "&#36;\\frac{1}&#36; &#36;x"]
    assert names[2].startswith("&lt;b&gt;bold&lt;/b&gt; ")
    assert names[2].endswith("&lt;/a&gt; &amp;lt;")
    assert names[3] == "%{y} %{fullData.name}"
    assert all(len(name) < 120 and name.isprintable() for name in names)
    assert len({trace["hovertemplate"] for trace in figure["data"]}) == 1  # no name is evaluated as a template


def test_the_drawing_shows_names_literally():
    root = drawing(metric_history(curves(6, 5), ODD_NAMES, "val_loss"))
    shown = texts(root)
    for name in ("_hidden", "$\\frac{1}$ $x", "%{y} %{fullData.name}", "日本 😀"):
        assert name in shown
    assert any(text.startswith("<b>bold</b> ") and text.endswith("</a> &lt;") for text in shown)
    assert all(len(text) < 120 and text.isprintable() for text in shown)


def test_equal_names_are_distinguished_by_run_ids():
    figure, _, _ = bundle(metric_history(curves(2, 5), {"r000": "same", "r001": "same"}, "val_loss"))
    assert {trace["name"] for trace in figure["data"]} == {"same (r000)", "same (r001)"}


def test_a_leading_run_has_one_colour_in_all_charts_and_the_others_are_grey():
    values = {run_id: index / 12 for index, run_id in enumerate(run_ids(12))}
    order = run_ids(12)[::-1]
    lines = metric_history(curves(12, 5), labels(12), "val_loss", greater_is_better=False, order=order).panels[0].marks
    by_line = {mark.runs: mark.colour for mark in lines if isinstance(mark, Line)}
    points = metric_comparison(metrics(values), labels(12), ["val_auc"], order=order).panels[0].marks
    (dots,) = [mark for mark in points if isinstance(mark, Points)]
    by_dot = dict(zip(dots.runs, dots.colours, strict=True))
    assert [by_line[run_id] for run_id in order[:7]] == [by_dot[run_id] for run_id in order[:7]] == list(PALETTE)
    assert {by_line[run_id] for run_id in order[7:]} == {REST}
    assert {by_dot[run_id] for run_id in order[7:]} == {QUIET}


def test_runs_of_a_configuration_share_a_colour_and_differ_in_their_dashes():
    styles = run_styles(["a", "b", "c", "x"], ["a b", "c"])
    assert styles == {"a": STYLES[0], "b": STYLES[7], "c": STYLES[1], "x": (REST, "solid")}
    assert chosen_styles(["x", "y"], ["a b", "c"]) == {"x": STYLES[0], "y": STYLES[1]}  # none of them leads
    asked = run_styles([f"r{index}" for index in range(20)], [f"r{index}" for index in range(20)], 20)
    assert len(set(asked.values())) == 20


def test_a_background_line_is_close_to_the_data_with_few_points():
    x = np.arange(2000.0)
    y = np.exp(-x / 20)  # falls within the first hundredth
    y[700:705] = np.nan
    few_x, few_y = simplify(x, y, 0.01, 100)
    assert len(few_x) < 40
    drawn = np.isfinite(few_y)
    assert np.abs(np.interp(x, few_x[drawn], few_y[drawn]) - np.where(np.isnan(y), 0, y)).max() < 0.02
    assert np.isnan(few_y).sum() == 1


@pytest.mark.parametrize("count", [1, 2, 12, 30, 200])
def test_a_comparison_for_any_number_of_runs(count):
    values = {run_id: index / 1000 for index, run_id in enumerate(run_ids(count))}
    chart = metric_comparison(metrics(values), labels(count), ["val_auc"], greater_is_better={"val_auc": True})
    figure, _, sentence = bundle(chart)
    rows = figure["layout"]["yaxis"]["ticktext"]
    assert rows[0] == f"churn-r{count - 1:03}"
    assert rows[-1] == "churn-r000"
    assert len(rows) == (31 if count == 200 else count)
    if count == 200:
        assert "Showing 30 of 200 runs" in sentence
        assert "… 170 more" in rows
    (dots,) = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert len(numbers(dots["x"])) == min(count, 30)


def test_a_comparison_counts_missing_values_and_marks_non_finite_ones():
    values = {"r000": 1.0, "r001": math.nan, "r002": -math.inf}
    chart = metric_comparison(metrics(values), labels(5), ["val_auc", "missing"], greater_is_better={"val_auc": False})
    figure, _, sentence = bundle(chart)
    assert figure["layout"]["yaxis"]["ticktext"] == ["churn-r002", "churn-r000", "churn-r001"]
    low, high = figure["layout"]["xaxis"]["range"]
    (crosses,) = [trace for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "x"]
    assert crosses["x"] == [low, high]  # NaN at the worse end
    assert "2 of 5 runs never recorded val_auc" in sentence
    assert "2 values NaN or infinite" in sentence


def test_many_numbers_are_a_scatter_plot_with_a_log_axis_over_decades():
    table = params({run_id: str(10.0 ** -(index % 8)) for index, run_id in enumerate(run_ids(40))})
    values = metrics({run_id: index / 40 for index, run_id in enumerate(run_ids(39))})
    figure, _, sentence = bundle(param_distribution(table, values, labels(41), "lr", "val_auc"))
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert "39 runs" in sentence
    assert "1 run without lr, 1 run without val_auc" in sentence


def test_few_values_are_groups_with_n_and_a_box_from_five_runs_on():
    chosen = {run_id: ("adam", "sgd", "sgd")[index % 3] for index, run_id in enumerate(run_ids(9))}
    values = metrics({run_id: float(index) for index, run_id in enumerate(run_ids(9))})
    figure, _, sentence = bundle(param_distribution(params(chosen), values, labels(9), "lr", "val_auc"))
    assert figure["layout"]["xaxis"]["ticktext"] == ["adam (n=3)", "sgd (n=6)"]
    (box,) = [trace for trace in figure["data"] if trace["type"] == "box"]
    assert (box["median"], box["q1"], box["q3"]) == ([4.5], [2.5], [6.5])
    assert sum(len(trace["x"]) for trace in figure["data"] if trace.get("mode") == "markers") == 9
    assert "adam: 3 (n=3); sgd: 4.5 (n=6)" in sentence


def test_long_numbers_below_groups_are_rounded_as_in_tables_and_stay_different():
    values = metrics({run_id: float(index) for index, run_id in enumerate(run_ids(9))})
    for logged, shown in (
        (("0.016666666666666666", "0.5", "2"), ["0.01667", "0.5", "2"]),
        (("0.016666666666666666", "0.016666666666666667", "2"), ["0.016666666666666666", "0.016666666666666667", "2"]),
    ):
        chosen = {run_id: logged[index % 3] for index, run_id in enumerate(run_ids(9))}
        figure, *_ = bundle(param_distribution(params(chosen), values, labels(9), "lr", "val_auc"))
        assert [text.split("<br>")[0].removesuffix(" (n=3)") for text in figure["layout"]["xaxis"]["ticktext"]] == shown


def test_only_the_largest_of_many_groups_are_shown_and_the_note_says_so():
    chosen = {run_id: f"<v{index // 2}>" for index, run_id in enumerate(run_ids(60))}
    values = metrics(dict.fromkeys(chosen, 1.0))
    figure, _, sentence = bundle(param_distribution(params(chosen), values, labels(60), "lr", "val_auc"))
    assert len(figure["layout"]["xaxis"]["ticktext"]) == 12
    assert figure["layout"]["xaxis"]["ticktext"][0] == "&lt;v0&gt;<br>(n=2)"
    assert "12 most frequent of 30 values" in sentence


def test_a_chart_without_data_says_so_and_has_empty_axes():
    for chart in (
        metric_history(curves(1, 1), {}, "val_loss"),
        metric_comparison(metrics({}), labels(2), ["val_auc"]),
        param_distribution(params({}), metrics({}), labels(2), "lr", "val_auc"),
    ):
        _, _, sentence = bundle(chart)
        assert "no run" in sentence
    with pytest.raises(ValueError, match="at least one metric"):
        metric_comparison(metrics({}), labels(2), [])


def test_both_renderers_draw_every_mark():
    x = np.arange(3.0)
    marks = (
        Band(np.arange(5.0) / 2, np.array([0.0, 0.0, math.nan, 1.0, 1.0]), np.arange(1.0, 6.0), "#0072B2"),
        Bars(x, x + 1, ("#D55E00",), base=x, label="took", texts=("a", "b", "c")),
        Bars(x, x + 1, ("#D55E00",), vertical=True, label="took"),
        Heat(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0]), np.array([[0.5, math.nan]]), "val_auc"),
        Texts(x, x, ("one", "$two", "<b>"), "#24292F"),
    )
    for mark in marks:
        plain = Chart("a mark", (Panel(Axis("x", (0, 3)), Axis("y", (0, 4)), ()),), "words")
        chart = dataclasses.replace(plain, panels=(dataclasses.replace(plain.panels[0], marks=(mark,)),))
        figure, root, _ = bundle(chart)
        assert len(figure["data"]) == 1
        (group,) = root.findall(".//*[@class='marks']")
        assert len(list(group.iter())) > 1, type(mark).__name__
        assert not len(drawing(plain).find(".//*[@class='marks']") or ())
    band = bundle(dataclasses.replace(plain, panels=(dataclasses.replace(plain.panels[0], marks=marks[:1]),)))[0]
    x = numbers(band["data"][0]["x"])
    assert [None if math.isnan(value) else value for value in x] == [
        0,
        0.5,
        0.5,
        0,
        None,
        1.5,
        2,
        2,
        1.5,
        None,
    ]  # NaN: a gap
    both = dataclasses.replace(plain, panels=(dataclasses.replace(plain.panels[0], marks=marks[1:3]),))
    assert [trace["showlegend"] for trace in bundle(both)[0]["data"]] == [True, False]  # one legend entry


def test_panels_are_laid_out_in_rows_and_share_the_y_axis_if_requested():
    panel = Panel(Axis("step", (0, 3)), Axis("val_loss", (0, 4)), (), title="churn-r000")
    layout = bundle(Chart("five", (panel,) * 5, "words", columns=3, height=600))[0]["layout"]
    places = {name: layout[name]["domain"] for name in layout if name.startswith(("xaxis", "yaxis"))}
    assert places["xaxis"] == places["xaxis4"]
    assert places["xaxis"][1] < places["xaxis2"][0]
    assert places["yaxis4"][1] < places["yaxis"][0]
    assert [layout[f"yaxis{number}"].get("showticklabels", True) for number in ("", 2, 3, 4, 5)] == [
        *(True, False, False),
        *(True, False),
    ]
    assert [note["text"] for note in layout["annotations"]] == ["churn-r000"] * 5
    alone = bundle(Chart("five", (panel,) * 5, "words", columns=3, shared_y=False))[0]["layout"]
    assert all("matches" not in alone[f"yaxis{number}"] for number in ("", 2, 3, 4, 5))


@pytest.mark.parametrize("values", [("1", "2", "3"), tuple(str(n) for n in range(500))], ids=["groups", "scatter"])
def test_an_even_sample_of_very_many_runs_is_drawn_and_the_note_says_so(values):
    chosen = {f"r{n}": values[n % len(values)] for n in range(4000)}
    finals = metrics({f"r{n}": float((n * 7919) % 4001) for n in range(4000)})
    names = {run_id: run_id for run_id in chosen}
    chart = param_distribution(params(chosen), finals, names, "lr", "val_auc")
    _, _, sentence = bundle(chart)
    drawn = [value for mark in chart.panels[0].marks if isinstance(mark, Points) for value in mark.y]
    assert len(drawn) == 3000
    assert {min(drawn), max(drawn)} == {min(finals["value"].to_pylist()), max(finals["value"].to_pylist())}
    assert "Drawn: 3,000 of 4,000 runs, evenly sampled by value" in sentence
    assert ("boxes and medians are computed from all" in sentence) == (len(values) == 3)


def test_labels_that_do_not_fit_are_cut_so_that_different_ones_stay_different():
    names = {f"r00{place}": f"benchmark-with-normals-{own}-2026-11-20T10:33:23" for place, own in enumerate("ab")}
    chart = metric_history(curves(2, 5), names, "val_loss")
    shown = compute_layout(chart).legend_texts
    assert len({shown[name] for name in names.values()}) == 2
    keys = [f"validation_mean_intersection_over_union_of_{which}_classes" for which in ("all", "rare")]
    values = pa.concat_tables([metrics({"r000": 0.1, "r001": 0.2}, key) for key in keys])
    chart = metric_comparison(values, names, keys)
    layout = compute_layout(chart)
    assert len({*layout.x_labels}) == 2
    panel = (layout.x_spans[0][1] - layout.x_spans[0][0]) * (layout.width - layout.left - layout.right)
    assert all(
        text_width(label, TEXT_SIZE) < panel + BETWEEN_PANELS
        for label in [line for lines in layout.x_labels for line in lines]
    )
    values = {f"r00{place}": f"configs/segmentation/{own}/with_normals.yaml" for place, own in enumerate("abc")}
    scores = metrics(dict.fromkeys(values, 0.5))
    ticks = [
        text for _, text in param_distribution(params(values), scores, labels(3), "lr", "val_auc").panels[0].x.ticks
    ]
    assert len({*ticks}) == 3
