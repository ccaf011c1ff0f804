"""Chart of two metrics against each other with the Pareto front of the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.trade_offs import complete_runs, pareto_set, trade_offs
from qualia_lab.charts.axes import direction, distinct_labels, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import QUIET, REST, chosen_styles
from qualia_lab.charts.marks import Line, Panel, Points
from qualia_lab.charts.sampling import sample_by_value, sample_note
from qualia_lab.counts import and_more, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Mark


def pareto_front(
    values: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, str],
    greater_is_better: Mapping[str, bool],
    order: Sequence[str] = (),
) -> Chart:
    """Draw the first metric along x and the second along y; steps join the runs of the Pareto set.

    The leading ones of these runs are coloured and named.

    Args:
        values: the finite values of two metrics: {metric: {run id: value}}.
        labels: the label of each run, by run id, in the order of the notebook.
        greater_is_better: the direction of each metric.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the first runs of the front.
    """
    x_key, y_key = values
    run_ids = complete_runs(values)
    front = sorted(pareto_set(values, greater_is_better), key=lambda run_id: values[x_key][run_id])
    names = distinct_labels(labels)
    styles = chosen_styles(front, order)

    def points(of: list[str], colour: str, label: str = "", size: float = 8) -> Points:
        texts = tuple(
            f"{names[run_id]}: {number_text(values[x_key][run_id])}, {number_text(values[y_key][run_id])}"
            for run_id in of
        )
        x, y = (np.array([values[key][run_id] for run_id in of], np.float64) for key in (x_key, y_key))
        return Points(x, y, (colour,), label=label, texts=texts, size=size, runs=tuple(of))

    dominated = [run_id for run_id in run_ids if run_id not in set(front)]
    unnamed = [run_id for run_id in front if run_id not in styles]
    marks: list[Mark] = []
    drawn = [dominated[place] for place in sample_by_value([values[x_key][run_id] for run_id in dominated])]
    if dominated:
        marks.append(points(drawn, REST, f"{len(dominated)} dominated", 7))
    marks.append(_steps(front, values, greater_is_better))
    if unnamed:
        marks.append(points(unnamed, QUIET, f"{len(unnamed)} more not dominated", 10))
    marks += [points([run_id], colour, names[run_id], 11) for run_id, (colour, _) in reversed(styles.items())]
    axes = []
    for key in (x_key, y_key):
        numbers = np.array([values[key][run_id] for run_id in run_ids], np.float64)
        axes.append(fit_axis(f"{key} ({direction(greater_is_better[key])})", numbers, padding=0.07))
    missing = len(labels) - len(run_ids)
    return Chart(
        title=f"{y_key} against {x_key}",
        panels=(Panel(axes[0], axes[1], tuple(marks)),),
        sentence=_sentence(front, names, (x_key, y_key), len(run_ids)),
        note=f"n = {len(run_ids)}. {counted(len(front), 'run')} that no other beats in both."
        + f" {sample_note(len(drawn), len(dominated), 'others')}".rstrip()
        + _correlation(values, greater_is_better)
        + (f" Not shown: {counted(missing, 'run')} without finite values of both." if missing else ""),
        height=460,
    )


def _steps(front: list[str], values: Mapping[str, Mapping[str, float]], better: Mapping[str, bool]) -> Line:
    """Return the step line of the Pareto front, which passes only through points that some run reaches or beats."""
    x_key, y_key = values
    x: list[float] = []
    y: list[float] = []
    for run_id in front:
        point = values[x_key][run_id], values[y_key][run_id]
        if x:  # the corner that is no better than the previous run or this one
            x.append(x[-1] if better[x_key] else point[0])
            y.append(point[1] if better[x_key] else y[-1])
        x.append(point[0])
        y.append(point[1])
    return Line(np.array(x), np.array(y), QUIET, width=1.2, dash="dot", hover=False)


def _correlation(values: Mapping[str, Mapping[str, float]], greater_is_better: Mapping[str, bool]) -> str:
    pairs = trade_offs(values, greater_is_better)
    if not pairs or pairs[0].rho is None:
        return ""
    verdict = "they pull apart" if pairs[0].opposed else "no more than a weak trade-off"
    return f" Rank correlation, better with better: {pairs[0].rho:.2f}, {verdict}."


def _sentence(front: list[str], names: Mapping[str, str], keys: tuple[str, str], n: int) -> str:
    if not n:
        return f"{keys[1]} against {keys[0]}: no run has both."
    shown = and_more([names[run_id] for run_id in front], 5)
    if len(front) == 1:
        return f"{keys[1]} against {keys[0]}, n = {n}: {shown} is the best run in both."
    return f"{keys[1]} against {keys[0]}, n = {n}: no run beats {shown} in both."
