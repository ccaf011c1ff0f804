"""Traces in numbers: how many, their states, latency, tokens and cost, as a whole and over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import filled, numbers_of, whole
from qualia_lab.times import is_possible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.analysis.span_columns import Flags

FAILED = "ERROR"
UNFINISHED = ("IN_PROGRESS", "STATE_UNSPECIFIED", "")

_MINUTE = 60_000  # ms
# Widths of the periods over time in ms; the smallest one that makes at most MOST_PERIODS of them is used.
_WIDTHS = tuple(_MINUTE * minutes for minutes in (1, 5, 15, 60, 180, 720, 1_440, 10_080, 43_200, 525_600))
MOST_PERIODS = 60


@dataclass(frozen=True)
class Latency:
    """The durations of n finished traces in ms, failed ones included. Percentiles are those of numpy (linear)."""

    n: int
    p50: float
    p95: float
    longest: float


@dataclass(frozen=True)
class Amount:
    """The sum of tokens or of a cost over the n traces that record it; `without` is how many do not."""

    total: float
    n: int
    without: int


@dataclass(frozen=True)
class Period:
    """The traces whose request was between `start` (included) and `end`, in ms since 1970.

    Attributes:
        traces: how many.
        failed: how many of them have the state ERROR.
        latency: of the finished ones; None where there are none.
        total_tokens, total_cost: sums over those that record them.
    """

    start: int
    end: int
    traces: int
    failed: int
    latency: Latency | None
    total_tokens: float
    total_cost: float


@dataclass(frozen=True)
class TraceSummary:
    """What a set of traces amounts to.

    Attributes:
        traces: how many.
        failed: how many have the state ERROR.
        unfinished: how many have not finished; they take part in no latency.
        latency: of the finished traces with a duration; None where there are none.
        input_tokens, output_tokens, total_tokens, total_cost: sums; the cost is in USD.
        first, last: the times of the first and the last request in ms since 1970; None if none is known.
        periods: the same over time, in equal periods; those without traces are included.
        without_time: the traces whose request time is not known; they are in no period.
    """

    traces: int
    failed: int
    unfinished: int
    latency: Latency | None
    input_tokens: Amount
    output_tokens: Amount
    total_tokens: Amount
    total_cost: Amount
    first: int | None
    last: int | None
    periods: tuple[Period, ...]
    without_time: int


def summarise_traces(traces: pa.Table) -> TraceSummary:
    """Summarise traces.

    Args:
        traces: schema.TRACES.

    Returns:
        The summary.
    """
    states = [state or "" for state in traces.column("state").to_pylist()]
    failed = np.array([state == FAILED for state in states], np.bool_)
    unfinished = np.array([state in UNFINISHED for state in states], np.bool_)
    durations = finished_durations(traces)
    amounts = {name: _column(traces, name) for name in ("input_tokens", "output_tokens", "total_tokens", "total_cost")}
    times = traces.column("request_time").to_pylist()
    known = [time for time in times if is_possible(time)]
    periods = _periods(times, failed, durations, (amounts["total_tokens"], amounts["total_cost"])) if known else ()
    return TraceSummary(
        len(states),
        int(failed.sum()),
        int(unfinished.sum()),
        latency_of(durations),
        _amount(amounts["input_tokens"]),
        _amount(amounts["output_tokens"]),
        _amount(amounts["total_tokens"]),
        _amount(amounts["total_cost"]),
        min(known, default=None),
        max(known, default=None),
        periods,
        len(times) - len(known),
    )


def finished_durations(traces: pa.Table) -> Numbers:
    """The duration of each trace in ms; NaN for those that have not finished or that record none."""
    durations = _column(traces, "duration")
    is_open = np.array([(state or "") in UNFINISHED for state in traces.column("state").to_pylist()], np.bool_)
    return np.where(is_open | (durations < 0), np.nan, durations)


def latency_of(durations: Numbers) -> Latency | None:
    """The latency of durations in ms; NaN ones are ignored.

    Args:
        durations: shape (traces,).
    """
    finite = durations[np.isfinite(durations)]
    if not len(finite):
        return None
    p50, p95 = np.quantile(finite, (0.5, 0.95))
    return Latency(len(finite), float(p50), float(p95), float(finite.max()))


def _periods(
    times: Sequence[int | None], failed: Flags, durations: Numbers, amounts: tuple[Numbers, Numbers]
) -> tuple[Period, ...]:
    numbers = np.array([time if is_possible(time) else -1 for time in times], np.int64)
    known = np.flatnonzero(numbers >= 0)
    first, last = int(numbers[known].min()), int(numbers[known].max())
    width = next((one for one in _WIDTHS if last // one - first // one < MOST_PERIODS), None)
    if width is None:
        width = _WIDTHS[-1] * math.ceil((last - first + 1) / _WIDTHS[-1] / (MOST_PERIODS - 1))
    begin = first // width
    of_period = numbers[known] // width - begin
    members = np.split(
        known[np.argsort(of_period, kind="stable")],
        np.cumsum(np.bincount(of_period, minlength=last // width - begin + 1))[:-1],
    )
    return tuple(
        Period(
            (begin + place) * width,
            (begin + place + 1) * width,
            len(rows),
            int(failed[rows].sum()),
            latency_of(durations[rows]),
            *(float(np.nansum(amount[rows])) for amount in amounts),
        )
        for place, rows in enumerate(members)
    )


def _column(traces: pa.Table, name: str) -> Numbers:
    """A numeric column, NaN for null."""
    values: Numbers = numbers_of(filled(whole(traces.column(name)).cast("float64"), np.nan))
    return values


def _amount(values: Numbers) -> Amount:
    known = values[np.isfinite(values)]
    return Amount(float(known.sum()), len(known), len(values) - len(known))
