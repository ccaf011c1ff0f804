"""The spans of many traces as columns, with the row of each parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import filled, numbers_of, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_NONE = -(2**63)  # a time that was not recorded


@dataclass(frozen=True)
class SpanColumns:
    """Spans as arrays of one value per span.

    Attributes:
        table: the spans (schema.SPANS).
        trace: the code of its trace.
        parent: the row of its parent; -1 for none, a missing one, or the span itself.
        start, end: in ns since 1970.
        is_timed: whether both are known and the end is not before the start.
    """

    table: pa.Table
    trace: Rows
    parent: Rows
    start: Rows
    end: Rows
    is_timed: Flags

    def texts(self, name: str) -> list[str]:
        """A column of texts, "" for null."""
        return [text or "" for text in self.table.column(name).to_pylist()]


def span_columns(spans: pa.Table) -> SpanColumns:
    """Read spans into columns. Of several spans of a trace with one id, the first is the parent of those that name it.

    Args:
        spans: schema.SPANS, any number of whole traces.

    Returns:
        The columns.
    """
    codes = whole(spans.column("trace_id")).dictionary_encode()
    trace = numbers_of(filled(codes.indices, -1)).astype(np.int64)
    ids = whole(spans.column("span_id")).dictionary_encode()
    own = numbers_of(filled(ids.indices, -1)).astype(np.int64)
    named = numbers_of(filled(pc.index_in(whole(spans.column("parent_id")), value_set=ids.dictionary), -1))
    width = len(ids.dictionary) + 1
    places = trace * width + own
    unique, first = np.unique(places, return_index=True)
    wanted = trace * width + named
    at = np.searchsorted(unique, wanted)
    at[at == len(unique)] = 0
    rows = np.arange(len(trace))
    is_known = (named >= 0) & (unique[at] == wanted) if len(unique) else np.zeros(0, np.bool_)
    parent = np.where(is_known, first[at], -1) if len(unique) else np.zeros(0, np.int64)
    parent[parent == rows] = -1
    start, end = (_times(spans.column(name)) for name in ("start_ns", "end_ns"))
    return SpanColumns(spans, trace, parent, start, end, (start != _NONE) & (end != _NONE) & (end >= start))


def _times(times: pa.ChunkedArray) -> Rows:
    values: Rows = numbers_of(filled(whole(times), _NONE)).astype(np.int64)
    return values
