"""Chart of the best value so far, by run number and by time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import direction, distinct_labels, fit_axis, number_text
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, REST
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.charts.sampling import sample_by_value, sample_note
from qualia_lab.charts.unfinished import mark_unfinished
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.progress import Progress
    from qualia_lab.charts.marks import Numbers

# name, milliseconds, and the shortest span that it is used for
_UNITS = (("days", 86_400_000, 172_800_000), ("hours", 3_600_000, 7_200_000), ("minutes", 60_000, 120_000))


def best_so_far_chart(
    progress: Sequence[Progress],
    labels: Mapping[str, str],
    metric: str,
    *,
    greater_is_better: bool,
    unfinished: Mapping[str, str] | None = None,
) -> Chart:
    """Draw every run as a point and the best value so far as a step line, by run number and by start time.

    Args:
        progress: the value of each run and the best so far, sorted by start time.
        labels: the label of each run, by run id.
        metric: the name of the metric.
        greater_is_better: the direction of the metric.
        unfinished: the status of each run that did not finish, by run id; these are drawn as rings.
    """
    names = distinct_labels(labels)
    values = np.array([entry.value for entry in progress], np.float64)
    best = np.array([entry.best for entry in progress], np.float64)
    improving = [place for place, entry in enumerate(progress) if entry.improved]
    not_improving = [place for place, entry in enumerate(progress) if not entry.improved]
    drawn_places = sorted([*improving, *(not_improving[place] for place in sample_by_value(values[not_improving]))])
    colours = tuple(DATA if progress[place].improved else REST for place in drawn_places)
    texts = tuple(
        f"{names[entry.run_id]}: {number_text(entry.value)}, best so far {number_text(entry.best)}"
        for entry in (progress[place] for place in drawn_places)
    )
    runs = tuple(progress[place].run_id for place in drawn_places)
    run_numbers = np.array([entry.place for entry in progress], np.float64)
    unit, since = unit_and_origin([entry.start for entry in progress])
    times = (
        np.array([entry.start - progress[0].start for entry in progress], np.float64) / milliseconds_per(unit)
        if progress
        else run_numbers
    )
    y_axis = fit_axis(f"{metric} ({direction(greater_is_better)})", values, padding=0.07)
    panels = [
        Panel(
            Axis(axis.label, axis.limits, ticks=axis.ticks),
            y_axis,
            (
                *_steps(x, best),
                *mark_unfinished(
                    Points(x[drawn_places], values[drawn_places], colours or (REST,), texts=texts, size=7, runs=runs),
                    unfinished or {},
                ),
            ),
        )
        for axis, x in (
            (_whole_axis("run, by start", len(progress)), run_numbers),
            (fit_axis(f"{unit} since {since}", times, log=False), times),
        )
    ]
    missing = len(labels) - len(progress)
    return Chart(
        title=f"Best {metric} so far",
        panels=tuple(panels),
        sentence=_sentence(progress, names, metric),
        note=" ".join(
            part
            for part in (
                f"n = {len(progress)}. Blue: better than all before.",
                sample_note(len(drawn_places), len(progress)),
                f"Not shown: {counted(missing, 'run')} without a start or a finite {metric}." if missing else "",
            )
            if part
        ),
        height=400,
    )


def unit_and_origin(starts: Sequence[int]) -> tuple[str, str]:
    """Return the unit of time that suits the span of these times, and the first of them as text.

    Args:
        starts: times in milliseconds since 1970.
    """
    if not starts:
        return "seconds", "the first start"
    span = max(starts) - min(starts)
    unit = next((name for name, _, min_span in _UNITS if span >= min_span), "seconds")
    return unit, f"{datetime.fromtimestamp(min(starts) / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def milliseconds_per(unit: str) -> int:
    """Return the number of milliseconds in a unit returned by `unit_and_origin`."""
    return next((size for name, size, _ in _UNITS if name == unit), 1000)


def _steps(x: Numbers, best: Numbers) -> tuple[Line, ...]:
    if len(x) < 2:
        return ()
    changes = np.flatnonzero(np.r_[True, best[1:-1] != best[:-2], True])  # the line is flat between these
    x, best = x[changes], best[changes]
    return (Line(np.repeat(x, 2)[1:], np.repeat(best, 2)[:-1], DATA, label="best so far", hover=False),)


def _whole_axis(label: str, count: int) -> Axis:
    stride = max(1, -(-count // 8))
    ticks = tuple((float(place), str(place)) for place in range(1, count + 1) if place == 1 or place % stride == 0)
    return Axis(label, (0.5 - count * 0.02, max(1, count) + 0.5 + count * 0.02), ticks=ticks)


def _sentence(progress: Sequence[Progress], names: Mapping[str, str], metric: str) -> str:
    if not progress:
        return f"Best {metric} so far: no run has a start and a finite value."
    last = [entry for entry in progress if entry.improved][-1]
    since = len(progress) - last.place
    comparison = f"none of the {counted(since, 'run')} after it is better" if since > 1 else "it is among the last two"
    return (
        f"Best {metric} so far, n = {len(progress)}: {number_text(last.value)} by {names[last.run_id]}, "
        f"run {last.place} by start; {comparison}."
    )
