"""Parses files of metrics: many at once if they are as MLflow writes them, else line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab.columns import column, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Point = tuple[int, int, float]  # step, timestamp in ms, value: MLflow's latest point is the largest in this order

_MAX_LINE_BYTES = 4096
_MAX_BLOCK_BYTES = 1 << 30  # of CSV that Arrow parses at once
_POINT = re.compile(
    rb"\s*([+-]?0*[0-9]{1,19})\s+"
    rb"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity))"
    rb"(?:\s+([+-]?0*[0-9]{1,19})(?:\s.*)?)?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
# The characters in numbers written by Python: for a file of only these, in three columns, both parsers agree.
_PLAIN = b"0123456789.-+e naif\n"


@dataclass(frozen=True)
class Points:
    """The points of several files, file by file; those of one file are sorted by step, timestamp, value, NaN last.

    Attributes:
        counts: the number of points of each file.
        steps: int64, one for each point.
        timestamps: int64 in ms.
        values: float64.
        problems: {index of a file: what is wrong with it}.
    """

    counts: np.ndarray
    steps: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray
    problems: dict[int, str]


def parse_files(files: Sequence[bytes]) -> Points:
    """The points of these files. Files that are not in MLflow's current format are normalized line by line first."""
    problems: dict[int, str] = {}
    normalized_files, table = list(files), None
    for looks_plain in (_looks_plain, lambda _: False):
        for index, data in enumerate(files):
            if not looks_plain(data):
                normalized_files[index], problem = normalized([data])
                if problem:
                    problems[index] = problem
        table = _table(normalized_files)
        if table is not None:
            break
    assert table is not None
    counts = np.array([data.count(b"\n") for data in normalized_files], np.int64)
    steps, timestamps, values = (numbers_of(table.column(name)) for name in ("step", "timestamp", "value"))
    file_index = np.repeat(np.arange(len(files)), counts)
    if not _are_in_order(file_index, steps, timestamps, values):
        order = np.lexsort((values, timestamps, steps, file_index))
        steps, timestamps, values = steps[order], timestamps[order], values[order]
    return Points(counts, steps, timestamps, values, problems)


def latest_points(files: Sequence[bytes], points: Points) -> Iterator[tuple[int, Point]]:
    """(index, latest point) for every file that has points; the latest is the largest by step, timestamp, value."""
    ends = np.cumsum(points.counts)
    non_empty = np.flatnonzero(points.counts)
    last = ends[non_empty] - 1
    columns = (column[last].tolist() for column in (points.steps, points.timestamps, points.values))
    for index, step, timestamp, value in zip(non_empty.tolist(), *columns, strict=True):
        # Between NaN and a number at the same step and timestamp, MLflow's choice depends on the order of the lines.
        yield index, (step, timestamp, value) if value == value else _latest(files[index])  # noqa: PLR0124


def normalized(chunks: Iterable[bytes]) -> tuple[bytes, str]:
    """The points of one file in MLflow's current format, and what is wrong with the file ("" if nothing is)."""
    points = []
    bad, first_bad = 0, 0
    for line_number, line in enumerate(lines_of(chunks), start=1):
        point = None if line is None else parse_point(line)
        if point is not None:
            step, timestamp, value = point
            points.append(b"%d %b %d\n" % (timestamp, repr(value).encode(), step))
        elif line is None or line.strip():
            bad += 1
            first_bad = first_bad or line_number
    problem = f"{bad} of its lines could not be read, the first is line {first_bad}" if bad else ""
    return b"".join(points), problem


def parse_point(line: bytes) -> Point | None:
    """The point in a line `timestamp value [step [dataset digest]]`; None for any other line.

    MLflow 1.0 wrote no step. A metric of a dataset has the name and digest of the dataset at the end.
    """
    found = _POINT.match(line)
    if found is None:
        return None
    timestamp, step = int(found[1]), int(found[3] or 0)
    if not -(2**63) <= min(timestamp, step) <= max(timestamp, step) < 2**63:
        return None
    return (step, timestamp, float(found[2]))


def has_complete_last_line(data: bytes) -> bool:
    """Whether the last line has no line break, but is a point with as many fields as the line before."""
    if not data or data.endswith(b"\n"):
        return False
    before, _, last = data.rpartition(b"\n")
    return parse_point(last) is not None and (
        not before or len(before.rpartition(b"\n")[2].split()) == len(last.split())
    )


def _looks_plain(data: bytes) -> bool:
    return data.endswith(b"\n") and not data.translate(None, _PLAIN)


def _latest(data: bytes) -> Point:
    return max(point for line in lines_of([data]) if line is not None and (point := parse_point(line)) is not None)


def _table(files: list[bytes]) -> pa.Table | None:
    """The lines of these files as one table; None if a line is not a point with three columns."""
    from pyarrow import csv

    data = b"".join(files)
    columns = {"timestamp": pa.int64(), "value": pa.float64(), "step": pa.int64()}
    if not data:  # Arrow does not accept empty CSV
        return pa.table({name: column((), kind) for name, kind in columns.items()})
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(
                column_names=list(columns), use_threads=False, block_size=min(len(data) + 1, _MAX_BLOCK_BYTES)
            ),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False, escape_char=False),
            convert_options=csv.ConvertOptions(column_types=columns, null_values=[], check_utf8=False),
        )
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == data.count(b"\n") else None  # Arrow skips empty lines


def _are_in_order(file_index: np.ndarray, steps: np.ndarray, timestamps: np.ndarray, values: np.ndarray) -> bool:
    """Whether the points are sorted; False if that cannot be determined quickly."""
    same = file_index[1:] == file_index[:-1]
    tied = same & (steps[1:] == steps[:-1])
    in_order = (file_index[1:] >= file_index[:-1]) & ~(same & (steps[1:] < steps[:-1]))
    if tied.any():
        in_order &= ~tied | (timestamps[1:] > timestamps[:-1])
        tied &= timestamps[1:] == timestamps[:-1]
        in_order |= tied & (values[1:] >= values[:-1])
    return bool(in_order.all())


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """The lines of a file of any size; None for a line that is too long, or a last line without a line break.

    A line without a line break may be incomplete, and half a number looks like a number. A caller that knows that the
    run has ended appends the line break.
    """
    rest, too_long = b"", False
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield None if too_long or len(line) > _MAX_LINE_BYTES else line
            too_long = False
        if len(rest) > _MAX_LINE_BYTES:
            rest, too_long = b"", True
    if rest or too_long:
        yield None
