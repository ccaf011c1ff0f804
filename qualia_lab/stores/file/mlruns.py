"""The files of an mlruns folder: what one folder, one key's file, one meta.yaml says.

Nothing is followed out of the store, nothing but regular files is opened, and every read has a limit.
"""

# Paths are plain strings here: a Path object per file takes longer than opening it.
# ruff: noqa: PTH114, PTH120

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from qualia_lab.stores.values import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Scalar = str | None

# MLflow's longest value is a tag of 8,000 characters; the model description it keeps in a tag may be far longer.
_LONGEST_VALUE = 4 << 20
_FIRST_CHUNK = 64 << 10  # most files are far smaller, and a large buffer costs more than reading one
_CHUNK = 1 << 20
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_DEEPEST_KEY = 40
_NULLS = ("", "~", "null", "Null", "NULL")
# `key: words`, `key: 'words'`, `key:`, `key: []`: nothing in it that means something else to YAML.
_PLAIN_LINE = re.compile(
    r"([a-z_]+):(?: '([\w ./:=@+-]*)'| \[\]| ([A-Za-z0-9_/.](?:[\w./=@+-]|[ :](?=[\w./=@+-]))*))?", re.ASCII
)
_DEEPEST_YAML = 20  # the parser's time grows with the square of the depth


class Unreadable(Exception):
    """Why a file of the store could not be read; the caller names it and goes on."""


class TooLarge(Unreadable):
    """It is larger than was asked for."""


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
        for chunk in self.chunks(path):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"it is larger than {limit:,} bytes")
        return b"".join(chunks)

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file, piece by piece, however large it is. Raises Unreadable; FileNotFoundError stays itself."""
        try:
            descriptor = self._open(path)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Unreadable("it is no regular file")
                wanted = _FIRST_CHUNK
                while chunk := os.read(descriptor, wanted):
                    yield chunk
                    if len(chunk) < wanted:  # that was its end; half of all files are read by one call
                        break
                    wanted = _CHUNK
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(_reason(error)) from error

    def _open(self, path: str) -> int:
        """A descriptor for reading; a link is followed only within the store, a pipe never waited for."""
        if _NO_FOLLOW:
            try:
                return os.open(path, _FLAGS)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
        self.check(path)
        return os.open(os.path.realpath(path) if os.path.islink(path) else path, _FLAGS)


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

    What MLflow writes is lines of plain words, read here in a tenth of the parser's time; anything else goes there.
    Raises ValueError when it is no YAML.
    """
    top: dict[str, Scalar | dict[str, Scalar]] = {}
    for line in filter(None, text.split("\n")):
        found = _PLAIN_LINE.fullmatch(line)
        if found is None:
            return _parsed_yaml(text)
        key, quoted, plain = found.groups()
        top[key] = quoted if quoted is not None else plain if plain not in _NULLS else None
    return top


def _parsed_yaml(text: str) -> dict[str, Scalar | dict[str, Scalar]]:
    """Any YAML, as `flat_yaml` gives it.

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
                is_null = event.implicit[0] and event.value in _NULLS
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


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or "it could not be read").lower()
