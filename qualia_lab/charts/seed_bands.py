"""A metric over its steps, one band per configuration: the middle and the spread of runs that differ by their seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.groups import short_labels
from qualia_lab.analysis.seed_bands import FEWEST_FOR_INTERVAL
from qualia_lab.charts.axes import direction, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import REST, run_styles
from qualia_lab.charts.group_means import said_of
from qualia_lab.charts.marks import Band, Line, Panel, Points, Texts
from qualia_lab.charts.metric_history import history_axis, joined, over_text, usual_axis
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.seed_bands import SeedBand, SeedBands
    from qualia_lab.charts.marks import Mark
    from qualia_lab.study.study import Configuration

MOST_NAMED = 7
_MOST_FALLS = 2  # places at which one band says its new n


def seed_bands_chart(
    found: SeedBands,
    configurations: Sequence[Configuration],
    order: Sequence[str],
    *,
    greater_is_better: bool | None = None,
    log_y: bool | None = None,
    limit: int = MOST_NAMED,
    in_all: int | None = None,
    left_out: Sequence[tuple[str, int]] = (),
    unfinished: Sequence[tuple[str, int]] = (),
) -> Chart:
    """The middle of each configuration as a line with its spread as a band; n in the legend, and where it falls.

    configurations: those that `found` was made of.  order: all runs of the notebook, which gives the colours: a
    configuration has that of its first run.  limit: the best so many are coloured, the others' lines are grey.
    in_all: how many configurations there are where these are a choice of them.
    left_out: how many runs are in no configuration, and why; unfinished: how many in one have not finished.
    """
    ranked = _ranked(found.bands, greater_is_better)
    named, others = ranked[:limit], ranked[limit:]
    first_runs = [configurations[one.place].run_ids[0] for one in named]
    styles = run_styles(first_runs, order)
    heights = [joined((one.middle, one.low, one.high)) for one in named] + [one.middle for one in others]
    y_axis, beyond = usual_axis(found.key, heights, log=log_y)
    names = list(short_labels(configurations).values())
    x_axis = history_axis(found, joined([one.x for one in ranked]))
    marks: list[Mark] = []
    if others:
        gap = np.array([np.nan])
        x, y = joined([np.append(one.x, gap) for one in others]), joined([np.append(one.middle, gap) for one in others])
        label = counted(len(others), "other configuration")
        marks.append(Line(x, y, REST, label=label, width=0.8, hover=False))
    floor = y_axis.limits[0]
    marks += [
        Band(one.x, np.maximum(one.low, floor) if y_axis.log else one.low, one.high, styles[run][0])
        for one, run in zip(reversed(named), reversed(first_runs), strict=True)
        if len(one.x) > 1
    ]
    for one, run in zip(reversed(named), reversed(first_runs), strict=True):
        colour, dash = styles[run]
        label = f"{names[one.place]} ({_n_text(one)})"
        if len(one.x) > 1:
            marks.append(Line(one.x, one.middle, colour, label=label, dash=dash))
        else:
            marks.append(Points(one.x, np.clip(one.middle, *y_axis.limits), (colour,), label=label))
            if len(one.x) and np.isfinite(one.low[0]):
                marks.append(Line(np.repeat(one.x, 2), np.array([one.low[0], one.high[0]]), colour, hover=False))
    for one, run in zip(named, first_runs, strict=True):
        falls = [place for place in _falls(one) if floor <= one.middle[place] <= y_axis.limits[1]]
        if falls:
            texts = tuple(f"n={one.n[place]}" for place in falls)
            marks.append(Texts(one.x[falls], one.middle[falls], texts, styles[run][0]))
    return Chart(
        title=f"{found.key} over {over_text(found)}, averaged over seeds"
        if found.middle == "mean"
        else f"{found.key} over {over_text(found)}, median over seeds",
        panels=(Panel(x_axis, y_axis, tuple(marks)),),
        sentence=_sentence(found, ranked, names, greater_is_better),
        note=" ".join(
            filter(
                None,
                (
                    _choice(len(configurations), in_all),
                    *said_of(left_out, unfinished),
                    _note(found, configurations, named, greater_is_better),
                    beyond,
                ),
            )
        ),
    )


def _ranked(bands: Sequence[SeedBand], greater_is_better: bool | None) -> list[SeedBand]:
    if greater_is_better is None:
        return list(bands)
    sign = -1 if greater_is_better else 1
    return sorted(bands, key=lambda one: (math.isnan(one.last), sign * np.nan_to_num(one.last)))


def _n_text(one: SeedBand) -> str:
    low, high = (int(one.n.min()), int(one.n.max())) if len(one.n) else (0, 0)
    return f"n={high}" if low == high else f"n={low} to {high}"


def _falls(one: SeedBand) -> list[int]:
    """Where n falls, when that is at few places; a band whose n goes up and down says so in the legend alone."""
    if not len(one.n):
        return []
    changes = np.flatnonzero(np.diff(one.n)) + 1
    falls = [int(place) for place in changes if one.n[place] < one.n[place - 1]]
    return falls if len(falls) <= _MOST_FALLS and len(changes) <= 2 * _MOST_FALLS else []


def _sentence(
    found: SeedBands,
    ranked: Sequence[SeedBand],
    names: Sequence[str],
    greater_is_better: bool | None,
) -> str:
    if not ranked:
        return f"{found.key}: no run recorded it."
    runs = sum(one.recorded for one in ranked)
    said = f"{found.key} of {counted(len(ranked), 'configuration')} over {counted(runs, 'run')}."
    best = ranked[0]
    if greater_is_better is None or math.isnan(best.last):
        return said
    return (
        f"{said} Best last {found.middle}: {number_text(best.last)} "
        f"({names[best.place]}, n = {best.n[-1]} of {best.recorded})."
    )


def _choice(drawn: int, in_all: int | None) -> str:
    if in_all is None or in_all == drawn:
        return ""
    return f"Drawn: {drawn} of {in_all:,} configurations, the best by latest value and an even choice of the others."


def _note(
    found: SeedBands,
    configurations: Sequence[Configuration],
    named: Sequence[SeedBand],
    greater_is_better: bool | None,
) -> str:
    """What line and band are, and what is not in them."""
    if found.spread == "range":
        band = "the lowest and the highest run"
    else:
        band = f"95 % interval of the mean at each {found.by if found.unit == 'step' else 'point'} on its own"
        band += f", from {FEWEST_FOR_INTERVAL} runs on"
    notes = [f"Line: {found.middle} over runs; band: {band}."]
    if found.bucketed:
        notes.append(
            f"Points of {found.by} are put together in {counted(found.buckets, 'part')}: "
            "first averaged within a run, then over runs."
        )
    if any(len(one.n) and one.n.min() < one.n.max() for one in named):
        notes.append("Where n is smaller, runs have ended or have no finite value: what follows is of the others.")
    if odd := sum(one.odd for one in found.bands):
        runs = counted(odd, "value")
        notes.append(f"{runs} NaN or infinite, in no average.")
    if len(named) < len(found.bands):
        way = direction(greater_is_better)
        how = f"best last value ({way})" if way else "first in order"
        notes.append(f"Coloured: {len(named)} of {counted(len(found.bands), 'configuration')}, by {how}.")
    if all(one.recorded < 2 for one in found.bands):
        notes.append("No configuration has two runs, so there is no band.")
    if lacking := sum(len(one.run_ids) for one in configurations) - sum(one.recorded for one in found.bands):
        notes.append(f"{counted(lacking, 'run')} never recorded {found.key}.")
    return " ".join(notes)
