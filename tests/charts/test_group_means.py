"""The chart of configurations, for one run up to hundreds."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from qualia_lab.analysis.findings.naming import brief_names
from qualia_lab.analysis.groups import group_runs, short_labels
from qualia_lab.charts.group_means import group_means
from qualia_lab.charts.marks import Points

from .sample import runs_with, study_of


def drawn(rows, metric="auc", **options):
    tables = runs_with(rows)
    groups = group_runs(tables, study_of(tables), metric)
    labels = {run_id: run_id for run_id in tables.run_ids}
    return group_means(groups, labels, metric, greater_is_better=True, **options)


def configurations(rows):
    return study_of(runs_with(rows)).configurations


def several(count, each):
    generator = np.random.default_rng(0)
    return [
        ({"lr": str(k), "seed": str(n)}, {"auc": float(generator.normal(k, 1))})
        for k in range(count)
        for n in range(each)
    ]


@pytest.mark.parametrize(("count", "each"), [(1, 1), (4, 3), (100, 2), (2, 100)])
def test_each_run_is_a_point_and_each_configuration_is_labelled_with_n(count, each):
    chart = drawn(several(count, each))
    (panel,) = chart.panels
    shown = min(count, 30)
    points = [mark for mark in panel.marks if isinstance(mark, Points) and mark.label == "one run"]
    assert sum(len(mark.x) for mark in points) == shown * each
    assert len(panel.y.ticks) == shown
    assert all(text.endswith(f"(n={each})") for _, text in panel.y.ticks)
    assert ("Showing the first 30 of 100 configurations." in chart.note) == (count == 100)
    low, high = panel.x.limits
    assert all(low <= x <= high for mark in panel.marks for x in mark.x if not np.isnan(x))
    assert ET.fromstring(chart.svg()).get("width") == "960"
    assert chart.plotly()["data"]


def test_runs_and_configurations_without_a_value_are_counted():
    rows = [*several(2, 2), ({"lr": "1", "seed": "9"}, {}), ({"lr": "8", "seed": "9"}, {"auc": float("nan")})]
    chart = drawn(rows)
    assert [text for _, text in chart.panels[0].y.ticks] == ["lr=1 (n=2 of 3)", "lr=0 (n=2)"]
    assert "1 configuration left out: no usable value. In no mean: 2 without a finite value." in chart.note
    nothing = drawn([({"seed": "1"}, {})])
    assert nothing.sentence == "last auc: no configuration has a finite value."
    assert ET.fromstring(nothing.svg()).get("width") == "960"


def test_the_wide_interval_of_two_runs_does_not_stretch_the_axis():
    chart = drawn([({"seed": str(n)}, {"reward": float(n)}) for n in range(2)], metric="reward")
    assert chart.panels[0].x.limits[0] >= -1.2
    assert "1 interval of few runs cut off at the edge." in chart.note


def test_labels_have_only_the_params_that_distinguish_configurations():
    rows = [({"lr": str(lr), "net": net, "wide": str(lr)}, {}) for lr in (1, 2) for net in ("a", "b")]
    labels = short_labels(configurations(rows))
    assert sorted(labels.values()) == ["lr=1, net=a", "lr=1, net=b", "lr=2, net=a", "lr=2, net=b"]
    assert list(short_labels(configurations([({}, {})])).values()) == ["all runs"]
    lacking = short_labels(configurations([({}, {}), ({"lr": "1"}, {})]))
    assert list(lacking.values()) == ["no lr", "lr=1"]


def test_names_of_a_random_search_have_every_factor_that_alone_distinguishes():
    """One of them alone would look like the factor that decides."""
    rows = [({"net": "ab"[n % 2], "dropout": f"0.{n}1", "lr": f"{n * 3 % 11}e-3"}, {}) for n in range(1, 10)]
    assert brief_names(configurations(rows))["run0"] == "net=b, dropout=0.11, lr=3e-3"
    assert brief_names(configurations(rows), fewest=True)["run0"] == "net=b, dropout=0.11"


def test_labels_differ_where_a_value_contains_another_setting():
    rows = [({"a": "1, b=2", "c": "1"}, {}), ({"a": "1", "b": "2", "c": "1"}, {}), ({"a": "1", "c": "1"}, {})]
    labels = list(short_labels(configurations(rows)).values())
    assert len(set(labels)) == 3
    assert all(label.startswith("a=1") for label in labels)


def test_labels_prefer_params_with_words_to_params_with_numbers():
    rows = [({"lr": str(lr), "net": net, "part": str(lr)}, {}) for lr, net in ((1, "a"), (2, "a"), (3, "b"))]
    labels = short_labels(configurations(rows))
    assert list(labels.values()) == ["net=a, lr=1", "net=a, lr=2", "net=b, lr=3"]
