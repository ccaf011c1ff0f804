"""The small charts of findings show the runs, steps and levels that the finding is about."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from qualia_lab.analysis.findings import RULES
from qualia_lab.charts import evidence
from qualia_lab.charts.marks import Bars, Line, Points
from qualia_lab.notebook.page.figure import chart_html
from qualia_lab.runs import Runs
from qualia_lab.runs.finding_charts import DRAWN_RULES, finding_chart, finding_charts
from tests.planted import curves, rare_rules, sweeps, typical_stores

from .sample import history, labels

# Findings of these rules are about statuses, names or data: a chart would show no more than their sentence.
WITHOUT_CHART = {
    *("failed", "unfinished", "silent", "duplicates", "other_code", "other_data", "constant_params"),
    *("unknown_direction", "mixed_units"),
    # What is about rows of evaluations and about spans is drawn in the sections that these findings name.
    *("best_version", "slice_regression", "usage_regression", "best_never_saved", "champion_not_best"),
    *("judge_always_same", "repeated_tool_calls", "unchecked_expectations", "improved_within_noise"),
    "span_type_dominates",
}
SHAPES = (*sweeps.SHAPES, *curves.SHAPES, *rare_rules.SHAPES, typical_stores.quality_against_latency)


def runs_of(store):
    class Histories:
        def read_metric_history(self, run_ids, keys=None):
            return store.read_history(run_ids, keys)

    return Runs(Histories(), store.tables())


def marks_of(chart, kind):
    [panel] = chart.panels
    return [mark for mark in panel.marks if isinstance(mark, kind)]


def drawn_runs(chart):
    """The runs of all points, and of the coloured lines."""
    points = {run_id for mark in marks_of(chart, Points) for run_id in mark.runs}
    return points | {mark.runs for mark in marks_of(chart, Line) if mark.width > 1 and mark.runs}


def test_every_rule_has_a_chart_or_is_known_to_need_none():
    names = {rule.name for rule in RULES}
    assert names == DRAWN_RULES | WITHOUT_CHART
    assert not DRAWN_RULES & WITHOUT_CHART


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_charts_of_planted_findings_show_their_runs(shape):
    runs = runs_of(shape(100).store)
    drawn = set()
    for finding in runs.find({}):
        chart = finding_chart(runs._loaded, finding)
        if chart is None:
            assert finding.rule not in DRAWN_RULES, finding
            continue
        drawn.add(finding.rule)
        assert (chart.width, len(chart.panels)) == (320, 1)
        assert 160 <= chart.height <= 220
        assert chart.sentence.endswith(".")
        [panel] = chart.panels
        assert panel.marks
        assert np.isfinite([*panel.x.limits, *panel.y.limits]).all()
        if finding.run_ids and not marks_of(chart, Bars):
            assert drawn_runs(chart) & set(finding.run_ids), finding
        ET.fromstring(chart.svg())
        assert "<figure" in chart_html(chart.svg(), 1)
    assert set(finding_charts(runs._loaded, runs.find({}))) == {
        place for place, finding in enumerate(runs.find({})) if finding.rule in drawn
    }


def test_the_step_of_a_finding_is_marked_on_its_curve():
    table = history({"r000": [abs(step - 6) / 10 for step in range(12)], "r001": [1.0] * 12})
    chart = evidence.curves_evidence(table, "val_loss", {"r000": 6}, ["r001"], labels(2), greater_is_better=False)
    [dot] = [mark for mark in marks_of(chart, Points) if mark.size == 9]
    assert (dot.x.tolist(), dot.y.tolist(), dot.runs) == ([6.0], [0.0], ("r000",))
    assert [line.runs for line in marks_of(chart, Line)] == ["r001", "r000"]  # the other run is behind
    assert chart.sentence == "val_loss of churn-r000, marked at step 6 before 1 other run."


def test_a_run_without_a_curve_has_no_chart_of_curves():
    table = history({"r000": [1.0]})
    assert evidence.curves_evidence(table, "val_loss", {"r000": None}, [], labels(1), greater_is_better=False) is None


def test_levels_beyond_five_are_left_out_and_means_are_drawn():
    levels = [(f"lr={n}", {f"r{n:03}": float(n), f"r{n + 10:03}": n + 1.0}) for n in range(7)]
    chart = evidence.levels_evidence(levels, "val_acc", labels(20), {"r003"})
    [points] = marks_of(chart, Points)
    assert len(points.x) == 2 * evidence.MOST_LEVELS
    assert [line.x.tolist() for line in marks_of(chart, Line)] == [[n + 0.5] * 2 for n in range(5)]
    colour_of = dict(zip(points.runs, points.colours, strict=True))
    own = colour_of.pop("r003")
    assert set(colour_of.values()) == {points.colours[0]} != {own}


def test_shares_are_of_all_ended_runs():
    chart = evidence.shares_evidence([("with it", 3, 4), ("without it", 1, 10)], "failed")
    [bars] = marks_of(chart, Bars)
    assert bars.ends.tolist() == [75.0, 10.0]
    assert "with it: 3 of 4" in chart.sentence
