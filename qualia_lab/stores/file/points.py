"""Files of metrics, made into points: many at once where they are as MLflow writes them, line by line where not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from qualia_lab.columns import column, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Point = tuple[int, int, float]  # step, timestamp in ms, value: the order by which MLflow finds the latest

_LONGEST_LINE = 4096
_LARGEST_BLOCK = 1 << 30  # of CSV that Arrow parses at once
_POINT = re.compile(
    rb"\s*([+-]?[0-9]{1,19})\s+"
    rb"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity))"
    rb"(?:\s+([+-]?[0-9]{1,19})(?:\s.*)?)?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
# What Python writes a number with: a file of nothing else, and three columns, says the same to either parser.
_PLAIN = b"0123456789.-+e naif\n"


@dataclass(frozen=True)
class Points:
    """The points of some files, file after file, those of one file by step, timestamp, value and NaN last.

    counts: how many each file has.  problems: by the file's place, what is wrong with it.
    """

    counts: np.ndarray
    steps: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray
    problems: dict[int, str]


def parse_files(files: Sequence[bytes]) -> Points:
    """The points of these files. One that is odd in any way is read line by line, and brought into form first."""
    problems: dict[int, str] = {}
    formed, table = list(files), None
    for looks_plain in (_looks_plain, lambda _: False):
        for place, data in enumerate(files):
            if not looks_plain(data):
                formed[place], problem = in_form([data])
                if problem:
                    problems[place] = problem
        table = _table(formed)
        if table is not None:
            break
    assert table is not None
    counts = np.array([data.count(b"\n") for data in formed], np.int64)
    steps, timestamps, values = (numbers_of(table.column(name)) for name in ("step", "timestamp", "value"))
    whose = np.repeat(np.arange(len(files)), counts)
    if not _are_in_order(whose, steps, timestamps, values):
        order = np.lexsort((values, timestamps, steps, whose))
        steps, timestamps, values = steps[order], timestamps[order], values[order]
    return Points(counts, steps, timestamps, values, problems)


def latest_points(files: Sequence[bytes], points: Points) -> Iterator[tuple[int, Point]]:
    """(place, the point of the highest step, then timestamp, then value) of every file that has one."""
    ends = np.cumsum(points.counts)
    found = np.flatnonzero(points.counts)
    last = ends[found] - 1
    columns = (column[last].tolist() for column in (points.steps, points.timestamps, points.values))
    for place, step, timestamp, value in zip(found.tolist(), *columns, strict=True):
        # Which of a NaN and a number of the same moment counts, MLflow leaves to the order of the lines.
        yield place, (step, timestamp, value) if value == value else _latest(files[place])  # noqa: PLR0124


def in_form(chunks: Iterable[bytes]) -> tuple[bytes, str]:
    """The points of one file as MLflow writes them today, and what is wrong with the file ("" when nothing is)."""
    points = []
    bad, first_bad = 0, 0
    for count, line in enumerate(_lines(chunks), start=1):
        point = None if line is None else parse_point(line)
        if point is not None:
            step, timestamp, value = point
            points.append(b"%d %b %d\n" % (timestamp, repr(value).encode(), step))
        elif line is None or line.strip():
            bad += 1
            first_bad = first_bad or count
    problem = f"{bad} of its lines could not be read, the first is line {first_bad}" if bad else ""
    return b"".join(points), problem


def parse_point(line: bytes) -> Point | None:
    """The point of `timestamp value [step [dataset digest]]`, or None when the line says anything else.

    MLflow 1.0 wrote no step; a metric of a dataset has the dataset's name and digest behind it.
    """
    found = _POINT.match(line)
    if found is None:
        return None
    timestamp, step = int(found[1]), int(found[3] or 0)
    if not -(2**63) <= min(timestamp, step) <= max(timestamp, step) < 2**63:
        return None
    return (step, timestamp, float(found[2]))


def ends_whole(data: bytes) -> bool:
    """Whether the last line lacks its line break, and has all that the line before it has."""
    if not data or data.endswith(b"\n"):
        return False
    before, _, last = data.rpartition(b"\n")
    return parse_point(last) is not None and (
        not before or len(before.rpartition(b"\n")[2].split()) == len(last.split())
    )


def _looks_plain(data: bytes) -> bool:
    return data.endswith(b"\n") and not data.translate(None, _PLAIN)


def _latest(data: bytes) -> Point:
    return max(point for line in _lines([data]) if line is not None and (point := parse_point(line)) is not None)


def _table(files: list[bytes]) -> pa.Table | None:
    """The lines of these files as one table; None when one of the lines is no point of three columns."""
    from pyarrow import csv

    data = b"".join(files)
    columns = {"timestamp": pa.int64(), "value": pa.float64(), "step": pa.int64()}
    if not data:  # which is no CSV
        return pa.table({name: column((), kind) for name, kind in columns.items()})
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(
                column_names=list(columns), use_threads=False, block_size=min(len(data) + 1, _LARGEST_BLOCK)
            ),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False, escape_char=False),
            convert_options=csv.ConvertOptions(column_types=columns, null_values=[], check_utf8=False),
        )
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows == data.count(b"\n") else None  # an empty line is passed over


def _are_in_order(whose: np.ndarray, steps: np.ndarray, timestamps: np.ndarray, values: np.ndarray) -> bool:
    """Whether no point stands before one that belongs in front of it; False where that is hard to say."""
    same = whose[1:] == whose[:-1]
    tied = same & (steps[1:] == steps[:-1])
    in_order = (whose[1:] >= whose[:-1]) & ~(same & (steps[1:] < steps[:-1]))
    if tied.any():
        in_order &= ~tied | (timestamps[1:] > timestamps[:-1])
        tied &= timestamps[1:] == timestamps[:-1]
        in_order |= tied & (values[1:] >= values[:-1])
    return bool(in_order.all())


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """The lines of a file, however large it is; None for one that cannot be a line of a store.

    That is one of absurd length, and a last one without its line break: it may still be being written, and half a
    number looks like a number. Who knows that the run has ended adds the line break.
    """
    rest, too_long = b"", False
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield None if too_long or len(line) > _LONGEST_LINE else line
            too_long = False
        if len(rest) > _LONGEST_LINE:
            rest, too_long = b"", True
    if rest or too_long:
        yield None
