"""Parallel axes: each run a line through its params to its metric, each axis on its own scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.charts.axes import number_text, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, INK, QUIET, REST, run_styles
from qualia_lab.charts.marks import Axis, Line, Panel, Points, Texts
from qualia_lab.counts import counted
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.param_columns import ParamColumn
    from qualia_lab.charts.marks import Mark, Numbers

MOST_AXES = 7  # of params; the metric is one more
MOST_NAMED = 12  # runs with a colour of their own
MOST_DRAWN = 1000  # of the others
_ENDS = 10  # of more runs, as many of the best and of the worst are coloured
_MOST_TEXTS = 8  # different values that stand at an axis by name
_VALUE = 14  # columns of such a name
_MISSING = -0.2
_BESIDE = 0.045  # the ends of an axis are named over and under it, where no line runs
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
    """Lines over the params' axes to the metric's, 0 to 1 from the lowest to the highest value of each.

    columns: params over the runs of `values`, in their order.  values: finite values of the metric by run id.
    order: all runs of the notebook, by whose places a run has its colour; () for those of labels.
    Up to 12 runs have their colours; of more the ten best and the ten worst are coloured, the rest is grey.
    """
    shown = columns[:MOST_AXES]
    run_ids = list(values)
    y = np.array([values[run_id] for run_id in run_ids], np.float64)
    places = np.column_stack([*(_heights(column) for column in shown), _scaled(y)])
    x = np.arange(places.shape[1], dtype=np.float64)
    names = told_apart(labels)
    width = max(10, 140 // places.shape[1])
    heads = distinct_names([*(column.param for column in shown), metric], width=width)
    ticks = tuple((float(at), name) for at, name in enumerate(heads))
    marks: list[Mark] = [
        *(Line(np.array([at, at]), np.array([0.0, 1.0]), QUIET, width=1, hover=False) for at in x),
        *_lines(places, run_ids, y, names, order or list(labels), greater_is_better=greater_is_better),
        *_scales(shown, y),
    ]
    lacking = any(np.isnan(column.values).any() for column in shown)
    return Chart(
        title=f"Params and {metric} of {counted(len(run_ids), 'run')}",
        panels=(
            Panel(
                Axis("", (-0.35, len(x) - 0.35), ticks=ticks),
                Axis("", (_MISSING - 0.1 if lacking else -0.1, 1.1), ticks=((0.0, ""), (1.0, ""))),
                tuple(marks),
            ),
        ),
        sentence=_sentence(shown, run_ids, y, names, metric, greater_is_better=greater_is_better),
        note=_note(columns, values, labels, metric, lacking=lacking),
        height=460,
    )


def _scaled(values: Numbers) -> Numbers:
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if values.size else (0.0, 0.0)
    return (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)


def _heights(column: ParamColumn) -> Numbers:
    """Where each run crosses the axis: logarithmic over decades, under its foot where the run lacks the param."""
    places = _scaled(np.log10(column.values) if column.log else column.values)
    return np.where(np.isnan(places), _MISSING, places)


def _lines(
    places: Numbers,
    run_ids: Sequence[str],
    y: Numbers,
    names: Mapping[str, str],
    order: Sequence[str],
    *,
    greater_is_better: bool | None,
) -> list[Mark]:
    ranked = np.argsort(y if greater_is_better is False else -y, kind="stable").tolist()
    found: list[Mark] = []
    texts = [f"{names[run_id]}: {number_text(value)}" for run_id, value in zip(run_ids, y, strict=True)]
    if len(run_ids) <= MOST_NAMED:
        styles = run_styles(run_ids, order)
        for at in reversed(ranked):
            colour, dash = styles[run_ids[at]]
            found += [
                replace(_line(places[[at]], colour, names[run_ids[at]], width=1.8), dash=dash),
                _dots(places, [at], texts, colour),
            ]
        return found
    ends = min(_ENDS, len(run_ids) // 4)
    best, rest, worst = ranked[:ends], ranked[ends:-ends], ranked[-ends:]
    between = len(rest)
    if between > MOST_DRAWN:  # ranked, so an even choice is one of all values
        rest = [rest[round(at)] for at in np.linspace(0, between - 1, MOST_DRAWN)]
    words = ("highest", "lowest") if greater_is_better is None else ("best", "worst")
    for chosen, colour, word, width in (
        (rest, REST, "between", 0.8), (worst, _WORST, words[1], 1.5), (best, DATA, words[0], 1.8),
    ):  # fmt: skip
        label = f"{len(chosen)} {word}"
        if word == "between" and between > len(chosen):
            label = f"{len(chosen):,} of {between:,} between"
        found += [_line(places[chosen], colour, label, width=width), _dots(places, chosen, texts, colour)]
    return found


def _line(places: Numbers, colour: str, label: str, *, width: float) -> Line:
    """Several runs as one line with gaps between them."""
    count = places.shape[1]
    x = np.tile(np.append(np.arange(count, dtype=np.float64), np.nan), len(places))
    y = np.column_stack([places, np.full(len(places), np.nan)]).ravel()
    return Line(x, y, colour, label=label, width=width, hover=False)


def _dots(places: Numbers, chosen: Sequence[int], texts: Sequence[str], colour: str) -> Points:
    """A point on the metric's axis for each run, which says its name."""
    x = np.full(len(chosen), places.shape[1] - 1.0)
    return Points(x, places[chosen, -1], (colour,), texts=tuple(texts[at] for at in chosen), size=5)


def _scales(columns: Sequence[ParamColumn], y: Numbers) -> list[Texts]:
    """What stands at the axes: each value where there are few, else the lowest and the highest."""
    found: list[Texts] = []
    for at, column in enumerate(columns):
        different = np.unique(column.present)
        heights = _scaled(np.log10(different) if column.log else different)
        chosen = range(len(different)) if _apart(heights) else [0, len(different) - 1]
        words = [
            column.choices[int(different[place])] if column.choices else number_text(different[place])
            for place in chosen
        ]
        shown = distinct_names(words, width=_VALUE)
        texts = [(heights[place], word) for place, word in zip(chosen, shown, strict=True)]
        if np.isnan(column.values).any():
            texts.append((_MISSING, "missing"))
        found += _texts(at, texts)
    ends = [(0.0, number_text(y.min())), (1.0, number_text(y.max()))] if y.min() < y.max() else [(0.5, f"{y[0]:.4g}")]
    return [*found, *_texts(len(columns), ends)]


def _apart(heights: Numbers) -> bool:
    return len(heights) <= _MOST_TEXTS and bool((np.diff(heights) >= 0.05).all())


def _texts(at: int, texts: Sequence[tuple[float, str]]) -> list[Texts]:
    """The ends over and under the axis, what is between them right of it."""
    beside = [(height + (_BESIDE if height > 0 else -_BESIDE), word) for height, word in texts if not 0 < height < 1]
    between = [(height, word) for height, word in texts if 0 < height < 1]
    return [_words(at, beside, "center"), _words(at, between, "left")]


def _words(at: int, texts: Sequence[tuple[float, str]], align: Literal["left", "center"]) -> Texts:
    heights = np.array([height for height, _ in texts], np.float64)
    return Texts(np.full(len(texts), float(at)), heights, tuple(word for _, word in texts), INK, align)


def _sentence(
    columns: Sequence[ParamColumn],
    run_ids: Sequence[str],
    y: Numbers,
    names: Mapping[str, str],
    metric: str,
    *,
    greater_is_better: bool | None,
) -> str:
    said = f"{counted(len(run_ids), 'run')} over {', '.join(column.param for column in columns)} and {metric}."
    if not run_ids:
        return said
    place = int(np.argmin(y) if greater_is_better is False else np.argmax(y))
    word = "Highest" if greater_is_better is None else "Best"
    settings = ", ".join(f"{column.param} {_value(column, place)}" for column in columns)
    return f"{said} {word}: {names[run_ids[place]]}, {number_text(y[place])} at {settings}."


def _value(column: ParamColumn, place: int) -> str:
    value = column.values[place]
    if np.isnan(value):
        return "missing"
    return column.choices[int(value)] if column.choices else number_text(value)


def _note(
    columns: Sequence[ParamColumn],
    values: Mapping[str, float],
    labels: Mapping[str, str],
    metric: str,
    *,
    lacking: bool,
) -> str:
    parts = [f"n = {len(values)}. Each axis from its lowest to its highest value."]
    logs = [column.param for column in columns[:MOST_AXES] if column.log]
    if logs:
        parts.append(f"Logarithmic: {', '.join(logs)}.")
    if lacking:
        parts.append("Under an axis: the run lacks that param.")
    if len(columns) > MOST_AXES:
        parts.append(f"Showing {MOST_AXES} of {len(columns)} params.")
    if len(labels) > len(values):
        parts.append(f"Not shown: {counted(len(labels) - len(values), 'run')} without a finite {metric}.")
    return " ".join(parts)
