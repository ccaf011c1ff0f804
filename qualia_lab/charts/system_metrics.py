"""Small multiples of system metrics: a panel per metric with its unit, a line per run."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from qualia_lab.analysis.curves import RELATIVE, align, as_drawn
from qualia_lab.charts.axes import compact_axis, distinct_labels, fit_axis
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import LEADING, chosen_styles
from qualia_lab.charts.history_panels import MAX_PANELS, ROW_HEIGHT
from qualia_lab.charts.marks import Panel
from qualia_lab.charts.metric_history import background_lines, concatenated, history_axis, run_marks
from qualia_lab.counts import counted
from qualia_lab.inventory import SYSTEM_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.charts.marks import Mark

# The last words of the metric names of MLflow's system monitors.
_UNITS = {
    "percentage": "%",
    "percent": "%",
    "megabytes": "MB",
    "gigabytes": "GB",
    "kilobytes": "kB",
    "bytes": "bytes",
    "watts": "W",
    "celsius": "°C",
    "seconds": "s",
    "hertz": "Hz",
    "megahertz": "MHz",
    "count": "count",
}
_COLUMNS = 3
_LINE_POINTS, _GREY_POINTS = 300, 60


def system_metrics_chart(
    history: pa.Table,
    labels: Mapping[str, str],
    keys: Sequence[str],
    *,
    by: str = RELATIVE,
    limit: int = LEADING,
    order: Sequence[str] = (),
) -> Chart:
    """Draw a panel per metric, over the time since the first value of the run.

    Args:
        history: schema.METRIC_HISTORY, of any runs and metrics.
        labels: the label of each run, by run id, in the order of the notebook.
        keys: the metrics, `system/...`; the first 24 are drawn.
        by: the x axis (see analysis.curves).
        limit: how many runs are coloured and named; the others are grey.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the first runs.
    """
    names = distinct_labels(labels)
    every = (as_drawn(align(history, list(labels), key, by), most_points=_LINE_POINTS) for key in keys[:MAX_PANELS])
    histories = [histories_of_key for histories_of_key in every if histories_of_key.series]
    shown = [histories_of_key.key for histories_of_key in histories]
    with_any = {series.run_id for histories_of_key in histories for series in histories_of_key.series}
    recorded = [run_id for run_id in labels if run_id in with_any]
    styles = chosen_styles(recorded, order, limit)
    highlighted = list(styles)
    points = sum(series.recorded for histories_of_key in histories for series in histories_of_key.series)
    not_finite = sum(series.odd for histories_of_key in histories for series in histories_of_key.series)
    panels = []
    columns = max(1, min(_COLUMNS, len(shown)))
    for histories_of_key in histories:
        name, unit = name_and_unit(histories_of_key.key)
        y_axis = compact_axis(fit_axis("", concatenated([series.y for series in histories_of_key.series]), log=False))
        x_axis = compact_axis(history_axis(histories_of_key), 3)
        background = [series for series in histories_of_key.series if series.run_id not in styles]
        marks: list[Mark] = []
        if background:
            label = counted(len(recorded) - len(highlighted), "other run")
            marks += background_lines(background, y_axis, label=label, points=_GREY_POINTS)
        for series in reversed(histories_of_key.series):
            if series.run_id in styles:
                marks += run_marks(series, names[series.run_id], styles[series.run_id], y_axis, None)
        title = f"{name} ({unit})" if unit else name
        panels.append(Panel(x_axis, y_axis, tuple(marks), title))
    rows = math.ceil(len(panels) / columns)
    empty = Panel(fit_axis("time", concatenated([])), fit_axis("", concatenated([])), ())
    return Chart(
        title="System metrics",
        panels=tuple(panels) or (empty,),
        sentence=f"System metrics of {counted(len(recorded), 'run')}: {counted(len(shown), 'metric')}, "
        f"{counted(points, 'recorded value')}.",
        note=" ".join(_notes(len(shown), len(keys), (len(recorded), len(labels), len(highlighted)), not_finite)),
        height=130 + max((ROW_HEIGHT + 30) * max(rows, 1), 22 * (len(highlighted) + 1)),
        columns=columns,
        shared_y=False,
    )


def name_and_unit(key: str) -> tuple[str, str]:
    """Return the name and unit of a metric: `gpu 0 power usage`, `W` for `system/gpu_0_power_usage_watts`.

    The unit is "" if the name does not end in one.
    """
    words = [word for word in re.split(r"[_\s]+", key.removeprefix(SYSTEM_METRICS)) if word]
    unit = _UNITS.get(words[-1].lower(), "") if len(words) > 1 else ""
    return " ".join(words[:-1] if unit else words) or key, unit


def _notes(shown: int, metrics: int, runs: tuple[int, int, int], not_finite: int) -> list[str]:
    recorded, total, highlighted = runs
    notes = []
    if shown < metrics:
        notes.append(f"Showing {shown} of {metrics} system metrics.")
    if recorded < total:
        notes.append(f"{recorded} of {total} runs recorded any.")
    if highlighted < recorded:
        notes.append(f"Coloured: {highlighted} of {recorded} runs; the others are grey.")
    if not_finite:
        notes.append(f"Crosses at the edge: {counted(not_finite, 'value')} NaN or infinite.")
    return notes
