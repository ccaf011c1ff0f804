"""When runs ran, from start to end, with children under their parents."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Span:
    """One run on the time axis.

    Attributes:
        run_id: the run.
        start, end: milliseconds since 1970; end is None where the run has none.
        status: the status; UNKNOWN where it is missing.
        depth: 0 for a run without a parent, 1 for its children, and so on.
    """

    run_id: str
    start: int
    end: int | None
    status: str
    depth: int


def timeline(runs: pa.Table) -> list[Span]:
    """The runs (schema.RUNS) that have a start, earliest first, each parent directly before its children.

    A run whose parent is not among these runs counts as one without a parent; so does one in a cycle of parents.
    """
    run_ids: list[str] = runs.column("run_id").to_pylist()
    starts, ends = (
        {run_id: time for run_id, time in zip(run_ids, runs.column(name).to_pylist(), strict=True) if time is not None}
        for name in ("start_time", "end_time")
    )
    statuses, parents = (
        dict(zip(run_ids, texts_of(runs.column(name)), strict=True)) for name in ("status", "parent_run_id")
    )
    children: dict[str | None, list[str]] = {}
    for run_id in starts:
        parent = parents[run_id]
        children.setdefault(parent if parent in starts and parent != run_id else None, []).append(run_id)
    spans: list[Span] = []
    seen: set[str] = set()

    def walk(tops: Sequence[str]) -> None:
        waiting = [(run_id, 0) for run_id in sorted(tops, key=starts.__getitem__, reverse=True)]
        while waiting:
            run_id, depth = waiting.pop()
            if run_id in seen:
                continue
            seen.add(run_id)
            spans.append(Span(run_id, starts[run_id], ends.get(run_id), statuses[run_id] or "UNKNOWN", depth))
            below = sorted(children.get(run_id, ()), key=starts.__getitem__, reverse=True)
            waiting += [(child, depth + 1) for child in below]

    walk(children.get(None, ()))
    for run_id in sorted(starts, key=starts.__getitem__):  # those in a cycle of parents
        walk([run_id])
    return spans


def lanes(spans: Sequence[Span], until: int) -> list[int]:
    """Assign each span to the lowest lane that is free when it starts; the number of lanes is minimal.

    Interval partitioning (Kleinberg and Tardos 2005, 4.1).

    Args:
        spans: the spans, in any order.
        until: where spans without an end are taken to end, in milliseconds since 1970.

    Returns:
        The lane of each span, from 0.
    """
    lane_of = [0] * len(spans)
    busy: list[tuple[int, int]] = []  # (end, lane)
    free: list[int] = []
    lane_count = 0
    for place in sorted(range(len(spans)), key=lambda place: spans[place].start):
        span = spans[place]
        while busy and busy[0][0] <= span.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if not free:
            heapq.heappush(free, lane_count)
            lane_count += 1
        lane_of[place] = heapq.heappop(free)
        end = until if span.end is None else span.end
        heapq.heappush(busy, (max(end, span.start + 1), lane_of[place]))
    return lane_of
