"""Chart of param importance for a metric, by three measures side by side; bars that mean nothing are grey."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import category_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, INK, REST
from qualia_lab.charts.marks import Axis, Bars, Line, Panel
from qualia_lab.counts import counted
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.importance import Importances
    from qualia_lab.analysis.param_importance import ParamImportance
    from qualia_lab.charts.marks import Mark

MAX_ROWS = 20
_ROW_HEIGHT = 24


def importance_bars(importances: Importances, metric: str, left_out: Sequence[tuple[str, int]] = ()) -> Chart:
    """Draw bars per param: forest importance with its deviation, PED-ANOVA share, and rank correlation.

    A bar is grey if its value is no more than chance; all bars of the forest are grey if it explains little. A measure
    without any value has no panel.

    Args:
        importances: the importances of the params.
        metric: the name of the metric.
        left_out: (reason, number of runs) pairs of the runs that were not used.
    """
    measured = [row for row in importances.params if (row.forest, row.ped_anova, row.rho) != (None, None, None)]
    rows = measured[:MAX_ROWS]
    y_axis = category_axis("", [row.param for row in rows], downwards=True, min_slots=2)
    panels = []
    if any(row.forest is not None for row in rows):
        panels.append(_forest(rows, y_axis, grey=bool(importances.refusal)))
    if any(row.ped_anova is not None for row in rows):
        shares = [row.ped_anova for row in rows]
        grey = ["PED-ANOVA: no more than chance" in row.note for row in rows]
        panels.append(_panel("PED-ANOVA share (best runs)", rows, shares, y_axis, grey=grey))
    if any(row.rho is not None for row in rows):
        is_chance = [row.rho is None or abs(row.rho) < 1.96 / math.sqrt(row.n - 1) for row in rows]
        panel = _panel("rank correlation", rows, [row.rho for row in rows], y_axis, grey=is_chance)
        panels.append(Panel(Axis(panel.x.label, (-1.05, 1.05)), y_axis, panel.marks))
    empty = Panel(Axis("importance", (0, 1)), y_axis, ())
    return Chart(
        title=f"Which params matter for {metric}",
        panels=tuple(panels) or (empty,),
        sentence=_sentence(importances, metric, rows),
        note=_note(importances, len(measured), left_out),
        height=max(200, 140 + _ROW_HEIGHT * len(rows)),
    )


def _forest(rows: Sequence[ParamImportance], y_axis: Axis, *, grey: bool) -> Panel:
    panel = _panel(
        "forest: R² lost when shuffled",
        rows,
        [row.forest for row in rows],
        y_axis,
        grey=[grey or "forest: no more" in row.note for row in rows],
        deviations=[row.deviation or 0 for row in rows],
    )
    whiskers: list[Mark] = [
        Line(
            np.array([row.forest - row.deviation, row.forest + row.deviation]),
            np.array([place, place], np.float64),
            INK,
            width=1.2,
            hover=False,
        )
        for place, row in enumerate(rows)
        if row.forest is not None and row.deviation is not None
    ]
    return Panel(panel.x, panel.y, (*panel.marks, *whiskers))


def _panel(
    label: str,
    rows: Sequence[ParamImportance],
    values: Sequence[float | None],
    y_axis: Axis,
    *,
    grey: Sequence[bool],
    deviations: Sequence[float] = (),
) -> Panel:
    places_with_value = [place for place, value in enumerate(values) if value is not None]
    ends = np.array([value for value in values if value is not None], np.float64)
    deviation = np.array([deviations[place] for place in places_with_value]) if deviations else np.zeros(len(ends))
    low, high = min(0.0, float((ends - deviation).min())), max(0.0, float((ends + deviation).max()))
    padding = (high - low) * 0.06 or 0.5
    texts = tuple(
        f"{rows[place].param}: {number_text(value)} (n={rows[place].n}) {rows[place].note}".strip()
        for place, value in zip(places_with_value, ends.tolist(), strict=True)
    )
    colours = tuple(REST if grey[place] else DATA for place in places_with_value)
    limits = (low - padding if low < 0 else 0.0, high + padding)
    return Panel(
        Axis(label, limits), y_axis, (Bars(np.array(places_with_value, np.float64), ends, colours, texts=texts),)
    )


def _sentence(importances: Importances, metric: str, rows: Sequence[ParamImportance]) -> str:
    text = f"Params and {metric}, n = {importances.n} runs of {counted(importances.configurations, 'configuration')}"
    if importances.refusal:
        return f"{text}."
    best = [row for row in rows if row.forest is not None][:3]
    order = ", ".join(f"{row.param} {number_text(row.forest or 0)}" for row in best)
    return f"{text}: out-of-bag R² {importances.r2:.2f}; R² lost when shuffled: {order}."


def _note(importances: Importances, rows: int, left_out: Sequence[tuple[str, int]]) -> str:
    if importances.refusal:
        parts = [importances.refusal[0].upper() + importances.refusal[1:] + "."]
    else:
        parts = [
            (
                f"n = {importances.n} runs of {counted(importances.configurations, 'configuration')}; "
                f"out-of-bag R² {importances.r2:.2f}."
            )
        ]
    if left_out:
        parts.append(f"In none of it: {counts_text(left_out)}.")
    if importances.best:
        parts.append(f"PED-ANOVA: the best {counted(importances.best, 'run')} against all.")
    parts.append("Grey: no more than chance. None of it says what causes what.")
    if rows > MAX_ROWS:
        parts.append(f"Showing {MAX_ROWS} of {rows} params.")
    if importances.interaction:
        joint = importances.interaction
        parts.append(f"Of the joint effect of {joint.first} and {joint.second}, {joint.share:.0%} is interaction.")
    return " ".join(parts)
