"""Charts of traces over time: how many, how many failed, and how long they took."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.progress import distribution
from qualia_lab.analysis.trace_text import took
from qualia_lab.charts.axes import fit_axis
from qualia_lab.charts.best_so_far import milliseconds_per, unit_and_origin
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import DATA, PALETTE
from qualia_lab.charts.marks import Axis, Bars, Line, Panel, Points
from qualia_lab.charts.sampling import sample_by_value, sample_note
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.analysis.trace_summary import Period, TraceSummary
    from qualia_lab.charts.marks import Mark, Numbers

_FAILED = PALETTE[1]
_STATES = {"finished": DATA, "failed": _FAILED}
_MOST_STEPS = 1_000  # points of a distribution; more would look the same


def traces_over_time(summary: TraceSummary) -> Chart:
    """Draw the number of traces in each period, failed ones at the bottom, and the share that failed.

    Args:
        summary: of traces at least one of which has a known time.
    """
    periods = summary.periods
    at, width, axis = _time_axis(periods)
    failed = np.array([period.failed for period in periods], np.float64)
    total = np.array([period.traces for period in periods], np.float64)
    texts = tuple(f"{_when(period)}: {counted(period.traces, 'trace')}, {period.failed:,} failed" for period in periods)
    marks: list[Mark] = []
    if failed.any():
        marks.append(Bars(at, failed, (_FAILED,), vertical=True, thickness=width, label="failed", texts=texts))
    label = "not failed" if failed.any() else ""
    marks.append(Bars(at, total, (DATA,), base=failed, vertical=True, thickness=width, label=label, texts=texts))
    panels = [Panel(axis, Axis("traces", (0.0, float(total.max()) * 1.05)), tuple(marks), title="Number")]
    if failed.any():
        share = np.divide(failed, total, out=np.full(len(total), np.nan), where=total > 0)
        known = np.isfinite(share)
        kept = tuple(text for text, is_known in zip(texts, known, strict=True) if is_known)
        points = Points(at[known], share[known] * 100, (_FAILED,), texts=kept, size=6)
        y_axis = Axis("failed (%)", (-3.0, max(10.0, float(share[known].max()) * 105)))
        panels.append(Panel(axis, y_axis, (points,), title="Share failed"))
    most = max(periods, key=lambda period: period.failed)
    sentence = f"{counted(summary.traces, 'trace')} over time, {summary.failed:,} of them failed"
    sentence += f"; most failed at {_when(most)}: {most.failed:,} of {most.traces:,}." if most.failed else "."
    return Chart(
        title="Traces over time",
        panels=tuple(panels),
        sentence=sentence,
        note=_note(summary),
        height=300,
        shared_y=False,
    )


def latency_chart(summary: TraceSummary, durations: Mapping[str, Numbers]) -> Chart:
    """Draw how long traces took: over time as median and 95th percentile, and as a distribution.

    Args:
        summary: of the traces.
        durations: the finite durations in ms of `finished` and of `failed` traces.
    """
    panels = []
    timed = [period for period in summary.periods if period.latency]
    seconds = np.concatenate([*durations.values(), np.zeros(0)]) / 1000
    if len(timed) > 1:
        panels.append(_over_time(summary, timed))
    positive = seconds[seconds > 0]
    log = bool(len(positive)) and len(positive) == len(seconds) and positive.max() / positive.min() >= 20
    x_axis = fit_axis("duration (s)", seconds, log=log)
    marks: list[Mark] = []
    notes = [_note(summary)]
    for state, values in durations.items():
        if not len(values):
            continue
        x, share = distribution((values / 1000).tolist())
        chosen = sample_by_value(x, _MOST_STEPS)
        notes.append(sample_note(len(chosen), len(x), f"steps of {state} traces"))
        x, share = x[chosen], share[chosen]
        steps_x = np.concatenate(([x_axis.limits[0]], np.repeat(x, 2), [x_axis.limits[1]]))
        steps_y = np.concatenate(([0.0, 0.0], np.repeat(share, 2)))
        marks.append(Line(steps_x, steps_y, _STATES[state], label=f"{state} (n={len(values):,})", hover=False))
        texts = tuple(f"{state}: {up_to:.0%} up to {took(time * 1000)}" for time, up_to in zip(x, share, strict=True))
        marks.append(Points(x, share, (_STATES[state],), size=4, texts=texts))
    panels.append(Panel(x_axis, Axis("share of traces up to it", (-0.03, 1.03)), tuple(marks), title="Distribution"))
    latency = summary.latency
    sentence = "How long traces took: none has finished with a duration."
    if latency:
        sentence = f"How long {counted(latency.n, 'trace')} took: median {took(latency.p50)}, 95 % within "
        sentence += f"{took(latency.p95)}, the longest {took(latency.longest)}."
    return Chart(
        title="How long traces took",
        panels=tuple(panels),
        sentence=sentence,
        note=" ".join(filter(None, notes)),
        height=340,
        shared_y=False,
    )


def _over_time(summary: TraceSummary, timed: list[Period]) -> Panel:
    at, _, axis = _time_axis(summary.periods)
    begins = {period.start: place for place, period in zip(at, summary.periods, strict=True)}
    x = np.array([begins[period.start] for period in timed])
    marks: list[Mark] = []
    values = {
        "median": [period.latency.p50 for period in timed if period.latency],
        "95th percentile": [period.latency.p95 for period in timed if period.latency],
    }
    counts = [period.latency.n for period in timed if period.latency]
    for (name, times), colour in zip(values.items(), (PALETTE[2], PALETTE[3]), strict=True):
        y = np.array(times, np.float64) / 1000
        marks.append(Line(x, y, colour, label=name, hover=False))
        texts = tuple(
            f"{_when(period)}: {name} {took(time)} (n={n:,})"
            for period, time, n in zip(timed, times, counts, strict=True)
        )
        marks.append(Points(x, y, (colour,), size=5, texts=texts))
    y_axis = fit_axis("duration (s)", np.array([*values["median"], *values["95th percentile"]]) / 1000)
    return Panel(axis, y_axis, tuple(marks), title="Over time")


def _time_axis(periods: tuple[Period, ...]) -> tuple[Numbers, float, Axis]:
    """The middle of each period, the thickness of its bar, and the axis."""
    edges = [periods[0].start, periods[-1].end]
    unit, since = unit_and_origin(edges)
    size = milliseconds_per(unit)
    at = np.array([(period.start + period.end) / 2 - edges[0] for period in periods]) / size
    width = (periods[0].end - periods[0].start) / size
    return at, width * 0.9, Axis(f"{unit} since {since}", (0.0, (edges[1] - edges[0]) / size))


def _when(period: Period) -> str:
    """The period in UTC: `2026-11-23 14:00 to 15:00`."""
    start, end = (datetime.fromtimestamp(time / 1000, UTC) for time in (period.start, period.end))
    same_day = start.date() == end.date()
    return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M}" if same_day else f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"


def _note(summary: TraceSummary) -> str:
    parts = []
    if summary.without_time:
        parts.append(f"Not shown: {counted(summary.without_time, 'trace')} without a known time.")
    if summary.unfinished:
        parts.append(f"{counted(summary.unfinished, 'trace')} not finished: in no duration.")
    return " ".join(parts)
