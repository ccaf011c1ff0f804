"""Timeline of runs as bars from start to end: one row per run, or packed into lanes if there are many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.timeline import lanes
from qualia_lab.charts.axes import category_axis, distinct_labels, number_text
from qualia_lab.charts.best_so_far import milliseconds_per, unit_and_origin
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import QUIET
from qualia_lab.charts.marks import Axis, Bars, Panel, Points
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.timeline import Span
    from qualia_lab.charts.marks import Mark

MAX_ROWS = 40
MAX_DRAWN = 1000  # bars per status
_ROW_HEIGHT = 20
_LANE_HEIGHT = 14

# From the palette of runs: blue and orange are distinguishable with colour blindness; running is green.
_COLOURS = {"FINISHED": "#0072B2", "FAILED": "#D55E00", "KILLED": "#E69F00", "RUNNING": "#009E73"}


def timeline_chart(spans: Sequence[Span], labels: Mapping[str, str]) -> Chart:
    """Draw a bar per run, coloured by status, with children indented under their parents.

    A run without an end extends to the edge. A point marks each start, so that very short runs are visible. More than
    40 runs are packed into lanes.

    Args:
        spans: start, end and status of the runs that have a start.
        labels: the label of each run, by run id.
    """
    names = distinct_labels(labels)
    unit, since = unit_and_origin([time for span in spans for time in (span.start, span.end) if time is not None])
    size = milliseconds_per(unit)
    first = min((span.start for span in spans), default=0)
    last = max((time for span in spans for time in (span.start, span.end) if time is not None), default=0)
    span_length = (last - first) / size or 1.0
    packed = len(spans) > MAX_ROWS
    rows = lanes(spans, last) if packed else list(range(len(spans)))
    marks: list[Mark] = []
    for status in dict.fromkeys(span.status for span in spans):
        drawn_places = _evenly_sampled([index for index, span in enumerate(spans) if span.status == status], MAX_DRAWN)
        start = np.array([(spans[index].start - first) / size for index in drawn_places])
        ends = [spans[index].end for index in drawn_places]
        end = np.array([span_length * 1.03 if ms is None else (ms - first) / size for ms in ends])
        y = np.array([rows[index] for index in drawn_places], np.float64)
        colour = _COLOURS.get(status, QUIET)
        texts = tuple(_text(spans[index], names) for index in drawn_places)
        runs = tuple(spans[index].run_id for index in drawn_places)
        marks.append(Points(start, y, (colour,), size=5, texts=texts, runs=runs))
        label = status.lower()
        marks.append(Bars(y, end, (colour,), base=start, thickness=0.62, label=label, texts=texts, runs=runs))
    count = max(rows, default=0) + 1
    if packed:
        step = max(1, -(-count // 8))
        ticks = tuple((float(lane), str(lane + 1)) for lane in range(0, count, step))
        y_axis = Axis("runs at the same time", (count - 0.4, -0.6), ticks=ticks)
    else:
        y_axis = category_axis("", [_indented(span, names) for span in spans], downwards=True, min_slots=3)
    height = 140 + (max(160, min(600, _LANE_HEIGHT * count)) if packed else max(60, _ROW_HEIGHT * len(spans)))
    return Chart(
        title=f"When {counted(len(spans), 'run')} ran",
        panels=(Panel(Axis(f"{unit} since {since}", (-span_length * 0.02, span_length * 1.03)), y_axis, tuple(marks)),),
        sentence=_sentence(spans, unit, span_length),
        note=_note(spans, len(labels)),
        height=height,
    )


def _evenly_sampled(places: Sequence[int], max_count: int) -> Sequence[int]:
    """Return all, or an even sample of at most `max_count`, including the first and the last."""
    if len(places) <= max_count:
        return places
    return [places[round(position)] for position in np.linspace(0, len(places) - 1, max_count)]


def _indented(span: Span, names: Mapping[str, str]) -> str:
    return ("└ " if span.depth else "") + names[span.run_id]


def _text(span: Span, names: Mapping[str, str]) -> str:
    if span.end is None:
        return f"{names[span.run_id]}: {span.status.lower()}, no end recorded"
    return f"{names[span.run_id]}: {span.status.lower()}, took {_duration(span.end - span.start)}"


def _duration(milliseconds: int) -> str:
    for unit, size in (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if milliseconds >= 2 * size:
            return f"{number_text(milliseconds / size)} {unit}"
    return f"{number_text(milliseconds / 1000)} s"


def _sentence(spans: Sequence[Span], unit: str, reach: float) -> str:
    if not spans:
        return "When runs ran: no run has a start."
    counts: dict[str, int] = {}
    for span in spans:
        counts[span.status.lower()] = counts.get(span.status.lower(), 0) + 1
    counts_text = ", ".join(f"{count} {status}" for status, count in counts.items())
    last = max((time for span in spans for time in (span.start, span.end) if time is not None), default=0)
    max_concurrent = max(lanes(spans, last)) + 1
    at_once = f"at most {max_concurrent} at once" if max_concurrent > 1 else "one after the other"
    return f"{counted(len(spans), 'run')} over {number_text(reach)} {unit}: {counts_text}; {at_once}."


def _note(spans: Sequence[Span], total: int) -> str:
    parts = []
    open_ended = sum(span.end is None for span in spans)
    if open_ended:
        parts.append(f"{counted(open_ended, 'run')} without an end: drawn to the edge.")
    if len(spans) > MAX_ROWS:
        parts.append("Packed into lanes: a lane is reused when its run has ended.")
    counts = Counter(span.status for span in spans)
    drawn = sum(min(count, MAX_DRAWN) for count in counts.values())
    if drawn < len(spans):
        parts.append(f"Drawn: {drawn:,} of {len(spans):,} runs, evenly sampled within each status.")
    if total > len(spans):
        parts.append(f"Not shown: {counted(total - len(spans), 'run')} without a start.")
    return " ".join(parts)
