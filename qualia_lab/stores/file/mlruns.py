"""Reads the files of an mlruns folder: folders, files of one key each, and meta.yaml.

Links out of the store are not followed, only regular files are opened, and every read has a size limit.
"""

# Paths are plain strings: creating a Path object for each file takes longer than opening the file.
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

# MLflow limits tags to 8,000 characters, but the model description that it stores in a tag may be far longer.
_MAX_VALUE_BYTES = 4 << 20
_FIRST_CHUNK = 64 << 10  # most files are far smaller, and allocating a large buffer costs more than reading one
_CHUNK = 1 << 20
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MAX_KEY_DEPTH = 40
_NULLS = ("", "~", "null", "Null", "NULL")
# `key: words`, `key: 'words'`, `key:`, `key: []`, without characters that have a special meaning in YAML.
_PLAIN_LINE = re.compile(
    r"([a-z_]+):(?: '([\w ./:=@+-]*)'| \[\]| ([A-Za-z0-9_/.](?:[\w./=@+-]|[ :](?=[\w./=@+-]))*))?", re.ASCII
)
_MAX_YAML_DEPTH = 20  # the parser's time grows with the square of the depth


class Unreadable(Exception):
    """The reason why a file of the store could not be read; the caller reports it and continues."""


class TooLarge(Unreadable):
    """The file is larger than the limit."""


class Root:
    """The root folder of a store; rejects links that lead out of it."""

    def __init__(self, path: Path) -> None:
        self.real = os.path.realpath(path)

    def contains(self, path: str) -> bool:
        """Whether the path is in the store after resolving all links."""
        return os.path.realpath(path).startswith(self.real.rstrip(os.sep) + os.sep)

    def check(self, path: str) -> None:
        """Raise Unreadable if the path is a link that leads out of the store."""
        if os.path.islink(path) and not self.contains(path):
            raise Unreadable("it is a link that leads out of the store")

    def folders(self, path: str) -> dict[str, str]:
        """The subfolders of a folder as {name: path}, sorted; empty if it does not exist. Raises Unreadable."""
        return {entry.name: entry.path for entry in self._entries(path) if _is_folder(entry)}

    def files(self, path: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """(key, path) of every file below a folder, where a key is the relative path; none if it does not exist.

        A link to a folder is returned as a file, so that reading it fails and is reported. Raises Unreadable if the
        folder itself cannot be read.
        """
        for entry in self._entries(path):
            if prefix.count("/") < _MAX_KEY_DEPTH and entry.is_dir(follow_symlinks=False):
                yield from self.files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.path

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        """The entries of a folder, sorted by name."""
        self.check(os.path.dirname(path))
        self.check(path)
        try:
            with os.scandir(path) as scanned:
                return sorted(scanned, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise Unreadable(_reason(error)) from error

    def read(self, path: str, limit: int = _MAX_VALUE_BYTES) -> bytes:
        """The contents of a small file. Raises Unreadable or FileNotFoundError."""
        chunks, size = [], 0
        for chunk in self.chunks(path):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"it is larger than {limit:,} bytes")
        return b"".join(chunks)

    def chunks(self, path: str) -> Iterator[bytes]:
        """The contents of a file of any size, in chunks. Raises Unreadable or FileNotFoundError."""
        try:
            descriptor = self._open(path)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise Unreadable("it is not a regular file")
                size_to_read = _FIRST_CHUNK
                while chunk := os.read(descriptor, size_to_read):
                    yield chunk
                    if len(chunk) < size_to_read:  # the end of the file; this saves a second call for most files
                        break
                    size_to_read = _CHUNK
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreadable(_reason(error)) from error

    def _open(self, path: str) -> int:
        """A descriptor for reading. Links are followed only within the store, and opening a pipe does not block."""
        if _NO_FOLLOW:
            try:
                return os.open(path, _FLAGS)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
        self.check(path)
        return os.open(os.path.realpath(path) if os.path.islink(path) else path, _FLAGS)


def read_meta(root: Root, path: str) -> dict[str, Scalar | dict[str, Scalar]]:
    """A meta.yaml as {key: text}, with one level of nested mappings. Raises Unreadable."""
    try:
        meta = flat_yaml(decoded(root.read(path)))
    except FileNotFoundError as error:
        raise Unreadable("it is missing") from error
    except ValueError as error:
        raise Unreadable("it is not valid YAML") from error
    if not meta:
        raise Unreadable("it is empty")
    return meta


def flat_yaml(text: str) -> dict[str, Scalar | dict[str, Scalar]]:
    """Parse a YAML mapping with one level of nested mappings; scalars stay text as written, null becomes None.

    Lines of plain scalars, as MLflow writes them, are parsed here in a tenth of the parser's time; any other YAML is
    passed to the parser.

    Args:
        text: the YAML.

    Raises:
        ValueError: the text is not YAML.
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
    """Parse any YAML for `flat_yaml`. Raises ValueError if the text is not YAML.

    This uses the parser's events instead of its objects: building objects can exhaust memory through aliases, can
    overflow the C stack through nesting, and guesses types (of a run named `yes` or `2026-11-01`).
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    top: dict[str, Scalar | dict[str, Scalar]] = {}
    path: list[
        tuple[dict[str, Scalar] | None, list[str]]
    ] = []  # open collections: the mapping to fill (None: ignored) and the pending key
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                inner: dict[str, Scalar] | None = None
                if isinstance(event, yaml.MappingStartEvent) and len(path) < 2:
                    inner = top if not path else {}  # type: ignore[assignment]  # only the top mapping is nested
                    if path:
                        _put(path[-1], inner)
                elif path:
                    _put(path[-1], None)
                path.append((inner, []))
                if len(path) > _MAX_YAML_DEPTH:
                    raise ValueError("it is nested too deeply")
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


def _put(collection: tuple[dict[str, Scalar] | None, list[str]], value: object) -> None:
    """Add a scalar to the open mapping, as a key or as the value of the pending key."""
    mapping, key = collection
    if mapping is None:
        return
    if key:
        mapping[key.pop()] = value  # type: ignore[assignment]  # a mapping nested in the top one
    else:
        key.append(str(value))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or "it could not be read").lower()
