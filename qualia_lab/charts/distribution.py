"""How the values of a metric are distributed: the share of runs up to each value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.progress import distribution
from qualia_lab.charts.axes import direction, fitting_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import STYLES
from qualia_lab.charts.even_choice import drawn_note, even_by_value
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Mark

MOST_GROUPS = 8
MOST_STEPS = 1000  # of a line; with more it looks no other


def distribution_chart(
    groups: Mapping[str, Sequence[float]], metric: str, *, by: str = "", greater_is_better: bool | None, runs: int
) -> Chart:
    """The empirical distribution (ECDF) of a metric, one line of steps per group.

    groups: finite values by what the group is called, one group called "" for all runs.  by: what makes the groups.
    runs: how many runs there are, to say how many have no finite value.
    """
    shown = dict(sorted(groups.items(), key=lambda group: -len(group[1]))[:MOST_GROUPS])
    shown = {name: values for name, values in groups.items() if name in shown}
    everything = np.array([value for values in shown.values() for value in values], np.float64)
    x_axis = fitting_axis(_label(metric, greater_is_better), everything)
    marks: list[Mark] = []
    steps = drawn = 0
    for (name, values), (colour, dash) in zip(shown.items(), STYLES, strict=False):
        x, share = distribution(values)
        steps += len(x)
        chosen = even_by_value(x, MOST_STEPS)
        x, share = x[chosen], share[chosen]
        drawn += len(chosen)
        label = f"{name} (n={len(values)})" if by else ""
        steps_x = np.concatenate(([x_axis.limits[0]], np.repeat(x, 2), [x_axis.limits[1]]))
        steps_y = np.concatenate(([0.0, 0.0], np.repeat(share, 2)))
        marks.append(Line(steps_x, steps_y, colour, label=label, dash=dash, hover=False))
        marks.append(
            Points(x, share, (colour,), size=4, texts=tuple(_text(v, s, label) for v, s in zip(x, share, strict=True)))
        )
    n = sum(map(len, groups.values()))
    notes = [f"n = {n}."]
    notes += filter(None, [drawn_note(drawn, steps, "steps")])
    if len(groups) > len(shown):
        notes.append(f"Showing the {len(shown)} most frequent of {len(groups)} values of {by}.")
    if runs > n:
        notes.append(f"Not shown: {counted(runs - n, 'run')} without {by + ' or ' if by else ''}a finite {metric}.")
    return Chart(
        title=f"Distribution of {metric}" + (f" by {by}" if by else ""),
        panels=(Panel(x_axis, Axis("share of runs up to this value", (-0.03, 1.03)), tuple(reversed(marks))),),
        sentence=_sentence(shown, metric, by),
        note=" ".join(notes),
        height=380,
    )


def _label(metric: str, greater_is_better: bool | None) -> str:
    words = direction(greater_is_better)
    return f"{metric} ({words})" if words else metric


def _text(value: float, share: float, label: str) -> str:
    return f"{label + ': ' if label else ''}{share:.0%} up to {number_text(value)}"


def _sentence(groups: Mapping[str, Sequence[float]], metric: str, by: str) -> str:
    if not any(groups.values()):
        return f"Distribution of {metric}: no run has a finite value."
    parts = [
        f"{name + ': ' if by else ''}median {number_text(float(np.median(values)))}, "
        f"from {number_text(min(values))} to {number_text(max(values))} (n={len(values)})"
        for name, values in groups.items()
        if len(values)
    ]
    return f"Distribution of {metric}{' by ' + by if by else ''}: {'; '.join(parts)}."
