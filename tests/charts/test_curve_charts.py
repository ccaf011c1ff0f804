"""Small multiples, seed bands and system metrics, in each output format."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from qualia_lab import schema
from qualia_lab.analysis.curves import align
from qualia_lab.analysis.seed_bands import seed_bands
from qualia_lab.charts.colours import STYLES, run_styles
from qualia_lab.charts.history_panels import RunGroup, history_panels
from qualia_lab.charts.marks import Band, Line, Points, Texts
from qualia_lab.charts.metric_history import metric_history
from qualia_lab.charts.seed_bands import seed_bands_chart
from qualia_lab.charts.system_metrics import name_and_unit, system_metrics_chart
from qualia_lab.tables import run_tables, table_of

from .sample import curves, history, labels, run_ids, study_of
from .test_charts import ODD_NAMES, bundle


def seeded(configurations_, seeds, values):
    """Tables of runs with lr and seed, and their histories: values(lr, seed) -> list."""
    pairs = [(lr, seed) for lr in range(configurations_) for seed in range(seeds)]
    order = run_ids(len(pairs))
    params = [
        {"run_id": run_id, "key": key, "value": str(value)}
        for run_id, pair in zip(order, pairs, strict=True)
        for key, value in zip(("lr", "seed"), pair, strict=True)
    ]
    tables = run_tables(
        runs=table_of(schema.RUNS, [{"run_id": run_id} for run_id in order]), params=table_of(schema.PARAMS, params)
    )
    table = history({run_id: values(*pair) for run_id, pair in zip(order, pairs, strict=True)})
    return tables, table


def bands_chart(tables, table, **options):
    configured = study_of(tables).configurations
    bands = seed_bands(align(table, tables.run_ids, "val_loss"), [one.run_ids for one in configured])
    return seed_bands_chart(bands, configured, [" ".join(one.run_ids) for one in configured], **options)


@pytest.mark.parametrize("count", [1, 13, 200])
def test_up_to_24_panels_one_per_run_best_first(count):
    chart = history_panels(curves(count, 30), labels(count), "val_loss", greater_is_better=False)
    bundle(chart)
    assert len(chart.panels) == min(count, 24)
    assert chart.panels[0].title.startswith("churn-r000 · ")
    assert len({panel.y.limits for panel in chart.panels}) == 1
    behind = [mark for mark in chart.panels[0].marks if isinstance(mark, Line) and not mark.label]
    assert len(behind) == (count > 1)
    text = repr(chart)
    assert ("Showing 24 of 200 runs" in text) == (count == 200)
    assert ("24 of 200 runs, evenly sampled" in text) == (count == 200)


def test_a_panel_per_configuration_has_the_mean_with_n_and_the_colours_of_its_runs():
    table = history({"r000": [1.0, 2.0], "r001": [1.0, 4.0], "r002": [1.0, 0.5]})
    groups = [RunGroup("lr=0.1", ("r000", "r001")), RunGroup("lr=0.2", ("r002", "r003")), RunGroup("lr=1", ("r004",))]
    chart = history_panels(table, labels(5), "val_loss", groups, greater_is_better=False)
    figure, _, sentence = bundle(chart)
    assert [panel.title for panel in chart.panels] == ["lr=0.2 · 0.5", "lr=0.1 · 3 (n=2)"]
    lines = [mark for mark in chart.panels[1].marks if isinstance(mark, Line) and mark.label]
    order = ["r002 r003", "r000 r001", "r004"]
    assert {line.label: (line.colour, line.dash) for line in lines} == {
        f"churn-{run_id}": run_styles([run_id], order)[run_id] for run_id in ("r000", "r001")
    }
    assert not any(trace["showlegend"] for trace in figure["data"])  # the titles name the runs
    assert "Showing 3 of 5 runs; 2 never recorded val_loss" in sentence


def test_a_panel_of_many_runs_draws_an_even_sample_and_says_so():
    chart = history_panels(curves(60, 5), labels(60), "val_loss", [RunGroup("all", tuple(run_ids(60)))])
    assert sum(isinstance(mark, Line) and bool(mark.label) for mark in chart.panels[0].marks) == 12
    assert "(n=60)" in chart.panels[0].title
    assert "an even sample of 12 runs" in repr(chart)


def test_odd_names_and_values_are_drawn_in_panels():
    table = history({"r000": [1.0, math.nan], "r001": [math.inf], "r002": [2.0], "r003": [1e-300, 1e300], "r004": []})
    figure, _, sentence = bundle(history_panels(table, ODD_NAMES, "<b>$x$</b>"))
    assert figure["layout"]["title"]["text"].startswith("&lt;b&gt;")
    figure, _, sentence = bundle(history_panels(table, ODD_NAMES, "val_loss"))
    assert "2 values of 2 runs NaN or infinite" in sentence
    bundle(history_panels(history({}), labels(20), "val_loss"))


def test_the_recorded_line_is_drawn_behind_the_smoothed_one():
    values = [1.0, 5.0, 1.0, 5.0, 1.0]
    chart = metric_history(history({"r000": values}), labels(1), "val_loss", smooth=0.9, greater_is_better=False)
    raw, smoothed = chart.panels[0].marks
    assert (raw.label, raw.y.tolist()) == ("", values)
    assert smoothed.label == "churn-r000"
    assert np.ptp(smoothed.y) < 4
    assert "Best last value: 1 " in chart.sentence
    assert "Lines smoothed by 0.9" in chart.note


def test_one_run_that_diverges_does_not_flatten_the_others():
    points = {run_id: [1.0, 0.5 + index / 100] for index, run_id in enumerate(run_ids(10))}
    points["r003"] = [1.0, 3e7]
    points["r004"] = [4e7]
    chart = metric_history(history(points), labels(10), "val_loss")
    axis = chart.panels[0].y
    assert axis.limits[1] < 4
    assert not axis.log
    assert "2 lines leave the axes, reaching 4e+07" in chart.note
    (dot,) = [mark for mark in chart.panels[0].marks if isinstance(mark, Points)]
    assert dot.y.tolist() == [axis.limits[1]]  # at the edge, with its value as hover text
    assert "4e+07" in dot.texts[0]
    assert metric_history(history(points), labels(10), "val_loss", log_y=True).panels[0].y.limits[1] > 4e7


def test_a_few_values_near_zero_do_not_make_the_axis_logarithmic():
    many = [0.5 + 0.4 * math.sin(step) for step in range(100)]
    assert not metric_history(history({"r000": [*many, 1e-6]}), labels(1), "val_acc").panels[0].y.log
    assert (
        metric_history(history({"r000": [1000.0] + [1.0 + index / 100 for index in range(99)]}), labels(1), "val_loss")
        .panels[0]
        .y.log
    )


@pytest.mark.parametrize("configured", [1, 12, 60])
def test_bands_for_any_number_of_configurations(configured):
    tables, table = seeded(configured, 3, lambda lr, seed: [1.0 + lr + seed / 10] * 20)
    chart = bands_chart(tables, table, greater_is_better=False)
    bundle(chart)
    bands = [mark for mark in chart.panels[0].marks if isinstance(mark, Band)]
    assert len(bands) == min(configured, 7)
    lines = [mark.label for mark in chart.panels[0].marks if isinstance(mark, Line)]
    assert lines[-1] == ("all runs (n=3)" if configured == 1 else "lr=0 (n=3)")
    assert "the lowest and the highest run" in chart.note
    if configured == 60:
        assert lines[0] == "53 other configurations"
        assert "7 of 60 configurations" in chart.note


def test_bands_are_labelled_with_n_where_it_decreases():
    tables, table = seeded(2, 3, lambda lr, seed: [float(lr + seed + 1)] * (10 if seed or lr else 4))
    chart = bands_chart(tables, table, greater_is_better=False)
    (texts,) = [mark for mark in chart.panels[0].marks if isinstance(mark, Texts)]
    assert (texts.x.tolist(), texts.texts) == ([4.0], ("n=2",))
    assert "lr=0 (n=2 to 3)" in [mark.label for mark in chart.panels[0].marks if isinstance(mark, Line)]
    assert "the rest is computed from the others" in chart.note


def test_bands_of_odd_values_and_single_points_are_drawn():
    tables, table = seeded(3, 2, lambda lr, seed: [[math.nan, math.inf], [5.0], [1e-300, 1e300]][lr])
    chart = bands_chart(tables, table)
    bundle(chart)
    assert "Left out of all averages: 4 values NaN or infinite" in chart.note
    nothing = bands_chart(tables, history({}))
    bundle(nothing)
    assert nothing.sentence == "val_loss: no run recorded it."


def test_a_configuration_has_the_colour_of_its_first_run():
    tables, table = seeded(3, 2, lambda lr, seed: [1.0, lr + seed])
    lines = [mark for mark in bands_chart(tables, table).panels[0].marks if isinstance(mark, Line)]
    assert {line.label: (line.colour, line.dash) for line in lines} == {f"lr={lr} (n=2)": STYLES[lr] for lr in range(3)}


def test_the_unit_of_a_system_metric_is_taken_from_its_name():
    assert name_and_unit("system/cpu_utilization_percentage") == ("cpu utilization", "%")
    assert name_and_unit("system/gpu_0_power_usage_watts") == ("gpu 0 power usage", "W")
    assert name_and_unit("system/network_receive_megabytes") == ("network receive", "MB")
    assert name_and_unit("system/load") == ("load", "")
    assert name_and_unit("system/percentage") == ("percentage", "")
    assert name_and_unit("system/") == ("system/", "")


@pytest.mark.parametrize("count", [1, 12, 200])
def test_system_metrics_for_any_number_of_runs(count):
    keys = [f"system/gpu_{index}_utilization_percentage" for index in range(30)]
    points = {run_id: [(step, 10_000 * step, 50.0 + step) for step in range(5)] for run_id in run_ids(count)}
    table = pa.concat_tables([history(points, key) for key in keys])
    chart = system_metrics_chart(table, labels(count), keys)
    figure, _, sentence = bundle(chart)
    assert len(chart.panels) == 24
    assert chart.panels[0].title == "gpu 0 utilization (%)"
    assert chart.panels[0].x.label == "time since first value (s)"
    assert "Showing 24 of 30 system metrics" in sentence
    named = [trace["name"] for trace in figure["data"] if trace["showlegend"]]
    assert len(named) == min(count, 7) + (count > 7)
    assert ("193 other runs" in named) == (count == 200)


def test_charts_of_many_runs_stay_below_half_a_megabyte():
    chart = history_panels(curves(300, 1000), labels(300), "val_loss", greater_is_better=False)
    assert len(json.dumps(chart.plotly())) < 800_000
