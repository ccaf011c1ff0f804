"""Validate start and end times: times that no run can have become null, for every kind of store.

A run created over REST without a start has 0, some loggers write seconds or microseconds, and a run that was resumed
keeps its earlier end. Stores keep such numbers unchanged; tables have null instead, and `problems` reports what was
recorded. Filters compare `start_time` and `end_time` as stored, as MLflow does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab import schema
from qualia_lab.columns import column, column_of, filled, numbers_of, whole
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from qualia_lab.tables import RunTables

    Numbers = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

# The statuses of runs that have not ended.
OPEN = ("RUNNING", "SCHEDULED")

LATEST_TIME = 4_102_444_800_000  # 2100-01-01, in ms
SECONDS = 1_000_000_000, 4_102_444_799  # 2001 to 2099 in seconds; in milliseconds, some weeks of 1970
_NONE = -(2**63)
FEW = 200  # runs, for which `are_usual` takes less time than `possible_runs`
_TIMESTAMPS = "timestamps of metrics"


def is_possible(milliseconds: int | None) -> bool:
    """Whether a time can be the start or the end of a run."""
    return milliseconds is not None and 0 < milliseconds < LATEST_TIME and not SECONDS[0] <= milliseconds <= SECONDS[1]


def are_usual(runs: Iterable[tuple[object, object, object]]) -> bool:
    """Whether the statuses, starts and ends of these runs are such that `possible_runs` changes nothing.

    False also if a value has an unexpected type, so that the rows of a database can be passed.
    """
    for status, start, end in runs:
        if type(start) is not int or not SECONDS[1] < start < LATEST_TIME:
            return False
        if end is not None and (
            type(end) is not int or not start <= end < LATEST_TIME or type(status) is not str or status in OPEN
        ):
            return False
    return True


def possible_runs(runs: pa.Table) -> pa.Table:
    """The runs (schema.RUNS) with impossible start and end times replaced by null."""
    return _checked(runs)[0]


def with_possible_times(tables: RunTables) -> RunTables:
    """The tables with impossible start and end times replaced by null, and a row in `problems` for each of them.

    Timestamps of metrics that were logged in seconds are unchanged; `problems` lists the runs that have them.
    """
    runs, impossible = _checked(tables.runs)
    problems = [part for part in (*impossible, _in_seconds(tables)) if part is not None]
    if not problems:
        return tables
    return replace(tables, runs=runs, problems=pa.concat_tables([tables.problems, *problems]))


def _checked(runs: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
    """The runs with valid times, and tables of problems for the invalid ones."""
    if runs.num_rows <= FEW and are_usual(
        zip(*(runs.column(name).to_pylist() for name in ("status", "start_time", "end_time")), strict=True)
    ):
        return runs, []
    start, end = (numbers_of(filled(runs.column(name), _NONE)) for name in ("start_time", "end_time"))
    if _are_usual(start, end) and not (_are_open(runs) & (end != _NONE)).any():
        return runs, []
    has_start, has_end = _are_possible(start), _are_possible(end)
    problems = []
    for name, recorded, possible in (("start_time", start, has_start), ("end_time", end, has_end)):
        impossible = ~possible & (recorded != _NONE)
        if impossible.any():
            problems.append(_problems(runs, name, impossible, recorded, _why_impossible))
    before = has_start & has_end & (end < start)
    if before.any():
        problems.append(
            _problems(runs, "end_time", before, end, lambda time: f"{_date(time)} was recorded, before its start")
        )
    still_open = has_end & ~before & _are_open(runs)
    if still_open.any():
        problems.append(
            _problems(
                runs,
                "end_time",
                still_open,
                end,
                lambda time: f"{_date(time)} was recorded, but the run is still open: it was resumed after that end",
            )
        )
    if not problems:
        return runs, []
    columns = {
        "start_time": np.where(has_start, start, _NONE),
        "end_time": np.where(has_end & ~before & ~still_open, end, _NONE),
    }
    arrays = [
        _with_nulls(columns[field.name]) if field.name in columns else runs.column(field.name) for field in runs.schema
    ]
    return pa.Table.from_arrays(arrays, schema=runs.schema), problems


def _in_seconds(tables: RunTables) -> pa.Table | None:
    """A problem for each run with points in seconds instead of milliseconds, unless it has that problem already."""
    metrics = tables.metrics
    times = numbers_of(filled(metrics.column("timestamp"), _NONE))
    in_seconds = (times >= SECONDS[0]) & (times <= SECONDS[1])
    if not in_seconds.any():
        return None
    indices = np.flatnonzero(in_seconds)
    run_ids = metrics.column("run_id").take(column_of(indices, schema.INT)).to_pylist()
    first = dict(zip(reversed(run_ids), reversed(times[indices].tolist()), strict=True))
    for run_id in rows_with(tables.problems, "subject", [_TIMESTAMPS]).column("run_id").to_pylist():
        first.pop(run_id, None)
    affected = list(reversed(first))
    return _table(affected, _TIMESTAMPS, [_why_seconds(first[run_id]) for run_id in affected]) if first else None


def _are_usual(start: Numbers, end: Numbers) -> bool:
    """Whether every run has a possible start, and no end or a possible one after it."""
    ended = end != _NONE
    return bool(((start > SECONDS[1]) & (np.where(ended, end, start) >= start)).all()) and bool(
        (np.maximum(start, end) < LATEST_TIME).all()
    )


def _are_possible(times: Numbers) -> Mask:
    mask: Mask = (times > 0) & (times < LATEST_TIME) & ~((times >= SECONDS[0]) & (times <= SECONDS[1]))
    return mask


def _are_open(runs: pa.Table) -> Mask:
    encoded = whole(runs.column("status")).dictionary_encode()
    statuses = encoded.dictionary.to_pylist()
    if not set(statuses) & set(OPEN):
        return np.zeros(runs.num_rows, np.bool_)
    is_open = np.array([*(status in OPEN for status in statuses), False], np.bool_)
    mask: Mask = is_open[numbers_of(filled(encoded.indices, -1))]
    return mask


def _problems(runs: pa.Table, name: str, affected: Mask, recorded: Numbers, why: Callable[[int], str]) -> pa.Table:
    indices = np.flatnonzero(affected)
    run_ids = runs.column("run_id").take(column_of(indices, schema.INT)).to_pylist()
    return _table(run_ids, name, [why(time) for time in recorded[indices].tolist()])


def _table(run_ids: list[str], subject: str, reasons: list[str]) -> pa.Table:
    columns = run_ids, [subject] * len(run_ids), reasons
    return pa.Table.from_arrays([column(values, schema.STRING) for values in columns], schema=schema.PROBLEMS)


def _why_impossible(time: int) -> str:
    if SECONDS[0] <= time <= SECONDS[1]:
        return _why_seconds(time)
    if time <= 0:
        return f"{time} was recorded, which is not a possible time of a run"
    return f"{time} was recorded, which is past the year 2100 in milliseconds"


def _why_seconds(time: int) -> str:
    return f"{time} was recorded: {_date(1000 * time)} in seconds, where MLflow has milliseconds"


def _date(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _with_nulls(times: Numbers) -> pa.Array:
    valid = times != _NONE
    nulls = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(schema.INT, len(times), [nulls, pa.py_buffer(np.ascontiguousarray(times))])
