"""Where the time of traces goes: the own time of spans, which is their duration without that of their children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.span_columns import span_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.span_columns import Rows, SpanColumns

_SECOND = 1e9  # ns


@dataclass(frozen=True)
class TypeTime:
    """The spans of one type.

    Attributes:
        type: the type, such as LLM or TOOL; UNKNOWN for none.
        spans: how many there are.
        own_seconds: the time that they took themselves, summed.
        share: of the own time of all spans, from 0 to 1.
        untimed: how many have no end; they take part in no time.
    """

    type: str
    spans: int
    own_seconds: float
    share: float
    untimed: int


def own_times(spans: SpanColumns) -> Numbers:
    """The own time of each span in ns: its duration without the time in which any of its children ran.

    Children that overlap count once, and only as far as they lie within the parent. Spans that run at the same time in
    several threads each have their own time, so that the sum may exceed the duration of the trace.

    Args:
        spans: the spans.

    Returns:
        The times, 0 for spans without an end, shape (spans,).
    """
    own = np.where(spans.is_timed, spans.end - spans.start, 0).astype(np.float64)
    has_parent = (spans.parent >= 0) & spans.is_timed
    children = np.flatnonzero(has_parent & spans.is_timed[spans.parent])
    if not len(children):
        return own
    parent = spans.parent[children]
    begin = np.maximum(spans.start[children], spans.start[parent])
    end = np.minimum(spans.end[children], spans.end[parent])
    inside = end > begin
    parent, begin, end = parent[inside], begin[inside], end[inside]
    order = np.lexsort((begin, parent))
    parent, begin, end = parent[order], begin[order], end[order]
    for parents, covered in (_apart(parent, begin, end), _overlapping(parent, begin, end)):
        np.subtract.at(own, parents, covered)
    return np.maximum(own, 0.0)


def time_by_type(table: pa.Table) -> tuple[TypeTime, ...]:
    """The own time of spans by their type, the longest first.

    Args:
        table: schema.SPANS of whole traces.

    Returns:
        One for each type.
    """
    spans = span_columns(table)
    own = own_times(spans)
    types = np.array([one or "UNKNOWN" for one in spans.texts("type")], dtype=object)
    names, codes = (
        np.unique(types.astype(str), return_inverse=True) if len(types) else (np.array([]), np.array([], int))
    )
    seconds = np.bincount(codes, own, len(names)) / _SECOND
    counts, untimed = np.bincount(codes, minlength=len(names)), np.bincount(codes, ~spans.is_timed, len(names))
    total = float(seconds.sum())
    rows = [
        TypeTime(str(name), int(count), float(time), float(time) / total if total else 0.0, int(open_spans))
        for name, count, time, open_spans in zip(names, counts, seconds, untimed, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.own_seconds, row.type)))


def _has_overlap(parent: Rows, begin: Rows, end: Rows) -> Rows:
    """For each child, whether any two children of its parent overlap; children are sorted by parent and begin."""
    clash = (parent[1:] == parent[:-1]) & (begin[1:] < end[:-1])
    return np.isin(parent, parent[1:][clash])  # type: ignore[return-value]


def _apart(parent: Rows, begin: Rows, end: Rows) -> tuple[Rows, Rows]:
    """The durations of children that do not overlap, each with its parent."""
    apart = ~_has_overlap(parent, begin, end)
    return parent[apart], (end - begin)[apart]


def _overlapping(parent: Rows, begin: Rows, end: Rows) -> tuple[Rows, Rows]:
    """The time that overlapping children cover together, by parent."""
    clash = _has_overlap(parent, begin, end)
    covered: dict[int, int] = {}
    reached: dict[int, int] = {}
    for of, start, stop in zip(parent[clash].tolist(), begin[clash].tolist(), end[clash].tolist(), strict=True):
        fresh = max(start, reached.get(of, start))
        covered[of] = covered.get(of, 0) + max(0, stop - fresh)
        reached[of] = max(stop, reached.get(of, stop))
    return np.array(list(covered), np.int64), np.array(list(covered.values()), np.int64)
