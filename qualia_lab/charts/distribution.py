"""Chart of the empirical distribution of a metric: the share of runs up to each value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.progress import distribution
from qualia_lab.charts.axes import direction, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import STYLES
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.charts.sampling import sample_by_value, sample_note
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Mark

MAX_GROUPS = 8
MAX_STEPS = 1000  # per line; more would look the same


def distribution_chart(
    groups: Mapping[str, Sequence[float]], metric: str, *, by: str = "", greater_is_better: bool | None, runs: int
) -> Chart:
    """Draw the empirical distribution function (ECDF) of a metric, one step line per group.

    Args:
        groups: the finite values of each group by its name; a single group named "" for all runs.
        metric: the name of the metric.
        by: the param that the runs are grouped by; "" for none.
        greater_is_better: the direction of the metric; None if it is not known.
        runs: the number of runs, from which the number without a finite value is computed.
    """
    shown = dict(sorted(groups.items(), key=lambda group: -len(group[1]))[:MAX_GROUPS])
    shown = {name: values for name, values in groups.items() if name in shown}
    all_values = np.array([value for values in shown.values() for value in values], np.float64)
    x_axis = fit_axis(_label(metric, greater_is_better), all_values)
    marks: list[Mark] = []
    steps = drawn = 0
    for (name, values), (colour, dash) in zip(shown.items(), STYLES, strict=False):
        x, share = distribution(values)
        steps += len(x)
        chosen = sample_by_value(x, MAX_STEPS)
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
    notes += filter(None, [sample_note(drawn, steps, "steps")])
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
    direction_words = direction(greater_is_better)
    return f"{metric} ({direction_words})" if direction_words else metric


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
