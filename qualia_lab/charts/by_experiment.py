"""Combine the charts of several experiments into one, without comparing experiments with each other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.marks import Axis, Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

_AROUND = 130  # pixels of a chart that are not its rows: title, ticks and label of the axis
_LOWEST_ROW = 60
_EMPTY = Panel(Axis("", (0, 1), ticks=((-1, ""),)), Axis("", (0, 1), ticks=((-1, ""),)), ())


def by_experiment(charts: Sequence[tuple[str, Chart]], notes: Sequence[str] = ()) -> Chart:
    """Combine charts into one: each takes one or more rows, and its panel titles start with its experiment.

    Args:
        charts: (experiment name, chart) pairs, at least one.
        notes: sentences to add to the note of the chart.
    """
    columns = max(chart.columns or len(chart.panels) for _, chart in charts)
    panels: list[Panel] = []
    for name, chart in charts:
        titled = [replace(panel, title=f"{name}: {panel.title}" if panel.title else name) for panel in chart.panels]
        panels += titled + [_EMPTY] * (-len(titled) % columns)
    titles = list(dict.fromkeys(chart.title for _, chart in charts))
    several = [f"{len(charts):,} experiments, each by itself"] if len(charts) > 1 else []
    row_heights: list[float] = []
    for _, chart in charts:
        rows = math.ceil(len(chart.panels) / columns)
        row_heights += [max(_LOWEST_ROW, chart.height / rows - _AROUND)] * rows
    chart_notes = [f"{name}: {chart.note}" for name, chart in charts if chart.note]
    return Chart(
        title=": ".join([*several, *(titles if len(titles) == 1 else [])]),
        panels=tuple(panels),
        sentence=" ".join(f"{name}: {chart.sentence}" for name, chart in charts),
        note=" ".join([*chart_notes, *notes]),
        height=sum(chart.height for _, chart in charts),
        columns=columns,
        row_heights=tuple(row_heights),
        shared_y=all(chart.shared_y for _, chart in charts),  # all panels of a row belong to the same chart
    )
