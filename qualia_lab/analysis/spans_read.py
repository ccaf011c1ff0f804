"""Of which traces the spans are read, since the spans of all of them may be far too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.cut_requests import judged_with_cut_request
from qualia_lab.analysis.telling_traces import telling_traces
from qualia_lab.analysis.trace_summary import FAILED, finished_durations

if TYPE_CHECKING:
    from qualia_lab.genai_tables import TraceTables

# Traces whose spans are read: with inputs and outputs; with the inputs of tools, for findings; and without any.
MOST_WHOLE = 200
MOST_INPUTS = 1_000
MOST_BARE = 20_000
_FAILED = 100  # of those with inputs and outputs
_SLOWEST = 50


@dataclass(frozen=True)
class SpansRead:
    """The traces whose spans are read.

    Attributes:
        whole: those with inputs and outputs: telling traces, then the latest that failed, the slowest, and the latest.
        latest: the latest ones, over which statistics of spans are computed, without inputs and outputs.
        cut: the latest judged ones whose request is cut, so that rows are paired by the inputs of their root spans.
    """

    whole: tuple[str, ...]
    latest: tuple[str, ...]
    cut: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those that are not read whole and of which the inputs of tools or of root spans are needed."""
        whole = set(self.whole)
        return tuple(one for one in dict.fromkeys((*self.latest[:MOST_INPUTS], *self.cut)) if one not in whole)

    @property
    def bare(self) -> tuple[str, ...]:
        """The latest ones of which neither inputs nor outputs are read."""
        others = {*self.whole, *self.inputs}
        return tuple(trace_id for trace_id in self.latest if trace_id not in others)


def spans_read(tables: TraceTables) -> SpansRead:
    """Choose the traces whose spans are read.

    Args:
        tables: the traces with their assessments.

    Returns:
        At most 200 traces to be read whole, and at most 20,000 for statistics and for pairs of rows.
    """
    traces = tables.traces
    ids, times = (traces.column(name).to_pylist() for name in ("trace_id", "request_time"))
    latest = sorted(range(len(ids)), key=lambda row: (times[row] is None, -(times[row] or 0)))
    states = traces.column("state").to_pylist()
    failed = [row for row in latest if states[row] == FAILED]
    durations = np.nan_to_num(finished_durations(traces), nan=-1.0)
    slowest = np.argsort(-durations, kind="stable")[:_SLOWEST].tolist()
    chosen = dict.fromkeys(one.trace_id for one in telling_traces(tables))
    chosen |= dict.fromkeys(ids[row] for row in (*failed[:_FAILED], *slowest, *latest[:MOST_WHOLE]))
    return SpansRead(
        tuple(chosen)[:MOST_WHOLE], tuple(ids[row] for row in latest[:MOST_BARE]), judged_with_cut_request(tables)
    )
