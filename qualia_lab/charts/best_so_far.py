"""The best value so far, over the runs and over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.charts.axes import direction, fitting_axis, number_text, told_apart
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, REST
from qualia_lab.charts.even_choice import drawn_note, even_by_value
from qualia_lab.charts.marks import Axis, Line, Panel, Points
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.progress import Progress
    from qualia_lab.charts.marks import Numbers

_UNITS = (("days", 86_400_000, 172_800_000), ("hours", 3_600_000, 7_200_000), ("minutes", 60_000, 120_000))


def best_so_far_chart(
    found: Sequence[Progress], labels: Mapping[str, str], metric: str, *, greater_is_better: bool
) -> Chart:
    """Every run as a point, the best so far as a line of steps: by place in the order of starts, and by time."""
    names = told_apart(labels)
    values = np.array([one.value for one in found], np.float64)
    best = np.array([one.best for one in found], np.float64)
    better = [place for place, one in enumerate(found) if one.improved]
    others = [place for place, one in enumerate(found) if not one.improved]
    drawn = sorted([*better, *(others[place] for place in even_by_value(values[others]))])
    colours = tuple(DATA if found[place].improved else REST for place in drawn)
    texts = tuple(
        f"{names[one.run_id]}: {number_text(one.value)}, best so far {number_text(one.best)}"
        for one in (found[place] for place in drawn)
    )
    places = np.array([one.place for one in found], np.float64)
    unit, since = since_first([one.start for one in found])
    times = np.array([one.start - found[0].start for one in found], np.float64) / unit_size(unit) if found else places
    y_axis = fitting_axis(f"{metric} ({direction(greater_is_better)})", values, air=0.07)
    panels = [
        Panel(
            Axis(axis.label, axis.limits, ticks=axis.ticks),
            y_axis,
            (*_steps(x, best), Points(x[drawn], values[drawn], colours or (REST,), texts=texts, size=7)),
        )
        for axis, x in (
            (_whole_axis("run, by start", len(found)), places),
            (fitting_axis(f"{unit} since {since}", times, log=False), times),
        )
    ]
    missing = len(labels) - len(found)
    return Chart(
        title=f"Best {metric} so far",
        panels=tuple(panels),
        sentence=_sentence(found, names, metric),
        note=" ".join(
            part
            for part in (
                f"n = {len(found)}. Blue: better than all before.",
                drawn_note(len(drawn), len(found)),
                f"Not shown: {counted(missing, 'run')} without a start or a finite {metric}." if missing else "",
            )
            if part
        ),
        height=400,
    )


def since_first(starts: Sequence[int]) -> tuple[str, str]:
    """The unit that suits the span of some times (milliseconds since 1970), and the first of them in words."""
    if not starts:
        return "seconds", "the first start"
    span = max(starts) - min(starts)
    unit = next((name for name, _, least in _UNITS if span >= least), "seconds")
    return unit, f"{datetime.fromtimestamp(min(starts) / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def unit_size(unit: str) -> int:
    """Milliseconds in one of the units of `since_first`."""
    return next((size for name, size, _ in _UNITS if name == unit), 1000)


def _steps(x: Numbers, best: Numbers) -> tuple[Line, ...]:
    if len(x) < 2:
        return ()
    turns = np.flatnonzero(np.r_[True, best[1:-1] != best[:-2], True])  # between them the line is flat
    x, best = x[turns], best[turns]
    return (Line(np.repeat(x, 2)[1:], np.repeat(best, 2)[:-1], DATA, label="best so far", hover=False),)


def _whole_axis(label: str, count: int) -> Axis:
    every = max(1, -(-count // 8))
    ticks = tuple((float(place), str(place)) for place in range(1, count + 1) if place == 1 or place % every == 0)
    return Axis(label, (0.5 - count * 0.02, max(1, count) + 0.5 + count * 0.02), ticks=ticks)


def _sentence(found: Sequence[Progress], names: Mapping[str, str], metric: str) -> str:
    if not found:
        return f"Best {metric} so far: no run has a start and a finite value."
    last = [one for one in found if one.improved][-1]
    since = len(found) - last.place
    after = f"none of the {counted(since, 'run')} after it is better" if since > 1 else "it is among the last two"
    return (
        f"Best {metric} so far, n = {len(found)}: {number_text(last.value)} by {names[last.run_id]}, run {last.place} "
        f"by start; {after}."
    )
