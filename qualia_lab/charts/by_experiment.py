"""Charts of several experiments under one another: each by itself, nothing compared across two of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.charts.chart import Chart
from qualia_lab.charts.marks import Axis, Panel
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

_EMPTY = Panel(Axis("", (0, 1), ticks=((-1, ""),)), Axis("", (0, 1), ticks=((-1, ""),)), ())


def by_experiment(charts: Sequence[tuple[str, Chart]], notes: Sequence[str] = ()) -> Chart:
    """One chart whose panels are those of these charts, a row or more for each, titled by its experiment.

    Args:
        charts: the experiment's name and its chart, at least one.
        notes: what else a reader has to know.
    """
    columns = max(one.columns or len(one.panels) for _, one in charts)
    panels: list[Panel] = []
    for name, one in charts:
        titled = [replace(panel, title=f"{name}: {panel.title}" if panel.title else name) for panel in one.panels]
        panels += titled + [_EMPTY] * (-len(titled) % columns)
    told = [f"{name}: {one.note}" for name, one in charts if one.note]
    return Chart(
        title=f"{counted(len(charts), 'experiment')}, each by itself: {charts[0][1].title}"
        if len({one.title for _, one in charts}) == 1
        else f"{counted(len(charts), 'experiment')}, each by itself",
        panels=tuple(panels),
        sentence=" ".join(f"{name}: {one.sentence}" for name, one in charts),
        note=" ".join([*told, *notes]),
        height=sum(one.height for _, one in charts),
        columns=columns,
        shared_y=all(one.shared_y for _, one in charts),  # the panels of a row are of one chart
    )
