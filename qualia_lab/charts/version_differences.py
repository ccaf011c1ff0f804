"""Chart of evaluated versions against one of them: the paired difference by each scorer, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import category_axis, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, INK, REST
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.version_comparison import ScorerComparison
    from qualia_lab.charts.marks import Axis, Mark

MAX_ROWS = 20
_MAX_PANELS = 6
_ROW_HEIGHT = 26
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: "direction unknown"}
_PLAIN = ("not told apart", "too few pairs to tell", "not comparable")


@dataclass(frozen=True)
class Difference:
    """One version against the reference by one scorer."""

    run_id: str
    compared: ScorerComparison


def version_differences(differences: Sequence[Difference], labels: Mapping[str, str], reference: str) -> Chart:
    """Draw the difference of each version from the reference, a panel per scorer; what is not told apart is grey.

    Args:
        differences: the comparisons, at least one with a difference.
        labels: the labels of the runs.
        reference: the label of the version that the others are compared with.
    """
    shown = [one for one in differences if one.compared.test.difference is not None]
    runs = list(dict.fromkeys(one.run_id for one in shown))
    names = list(dict.fromkeys(one.compared.scorer.name for one in shown))
    y_axis = category_axis("", [labels[run_id] for run_id in runs[:MAX_ROWS]], downwards=True, min_slots=2)
    panels = tuple(
        _panel([one for one in shown if one.compared.scorer.name == name], runs[:MAX_ROWS], y_axis, labels)
        for name in names[:_MAX_PANELS]
    )
    dots = "The dot is the mean difference over rows with equal inputs, the line its 95 % interval; "
    notes = [f"{dots}grey: not told apart, with p corrected (Holm) over all rows and panels."]
    if len(runs) > MAX_ROWS:
        notes.append(f"Showing {MAX_ROWS} of {len(runs)} versions.")
    if len(names) > _MAX_PANELS:
        notes.append(f"Showing {_MAX_PANELS} of {len(names)} scorers.")
    told = [one for one in shown if one.compared.verdict not in _PLAIN]
    sentence = f"{counted(len(runs), 'version')} against {reference}: "
    sentence += f"{len(told)} of {counted(len(shown), 'difference')} told apart."
    return Chart(
        title=f"Evaluations: difference from {reference}",
        panels=panels,
        sentence=sentence,
        note=" ".join(notes),
        height=max(200, 130 + _ROW_HEIGHT * min(len(runs), MAX_ROWS)),
        columns=min(len(panels), 3),
    )


def _panel(differences: Sequence[Difference], runs: Sequence[str], y_axis: Axis, labels: Mapping[str, str]) -> Panel:
    marks: list[Mark] = []
    ends = [0.0]
    xs, ys, colours, texts, ids = [], [], [], [], []
    for one in differences:
        if one.run_id not in runs:
            continue
        test, place = one.compared.test, float(runs.index(one.run_id))
        colour = REST if one.compared.verdict in _PLAIN else DATA
        difference = test.difference or 0.0
        low, high = (difference if end is None else end for end in (test.low, test.high))
        marks.append(Line(np.array([low, high]), np.array([place, place]), colour, hover=False, runs=one.run_id))
        ends += [low, high, difference]
        xs.append(difference)
        ys.append(place)
        colours.append(colour)
        ids.append(one.run_id)
        texts.append(f"{labels[one.run_id]}: {number_text(difference)} (n = {test.n} pairs), {one.compared.verdict}")
    zero = Line(np.zeros(2), np.array([-0.5, max(len(runs) - 0.5, 0.5)]), INK, dash="dot", width=1.0, hover=False)
    points = Points(np.array(xs), np.array(ys), tuple(colours), texts=tuple(texts), runs=tuple(ids))
    scorer = differences[0].compared.scorer
    axis = fit_axis(f"difference ({_DIRECTIONS[scorer.greater_is_better]})", np.array(ends), log=False)
    return Panel(axis, y_axis, (zero, *marks, points), title=scorer.name)
