"""When runs ran, as bars from start to end: one row per run, or packed into lanes where there are many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.timeline import lanes
from qualia_lab.charts.axes import named_axis, number_text, told_apart
from qualia_lab.charts.best_so_far import since_first, unit_size
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import QUIET
from qualia_lab.charts.marks import Axis, Bars, Panel, Points
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.timeline import Span
    from qualia_lab.charts.marks import Mark

MOST_ROWS = 40
MOST_DRAWN = 1000  # bars of one status
_ROW_HEIGHT = 20
_LANE_HEIGHT = 14

# As in the palette of runs: blue and orange are told apart by any eye; what is at work is green.
_COLOURS = {"FINISHED": "#0072B2", "FAILED": "#D55E00", "KILLED": "#E69F00", "RUNNING": "#009E73"}


def timeline_chart(spans: Sequence[Span], labels: Mapping[str, str]) -> Chart:
    """Bars by status, children indented under their parents; a run without an end reaches to the edge.

    A point marks each start, so that runs too short for a bar are seen. Past 40 runs they are packed into lanes.
    """
    names = told_apart(labels)
    unit, since = since_first([time for span in spans for time in (span.start, span.end) if time is not None])
    size = unit_size(unit)
    first = min((span.start for span in spans), default=0)
    last = max((time for span in spans for time in (span.start, span.end) if time is not None), default=0)
    reach = (last - first) / size or 1.0
    packed = len(spans) > MOST_ROWS
    rows = lanes(spans, last) if packed else list(range(len(spans)))
    marks: list[Mark] = []
    for status in dict.fromkeys(span.status for span in spans):
        chosen = _spread([place for place, span in enumerate(spans) if span.status == status], MOST_DRAWN)
        start = np.array([(spans[place].start - first) / size for place in chosen])
        ends = [spans[place].end for place in chosen]
        end = np.array([reach * 1.03 if ms is None else (ms - first) / size for ms in ends])
        at = np.array([rows[place] for place in chosen], np.float64)
        colour = _COLOURS.get(status, QUIET)
        texts = tuple(_text(spans[place], names) for place in chosen)
        marks.append(Bars(at, end, (colour,), base=start, thick=0.62, label=status.lower(), texts=texts))
        marks.append(Points(start, at, (colour,), size=5, texts=texts))
    count = max(rows, default=0) + 1
    if packed:
        step = max(1, -(-count // 8))
        ticks = tuple((float(lane), str(lane + 1)) for lane in range(0, count, step))
        y_axis = Axis("runs at the same time", (count - 0.4, -0.6), ticks=ticks)
    else:
        y_axis = named_axis("", [_indented(span, names) for span in spans], downwards=True, room=3)
    height = 140 + (max(160, min(600, _LANE_HEIGHT * count)) if packed else max(60, _ROW_HEIGHT * len(spans)))
    return Chart(
        title=f"When {counted(len(spans), 'run')} ran",
        panels=(Panel(Axis(f"{unit} since {since}", (-reach * 0.02, reach * 1.03)), y_axis, tuple(marks)),),
        sentence=_sentence(spans, unit, reach),
        note=_note(spans, len(labels)),
        height=height,
    )


def _spread(places: Sequence[int], most: int) -> Sequence[int]:
    """All, or of very many an even choice, first and last among them."""
    if len(places) <= most:
        return places
    return [places[round(at)] for at in np.linspace(0, len(places) - 1, most)]


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
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    last = max((time for span in spans for time in (span.start, span.end) if time is not None), default=0)
    together = max(lanes(spans, last)) + 1
    at_once = f"at most {together} at once" if together > 1 else "one after the other"
    return f"{counted(len(spans), 'run')} over {number_text(reach)} {unit}: {said}; {at_once}."


def _note(spans: Sequence[Span], total: int) -> str:
    parts = []
    open_ended = sum(span.end is None for span in spans)
    if open_ended:
        parts.append(f"{counted(open_ended, 'run')} without an end: drawn to the edge.")
    if len(spans) > MOST_ROWS:
        parts.append("Packed into lanes: a lane is free again when its run has ended.")
    counts = Counter(span.status for span in spans)
    drawn = sum(min(count, MOST_DRAWN) for count in counts.values())
    if drawn < len(spans):
        parts.append(f"Drawn: {drawn:,} of {len(spans):,} runs, an even choice of each status.")
    if total > len(spans):
        parts.append(f"Not shown: {counted(total - len(spans), 'run')} without a start.")
    return " ".join(parts)
