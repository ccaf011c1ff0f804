"""Waterfall of one trace: a bar for each span from its start to its end, children below their parents."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.analysis.span_tree import span_tree
from qualia_lab.analysis.trace_text import took
from qualia_lab.charts.axes import category_axis
from qualia_lab.charts.chart import Chart
from qualia_lab.charts.colours import FINDING, LEADING, PALETTE
from qualia_lab.charts.marks import Axis, Bars, Panel, Points
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.charts.marks import Mark

MAX_ROWS = 60
_MILLISECOND = 1e6  # ns
_DEEPEST = 8  # levels that are indented
_NAME = 30  # characters beside the bars: wide ones leave the bars a third of the width
_TYPE = 24  # in the legend
_OTHER = "other types"


def waterfall(name: str, spans: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the spans of a trace; the first 60 of the tree are drawn, coloured by their type.

    Args:
        name: the name of the trace.
        spans: its spans (rows of schema.SPANS), at least one with a start and an end.
    """
    columns = ([span[key] for span in spans] for key in ("span_id", "parent_id", "start_ns"))
    tree = [one for one in span_tree(*columns) if _is_timed(spans[one.row])]
    shown = tree[:MAX_ROWS]
    first = min(spans[one.row]["start_ns"] for one in tree)
    last = max(spans[one.row]["end_ns"] for one in tree)
    reach = (last - first) / _MILLISECOND or 1.0
    unit, size = ("seconds", 1000.0) if reach >= 1000 else ("milliseconds", 1.0)
    kinds = [kind for kind, _ in Counter(_type(spans[one.row]) for one in shown).most_common()]
    kept = kinds if len(kinds) <= LEADING else kinds[: LEADING - 1]
    colours = dict(zip([*kept, *([] if kept == kinds else [_OTHER])], PALETTE, strict=False))
    labels = dict(zip(colours, distinct_names(list(colours), width=_TYPE), strict=True))
    marks: list[Mark] = []
    for kind, colour in colours.items():
        rows = [(y, spans[one.row]) for y, one in enumerate(shown) if _type_shown(spans[one.row], kept) == kind]
        at = np.array([y for y, _ in rows], np.float64)
        base, ends = (
            np.array([(span[key] - first) / _MILLISECOND / size for _, span in rows]) for key in ("start_ns", "end_ns")
        )
        texts = tuple(_text(span) for _, span in rows)
        marks.append(Bars(at, ends, (colour,), base=base, thickness=0.62, label=labels[kind], texts=texts))
        marks.append(Points(base, at, (colour,), size=4, texts=texts))  # so that very short spans are visible
    failed = [(y, spans[one.row]) for y, one in enumerate(shown) if spans[one.row]["status"] == "ERROR"]
    if failed:
        x = np.array([(span["end_ns"] - first) / _MILLISECOND / size for _, span in failed])
        y = np.array([place for place, _ in failed], np.float64)
        texts = tuple(_text(span) for _, span in failed)
        marks.append(Points(x, y, (FINDING,), label="failed", texts=texts, symbol="x", size=9))
    names = [_indent(one.depth) + one_line(spans[one.row]["name"] or "span", _NAME) for one in shown]
    x_axis = Axis(f"{unit} since the start", (-reach / size * 0.01, reach / size * 1.03))
    return Chart(
        title=f"Spans of {one_line(name, 80)}",
        panels=(Panel(x_axis, category_axis("", names, downwards=True, min_slots=3), tuple(marks)),),
        sentence=_sentence([spans[one.row] for one in tree], reach),
        note=_note(len(shown), len(tree), len(spans)),
        height=max(200, 130 + 20 * len(shown)),
    )


def _indent(depth: int) -> str:
    """The place in the tree: white space at the start of a tick would not be shown."""
    return f"{'· ' * min(depth - 1, _DEEPEST)}└ " if depth else ""


def _is_timed(span: Mapping[str, Any]) -> bool:
    start, end = span["start_ns"], span["end_ns"]
    return start is not None and end is not None and end >= start


def _type(span: Mapping[str, Any]) -> str:
    return span["type"] or "UNKNOWN"


def _type_shown(span: Mapping[str, Any], kept: Sequence[str]) -> str:
    kind = _type(span)
    return kind if kind in kept else _OTHER


def _text(span: Mapping[str, Any]) -> str:
    words = [f"{_type(span)} {span['name'] or 'span'}", took((span["end_ns"] - span["start_ns"]) / _MILLISECOND)]
    if span["status"] == "ERROR":
        words.append(f"failed: {span['status_message']}" if span["status_message"] else "failed")
    return one_line(", ".join(words), 200)


def _sentence(spans: Sequence[Mapping[str, Any]], reach: float) -> str:
    longest = max(
        (span for span in spans if span["parent_id"]), key=lambda span: span["end_ns"] - span["start_ns"], default=None
    )
    sentence = f"{counted(len(spans), 'span')} in {took(reach)}"
    if longest is not None:
        length = took((longest["end_ns"] - longest["start_ns"]) / _MILLISECOND)
        sentence += f"; the longest below the root is {one_line(longest['name'] or 'span', 80)} with {length}"
    failed = sum(span["status"] == "ERROR" for span in spans)
    return sentence + (f"; {counted(failed, 'span')} failed." if failed else ".")


def _note(shown: int, timed: int, total: int) -> str:
    parts = []
    if timed > shown:
        parts.append(f"Drawn: the first {shown} of {timed:,} spans.")
    if total > timed:
        parts.append(f"Not shown: {counted(total - timed, 'span')} without a start and an end.")
    return " ".join(parts)
