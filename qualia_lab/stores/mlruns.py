"""The files of an mlruns folder: what one folder, one key's file, one meta.yaml, one metric says.

Nothing is followed out of the store, nothing but regular files is opened, and every read has a limit.
"""

# Paths are plain strings here: a Path object per file takes longer than opening it.
# ruff: noqa: PTH114, PTH120

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from qualia_lab.stores.values import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Scalar = str | None
    Point = tuple[int, int, float]  # step, timestamp in ms, value: the order by which MLflow finds the latest

# MLflow's longest value is a tag of 8,000 characters; the model description it keeps in a tag may be far longer.
_LONGEST_VALUE = 4 << 20
_LONGEST_LINE = 4096
_CHUNK = 1 << 20
_POINT = re.compile(
    rb"\s*([+-]?[0-9]{1,19})\s+"
    rb"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity))"
    rb"(?:\s+([+-]?[0-9]{1,19})(?:\s.*)?)?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_DEEPEST_KEY = 40
_DEEPEST_YAML = 20  # the parser's time grows with the square of the depth


class Unreadable(Exception):
    """Why a file of the store could not be read; the caller names it and goes on."""


class Root:
    """The folder of a store, and the guard of its border."""

    def __init__(self, path: Path) -> None:
        self.real = os.path.realpath(path)

    def holds(self, path: str) -> bool:
        """Whether the path, with every link on it resolved, is still in the store."""
        return os.path.realpath(path).startswith(self.real.rstrip(os.sep) + os.sep)

    def check(self, path: str) -> None:
        """Raises Unreadable when the path is a link that leads out of the store."""
        if os.path.islink(path) and not self.holds(path):
            raise Unreadable("it is a link that leads out of the store")

    def folders(self, path: str) -> dict[str, str]:
        """The folders in a folder as {name: path}, sorted; none where it is missing. Raises Unreadable."""
        return {entry.name: entry.path for entry in self._entries(path) if _is_folder(entry)}

    def files(self, path: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(key, path) of every file below a folder, a key being its path with `/`; none where the folder is missing.

        A link to a folder counts as a file, which cannot be read and is so named. Raises Unreadable when the
        folder itself may not be read.
        """
        for entry in self._entries(path):
            if prefix.count("/") < _DEEPEST_KEY and entry.is_dir(follow_symlinks=False):
                yield from self.files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.path

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        """What is in a folder, sorted by name."""
        self.check(os.path.dirname(path))
        self.check(path)
        try:
            with os.scandir(path) as found:
                return sorted(found, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Unreadable(_reason(error)) from error

    def read(self, path: str, limit: int = _LONGEST_VALUE) -> bytes:
        """A whole small file. Raises Unreadable; FileNotFoundError stays itself."""
        chunks, size = [], 0
        for chunk in self._chunks(path):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise Unreadable(f"it is larger than {limit:,} bytes")
        return b"".join(chunks)

    def lines(self, path: str) -> Iterator[bytes | None]:
        """The lines of a file, however large it is; None for one that cannot be a line of a store.

        That is one of absurd length, and a last one without its line break: it is still being written, and half a
        number looks like a number. Raises Unreadable.
        """
        rest, too_long = b"", False
        for chunk in self._chunks(path):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield None if too_long or len(line) > _LONGEST_LINE else line
                too_long = False
            if len(rest) > _LONGEST_LINE:
                rest, too_long = b"", True
        if rest or too_long:
            yield None

    def _chunks(self, path: str) -> Iterator[bytes]:
        try:
            descriptor = self._open(path)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Unreadable("it is no regular file")
                while chunk := os.read(descriptor, _CHUNK):
                    yield chunk
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(_reason(error)) from error

    def _open(self, path: str) -> int:
        """A descriptor for reading; a link is followed only within the store, a pipe never waited for."""
        self.check(path)
        if os.path.islink(path):
            path = os.path.realpath(path)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        return os.open(path, flags)


def read_meta(root: Root, path: str) -> dict[str, Scalar | dict[str, Scalar]]:
    """A meta.yaml as {key: text}, and one level of mappings in it. Raises Unreadable."""
    try:
        meta = flat_yaml(decoded(root.read(path)))
    except FileNotFoundError as error:
        raise Unreadable("it is missing") from error
    except ValueError as error:
        raise Unreadable("it is no valid YAML") from error
    if not meta:
        raise Unreadable("it is empty")
    return meta


def flat_yaml(text: str) -> dict[str, Scalar | dict[str, Scalar]]:
    """A YAML mapping and the mappings directly in it, every scalar as the text that it is written as, null as None.

    Reads the parser's events: what builds objects from them can be made to exhaust memory by references, to overflow
    the C stack by nesting, and guesses types (a run named `yes` or `2026-11-01`). Raises ValueError when it is no YAML.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    top: dict[str, Scalar | dict[str, Scalar]] = {}
    path: list[tuple[dict[str, Scalar] | None, list[str]]] = []  # open collections: what is kept of each, and its key
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                inner: dict[str, Scalar] | None = None
                if isinstance(event, yaml.MappingStartEvent) and len(path) < 2:
                    inner = top if not path else {}  # type: ignore[assignment]  # the top is the one that nests
                    if path:
                        _put(path[-1], inner)
                elif path:
                    _put(path[-1], None)
                path.append((inner, []))
                if len(path) > _DEEPEST_YAML:
                    raise ValueError("it is nested too deep")
            elif isinstance(event, yaml.CollectionEndEvent):
                path.pop()
            elif isinstance(event, yaml.ScalarEvent) and path:
                is_null = event.implicit[0] and event.value in ("", "~", "null", "Null", "NULL")
                _put(path[-1], None if is_null and path[-1][1] else event.value)
            elif isinstance(event, yaml.AliasEvent) and path:
                _put(path[-1], None)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return top


def _put(place: tuple[dict[str, Scalar] | None, list[str]], value: object) -> None:
    """A scalar becomes a key of the open mapping, or the value of the key that waits."""
    mapping, key = place
    if mapping is None:
        return
    if key:
        mapping[key.pop()] = value  # type: ignore[assignment]  # a mapping in the top one
    else:
        key.append(str(value))


def read_points(root: Root, path: str) -> tuple[list[Point], str]:
    """Every point of a metric's file in the file's order, and what is wrong with the file ("" when nothing is)."""
    points: list[Point] = []
    bad, first_bad = 0, 0
    for count, line in enumerate(root.lines(path), start=1):
        point = None if line is None else parse_point(line)
        if point is not None:
            points.append(point)
        elif line is None or line.strip():
            bad += 1
            first_bad = first_bad or count
    return points, f"{bad} of its lines could not be read, the first is line {first_bad}" if bad else ""


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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or "it could not be read").lower()
