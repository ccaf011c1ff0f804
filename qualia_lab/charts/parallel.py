"""Parallel coordinates: each run is a line over its params to its metric, each axis with its own scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.charts.axes import distinct_labels, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, INK, QUIET, REST, chosen_styles
from qualia_lab.charts.marks import Axis, Line, Panel, Points, Texts
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.param_columns import ParamColumn
    from qualia_lab.charts.marks import Mark, Numbers

MAX_AXES = 7  # for params; the metric has one more
MAX_NAMED = 12  # runs, of which the leading ones have individual colours
MAX_DRAWN = 300  # other runs
_COLOURED_ENDS = 10  # how many best and how many worst runs are coloured if there are more
_MAX_TEXTS = 8  # values that are all labelled on an axis
_LABEL_WIDTH = 14  # characters of such a label
_MISSING = -0.2  # y position of a missing param
_LABEL_OFFSET = 0.045  # the ends of an axis are labelled above and below it, where there are no lines
_WORST = "#D55E00"


def parallel_axes(
    columns: Sequence[ParamColumn],
    values: Mapping[str, float],
    labels: Mapping[str, str],
    metric: str,
    *,
    greater_is_better: bool | None,
    order: Sequence[str] = (),
) -> Chart:
    """Draw each run as a line over the axes of the params and the metric, each scaled from its lowest to highest value.

    Of up to 12 runs, the leading ones have their colours; of more, the ten best and the ten worst are coloured. The
    others are grey.

    Args:
        columns: the params, with a value per run in the order of `values`.
        values: the finite values of the metric, by run id.
        labels: the label of each run, by run id, in the order of the notebook.
        metric: the name of the metric.
        greater_is_better: the direction of the metric; None if it is not known.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the best runs.
    """
    shown = columns[:MAX_AXES]
    run_ids = list(values)
    y = np.array([values[run_id] for run_id in run_ids], np.float64)
    heights = np.column_stack([*(_heights(column) for column in shown), _scaled(y)])
    x = np.arange(heights.shape[1], dtype=np.float64)
    names = distinct_labels(labels)
    width = max(10, 140 // heights.shape[1])
    cut_names = distinct_names([*(column.param for column in shown), metric], width=width)
    ticks = tuple((float(index), name) for index, name in enumerate(cut_names))
    marks: list[Mark] = [
        *(Line(np.array([index, index]), np.array([0.0, 1.0]), QUIET, width=1, hover=False) for index in x),
        *_lines(heights, run_ids, y, names, order, greater_is_better=greater_is_better),
        *_scales(shown, y),
    ]
    any_missing = any(np.isnan(column.values).any() for column in shown)
    return Chart(
        title=f"Params and {metric} of {counted(len(run_ids), 'run')}",
        panels=(
            Panel(
                Axis("", (-0.35, len(x) - 0.35), ticks=ticks),
                Axis("", (_MISSING - 0.1 if any_missing else -0.1, 1.1), ticks=((0.0, ""), (1.0, ""))),
                tuple(marks),
            ),
        ),
        sentence=_sentence(shown, run_ids, y, names, metric, greater_is_better=greater_is_better),
        note=_note(columns, values, labels, metric, any_missing=any_missing),
        height=460,
    )


def _scaled(values: Numbers) -> Numbers:
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if values.size else (0.0, 0.0)
    return (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)


def _heights(column: ParamColumn) -> Numbers:
    """Return where each run crosses the axis, log-scaled if the column is; runs without the param are below it."""
    scaled = _scaled(np.log10(column.values) if column.log else column.values)
    return np.where(np.isnan(scaled), _MISSING, scaled)


def _lines(
    heights: Numbers,
    run_ids: Sequence[str],
    y: Numbers,
    names: Mapping[str, str],
    order: Sequence[str],
    *,
    greater_is_better: bool | None,
) -> list[Mark]:
    ranked = np.argsort(y if greater_is_better is False else -y, kind="stable").tolist()
    marks: list[Mark] = []
    texts = [f"{names[run_id]}: {number_text(value)}" for run_id, value in zip(run_ids, y, strict=True)]
    if len(run_ids) <= MAX_NAMED:
        styles = chosen_styles([run_ids[index] for index in ranked], order)
        others = counted(len(run_ids) - len(styles), "other run")
        worst_first = ranked[::-1]
        for index in sorted(worst_first, key=lambda place: run_ids[place] in styles):  # the grey ones are below
            colour, dash = styles.get(run_ids[index], (REST, "solid"))
            label = names[run_ids[index]] if run_ids[index] in styles else others
            marks += [
                replace(_line(heights[index], colour, label, run_ids[index], width=1.8), dash=dash),
                _dots(heights, [index], texts, colour, run_ids),
            ]
        return marks
    end_count = min(_COLOURED_ENDS, len(run_ids) // 4)
    best, rest, worst = ranked[:end_count], ranked[end_count:-end_count], ranked[-end_count:]
    rest_count = len(rest)
    if rest_count > MAX_DRAWN:  # ranked, so this is an even sample by value
        rest = [rest[round(index)] for index in np.linspace(0, rest_count - 1, MAX_DRAWN)]
    end_words = ("highest", "lowest") if greater_is_better is None else ("best", "worst")
    for chosen, colour, word, width in (
        (rest, REST, "between", 0.8), (worst, _WORST, end_words[1], 1.5), (best, DATA, end_words[0], 1.8),
    ):  # fmt: skip
        label = f"{len(chosen)} {word}"
        if word == "between" and rest_count > len(chosen):
            label = f"{len(chosen):,} of {rest_count:,} between"
        marks += [_line(heights[index], colour, label, run_ids[index], width=width) for index in chosen]
        marks.append(_dots(heights, chosen, texts, colour, run_ids))
    return marks


def _line(heights: Numbers, colour: str, label: str, run_id: str, *, width: float) -> Line:
    x = np.arange(len(heights), dtype=np.float64)
    return Line(x, heights, colour, label=label, width=width, hover=False, runs=run_id)


def _dots(heights: Numbers, chosen: Sequence[int], texts: Sequence[str], colour: str, run_ids: Sequence[str]) -> Points:
    """Return a point on the metric axis for each run, with its name as hover text."""
    x = np.full(len(chosen), heights.shape[1] - 1.0)
    shown, runs = (tuple(of[index] for index in chosen) for of in (texts, run_ids))
    return Points(x, heights[chosen, -1], (colour,), texts=shown, size=5, runs=runs)


def _scales(columns: Sequence[ParamColumn], y: Numbers) -> list[Texts]:
    """Return the labels of the axes: each value if there are few, else the lowest and the highest."""
    labels: list[Texts] = []
    for index, column in enumerate(columns):
        unique_values = np.unique(column.present)
        heights = _scaled(np.log10(unique_values) if column.log else unique_values)
        chosen = range(len(unique_values)) if _far_enough_apart(heights) else [0, len(unique_values) - 1]
        words = [
            column.choices[int(unique_values[place])] if column.choices else number_text(unique_values[place])
            for place in chosen
        ]
        shown = distinct_names(words, width=_LABEL_WIDTH)
        texts = [(heights[place], word) for place, word in zip(chosen, shown, strict=True)]
        if np.isnan(column.values).any():
            texts.append((_MISSING, "missing"))
        labels += _texts(index, texts)
    ends = [(0.0, number_text(y.min())), (1.0, number_text(y.max()))] if y.min() < y.max() else [(0.5, f"{y[0]:.4g}")]
    return [*labels, *_texts(len(columns), ends)]


def _far_enough_apart(heights: Numbers) -> bool:
    return len(heights) <= _MAX_TEXTS and bool((np.diff(heights) >= 0.05).all())


def _texts(index: int, texts: Sequence[tuple[float, str]]) -> list[Texts]:
    """Place labels of the ends above and below the axis, and those between them right of it."""
    outside = [
        (height + (_LABEL_OFFSET if height > 0 else -_LABEL_OFFSET), word)
        for height, word in texts
        if not 0 < height < 1
    ]
    between = [(height, word) for height, word in texts if 0 < height < 1]
    return [_words(index, outside, "center"), _words(index, between, "left")]


def _words(index: int, texts: Sequence[tuple[float, str]], align: Literal["left", "center"]) -> Texts:
    heights = np.array([height for height, _ in texts], np.float64)
    return Texts(np.full(len(texts), float(index)), heights, tuple(word for _, word in texts), INK, align)


def _sentence(
    columns: Sequence[ParamColumn],
    run_ids: Sequence[str],
    y: Numbers,
    names: Mapping[str, str],
    metric: str,
    *,
    greater_is_better: bool | None,
) -> str:
    text = f"{counted(len(run_ids), 'run')} over {', '.join(column.param for column in columns)} and {metric}."
    if not run_ids:
        return text
    best_index = int(np.argmin(y) if greater_is_better is False else np.argmax(y))
    word = "Highest" if greater_is_better is None else "Best"
    settings = ", ".join(f"{column.param} {_value(column, best_index)}" for column in columns)
    return f"{text} {word}: {names[run_ids[best_index]]}, {number_text(y[best_index])} at {settings}."


def _value(column: ParamColumn, index: int) -> str:
    value = column.values[index]
    if np.isnan(value):
        return "missing"
    return column.choices[int(value)] if column.choices else number_text(value)


def _note(
    columns: Sequence[ParamColumn],
    values: Mapping[str, float],
    labels: Mapping[str, str],
    metric: str,
    *,
    any_missing: bool,
) -> str:
    parts = [f"n = {len(values)}. Each axis from its lowest to its highest value."]
    log_params = [column.param for column in columns[:MAX_AXES] if column.log]
    if log_params:
        parts.append(f"Logarithmic: {', '.join(log_params)}.")
    if any_missing:
        parts.append("Below an axis: runs without that param.")
    if len(columns) > MAX_AXES:
        parts.append(f"Showing {MAX_AXES} of {len(columns)} params.")
    if len(labels) > len(values):
        parts.append(f"Not shown: {counted(len(labels) - len(values), 'run')} without a finite {metric}.")
    return " ".join(parts)
