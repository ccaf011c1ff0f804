"""Chart of a metric over its steps, averaged over seeds: a line and a band per configuration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.findings.naming import narrow_names
from qualia_lab.analysis.seed_bands import FEWEST_FOR_INTERVAL
from qualia_lab.charts.axes import number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import LEADING, REST, chosen_styles, order_used
from qualia_lab.charts.group_means import exclusion_notes
from qualia_lab.charts.marks import Band, Line, Panel, Points, Texts
from qualia_lab.charts.metric_history import chosen_by, concatenated, history_axis, robust_axis, x_axis_text
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.seed_bands import SeedBand, SeedBands
    from qualia_lab.charts.marks import Mark
    from qualia_lab.study.study import Configuration

_MAX_DROPS = 2  # positions at which a band is labelled with its new n
_NAME_WIDTH = 32  # characters of the name of a configuration, beside its n in the legend


def seed_bands_chart(
    bands: SeedBands,
    configurations: Sequence[Configuration],
    order: Sequence[str],
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = LEADING,
    total: int | None = None,
    left_out: Sequence[tuple[str, int]] = (),
    unfinished: Sequence[tuple[str, int]] = (),
    run_names: Mapping[str, str] | None = None,
) -> Chart:
    """Draw the mean or median of each configuration as a line, with its spread as a band.

    n is in the legend, and at the points where it decreases.

    Args:
        bands: the bands of the configurations.
        configurations: the configurations that the bands were computed from.
        order: the runs of the notebook, the leading ones first, which are coloured (see colours.run_styles); () to
            colour the best configurations by this metric. A configuration has the colour of its first run.
        greater_is_better: the direction of the metric; None if it is not known.
        log_y: whether the y axis is logarithmic; None for automatic.
        limit: how many of the best configurations are coloured; the lines of the others are grey.
        total: the total number of configurations if `configurations` is a sample of them.
        left_out: (reason, number of runs) pairs of the runs that are in no configuration.
        unfinished: (reason, number of runs) pairs of the unfinished runs that are in a configuration.
        run_names: the name of each run as it was logged, for configurations that have few factors in common.
    """
    ranked = _ranked(bands.bands, greater_is_better)
    runs = {band.place: " ".join(configurations[band.place].run_ids) for band in ranked}
    first_runs = [configurations[band.place].run_ids[0] for band in ranked]
    order = order_used(first_runs, order, limit)
    by_run = chosen_styles(first_runs, order, limit)
    styles = {
        band.place: by_run[first] for band in ranked if (first := configurations[band.place].run_ids[0]) in by_run
    }
    highlighted = [band for band in ranked if band.place in styles]
    background = [band for band in ranked if band.place not in styles]
    y_values = [concatenated((band.middle, band.low, band.high)) for band in highlighted] + [
        band.middle for band in background
    ]
    y_axis, outlier_note = robust_axis(bands.key, y_values, log=log_y)
    own_names, about_names = narrow_names(configurations, _NAME_WIDTH, run_names)
    names = list(own_names.values())
    x_axis = history_axis(bands, concatenated([band.x for band in ranked]))
    marks: list[Mark] = []
    label = counted(len(background), "other configuration")
    marks += [
        Line(band.x, band.middle, REST, label=label, width=0.8, hover=False, runs=runs[band.place])
        for band in reversed(background)
    ]
    lowest_y = y_axis.limits[0]
    marks += [
        Band(
            band.x,
            np.maximum(band.low, lowest_y) if y_axis.log else band.low,
            band.high,
            styles[band.place][0],
            runs=runs[band.place],
        )
        for band in reversed(highlighted)
        if len(band.x) > 1
    ]
    for band in reversed(highlighted):
        colour, dash = styles[band.place]
        own = runs[band.place]
        label = f"{names[band.place]} ({_n_text(band)})"
        if len(band.x) > 1:
            marks.append(Line(band.x, band.middle, colour, label=label, dash=dash, runs=own))
        else:
            marks.append(
                Points(band.x, np.clip(band.middle, *y_axis.limits), (colour,), label=label, runs=(own,) * len(band.x))
            )
            if len(band.x) and np.isfinite(band.low[0]):
                ends = np.array([band.low[0], band.high[0]])
                marks.append(Line(np.repeat(band.x, 2), ends, colour, hover=False, runs=own))
    for band in highlighted:
        drops = [place for place in _drops(band) if lowest_y <= band.middle[place] <= y_axis.limits[1]]
        if drops:
            texts = tuple(f"n={band.n[place]}" for place in drops)
            marks.append(Texts(band.x[drops], band.middle[drops], texts, styles[band.place][0]))
    return Chart(
        title=f"{bands.key} over {x_axis_text(bands)}, averaged over seeds"
        if bands.middle == "mean"
        else f"{bands.key} over {x_axis_text(bands)}, median over seeds",
        panels=(Panel(x_axis, y_axis, tuple(marks)),),
        names_at_ends=True,
        sentence=_sentence(bands, ranked, names, greater_is_better),
        note=" ".join(
            filter(
                None,
                (
                    about_names,
                    _sample_note(len(configurations), total),
                    *exclusion_notes(left_out, unfinished),
                    _note(bands, configurations, highlighted, chosen_by(order, greater_is_better)),
                    outlier_note,
                ),
            )
        ),
    )


def _ranked(bands: Sequence[SeedBand], greater_is_better: bool | None) -> list[SeedBand]:
    if greater_is_better is None:
        return list(bands)
    sign = -1 if greater_is_better else 1
    return sorted(bands, key=lambda one: (math.isnan(one.last), sign * np.nan_to_num(one.last)))


def _n_text(band: SeedBand) -> str:
    low, high = (int(band.n.min()), int(band.n.max())) if len(band.n) else (0, 0)
    return f"n={high}" if low == high else f"n={low} to {high}"


def _drops(band: SeedBand) -> list[int]:
    """Return the points at which n decreases; [] if n changes too often to label each change."""
    if not len(band.n):
        return []
    changes = np.flatnonzero(np.diff(band.n)) + 1
    drops = [int(place) for place in changes if band.n[place] < band.n[place - 1]]
    return drops if len(drops) <= _MAX_DROPS and len(changes) <= 2 * _MAX_DROPS else []


def _sentence(
    bands: SeedBands,
    ranked: Sequence[SeedBand],
    names: Sequence[str],
    greater_is_better: bool | None,
) -> str:
    if not ranked:
        return f"{bands.key}: no run recorded it."
    run_count = sum(one.recorded for one in ranked)
    text = f"{bands.key} of {counted(len(ranked), 'configuration')} over {counted(run_count, 'run')}."
    best = ranked[0]
    if greater_is_better is None or math.isnan(best.last):
        return text
    return (
        f"{text} Best last {bands.middle}: {number_text(best.last)} "
        f"({names[best.place]}, n = {best.n[-1]} of {best.recorded})."
    )


def _sample_note(drawn: int, total: int | None) -> str:
    if total is None or total == drawn:
        return ""
    return f"Drawn: {drawn} of {total:,} configurations, the best by latest value and an even sample of the others."


def _note(
    bands: SeedBands,
    configurations: Sequence[Configuration],
    highlighted: Sequence[SeedBand],
    criterion: str,
) -> str:
    """Say what the line and the band are, and what is not in them."""
    if bands.spread == "range":
        band = "the lowest and the highest run"
    else:
        band = f"95 % interval of the mean at each {bands.by if bands.unit == 'step' else 'point'} on its own"
        band += f", from {FEWEST_FOR_INTERVAL} runs on"
    notes = [f"Line: {bands.middle} over runs; band: {band}."]
    if bands.bucketed:
        notes.append(
            f"{bands.by} is divided into {counted(bands.buckets, 'bin')}; values are "
            "averaged within each run first, then over runs."
        )
    if any(len(one.n) and one.n.min() < one.n.max() for one in highlighted):
        notes.append(
            "Where n is smaller, some runs have ended or have no finite value; the rest is computed from the others."
        )
    if not_finite := sum(one.odd for one in bands.bands):
        values_text = counted(not_finite, "value")
        notes.append(f"Left out of all averages: {values_text} NaN or infinite.")
    if len(highlighted) < len(bands.bands):
        notes.append(f"Coloured: {len(highlighted)} of {counted(len(bands.bands), 'configuration')}, {criterion}.")
    if all(one.recorded < 2 for one in bands.bands):
        notes.append("No configuration has two runs, so there is no band.")
    if without_metric := sum(len(one.run_ids) for one in configurations) - sum(one.recorded for one in bands.bands):
        notes.append(f"{counted(without_metric, 'run')} never recorded {bands.key}.")
    return " ".join(notes)
