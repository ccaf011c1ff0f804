"""The machine's own metrics in small multiples: a panel per metric with its unit, a line per run."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from qualia_lab.analysis.curves import RELATIVE, align, as_drawn
from qualia_lab.charts.axes import fitting_axis, small_axis, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import run_styles
from qualia_lab.charts.history_panels import MOST_PANELS, ROW_HEIGHT
from qualia_lab.charts.marks import Panel
from qualia_lab.charts.metric_history import grey_line, history_axis, joined, run_marks
from qualia_lab.counts import counted
from qualia_lab.inventory import SYSTEM_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.charts.marks import Mark

# The words in which MLflow's system monitors end the names of their metrics.
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
    history: pa.Table, labels: Mapping[str, str], keys: Sequence[str], *, by: str = RELATIVE, limit: int = 12
) -> Chart:
    """A panel per metric, over the time since the run's first value of it.

    keys: `system/...`; the first 24 are drawn.  limit: the first so many runs are coloured and named, the others grey.
    """
    shown = list(keys)[:MOST_PANELS]
    names, order = told_apart(labels), list(labels)
    histories = [as_drawn(align(history, order, key, by), most_points=_LINE_POINTS) for key in shown]
    any_of = {one.run_id for found in histories for one in found.series}
    recorded = [run_id for run_id in order if run_id in any_of]
    named = recorded[:limit]
    styles = run_styles(named, order)
    points = sum(one.recorded for found in histories for one in found.series)
    odd = sum(one.odd for found in histories for one in found.series)
    panels = []
    columns = max(1, min(_COLUMNS, len(shown)))
    for found in histories:
        name, unit = name_and_unit(found.key)
        y_axis = small_axis(fitting_axis("", joined([one.y for one in found.series]), log=False))
        x_axis = small_axis(history_axis(found), 3)
        others = [one for one in found.series if one.run_id not in styles]
        marks: list[Mark] = []
        if others:
            marks.append(grey_line(others, label=counted(len(recorded) - len(named), "other run"), points=_GREY_POINTS))
        for one in reversed(found.series):
            if one.run_id in styles:
                marks += run_marks(one, names[one.run_id], styles[one.run_id], y_axis, None)
        title = f"{name} ({unit})" if unit else name
        panels.append(Panel(x_axis, y_axis, tuple(marks), title))
    rows = math.ceil(len(panels) / columns)
    empty = Panel(fitting_axis("time", joined([])), fitting_axis("", joined([])), ())
    return Chart(
        title="System metrics",
        panels=tuple(panels) or (empty,),
        sentence=f"System metrics of {counted(len(recorded), 'run')}: {counted(len(shown), 'metric')}, "
        f"{counted(points, 'recorded value')}.",
        note=" ".join(_notes(len(shown), len(keys), (len(recorded), len(order), len(named)), odd)),
        height=130 + max((ROW_HEIGHT + 30) * max(rows, 1), 22 * (len(named) + 1)),
        columns=columns,
        shared_y=False,
    )


def name_and_unit(key: str) -> tuple[str, str]:
    """`system/gpu_0_power_usage_watts` is called `gpu 0 power usage` and measured in W; "" where no word says it."""
    words = [word for word in re.split(r"[_\s]+", key.removeprefix(SYSTEM_METRICS)) if word]
    unit = _UNITS.get(words[-1].lower(), "") if len(words) > 1 else ""
    return " ".join(words[:-1] if unit else words) or key, unit


def _notes(shown: int, metrics: int, runs: tuple[int, int, int], odd: int) -> list[str]:
    recorded, loaded, named = runs
    notes = []
    if shown < metrics:
        notes.append(f"Showing {shown} of {metrics} system metrics.")
    if recorded < loaded:
        notes.append(f"{recorded} of {loaded} runs recorded any.")
    if named < recorded:
        notes.append(f"Coloured: the first {named} of {recorded} runs; the others are grey.")
    if odd:
        notes.append(f"Crosses at the edge: {counted(odd, 'value')} NaN or infinite.")
    return notes
