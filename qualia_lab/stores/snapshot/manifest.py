"""The manifest of a snapshot: the list of its files with their contents."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__
from qualia_lab.errors import StoreNotFound, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.stores.snapshot.location import SnapshotLocation

MANIFEST = "manifest.json"
SCHEMA_VERSION = 2
HISTORY = "metric_history"

_HINT = "Write it anew: qualia snapshot … --force."
_FILE_NAME = re.compile(r"parts/[0-9a-z-]+(\.parquet)?")
_TABLE_NAME = re.compile(r"[a-z_]+")


@dataclass(frozen=True)
class File:
    """One file. `keys`: the metrics in a history; None if there are too many to list."""

    table: str
    file: str
    rows: int
    bytes: int
    sha256: str
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Part:
    """The files of a batch of runs, which never change.

    Attributes:
        name: a unique name, with which its files begin.
        experiments: the ids of the experiments of its runs.
        runs: the number of runs.
        finished: whether all of them had ended when they were read.
        artifacts: whether their artifacts are saved.
        files: its files.
    """

    name: str
    experiments: tuple[str, ...]
    runs: int
    finished: bool
    artifacts: bool
    files: tuple[File, ...]

    def of(self, table: str) -> list[File]:
        """The files of one table, in the order they were written."""
        return [file for file in self.files if file.table == table]


@dataclass(frozen=True)
class Manifest:
    """The contents of a snapshot. Each run is in exactly one part.

    Attributes:
        tracking_uri: the store, without secrets.
        beside: the folder in which artifacts are searched if they are not where they were recorded.
        choice: the conditions by which the runs were chosen; {} means all runs, None a snapshot for one notebook.
        tables: the files of tables that do not belong to runs.
        parts: the parts, oldest first.
        as_of: the time in ms up to which unfinished runs last; None for the time at which the snapshot is read.
        traces_of: the query whose traces it holds and no others, see `TraceQuery.as_data`; None for other traces.
        spans_in_part: whether spans, or inputs and outputs of spans, were left out.
    """

    tracking_uri: str
    beside: str | None
    choice: dict[str, Any] | None
    tables: tuple[File, ...]
    parts: tuple[Part, ...]
    as_of: int | None = None
    traces_of: dict[str, Any] | None = None
    spans_in_part: bool = False

    def files(self) -> Iterator[File]:
        """Every file of the snapshot."""
        yield from self.tables
        for part in self.parts:
            yield from part.files

    def counts(self) -> dict[str, int]:
        """The number of rows by table."""
        counts: dict[str, int] = {}
        for file in self.files():
            counts[file.table] = counts.get(file.table, 0) + file.rows
        return counts

    def to_json(self) -> bytes:
        """The manifest as JSON."""
        head = {"schema_version": SCHEMA_VERSION, "written_by": f"qualia-lab {__version__}", "counts": self.counts()}
        return json.dumps(head | asdict(self), indent=1).encode()


def read_manifest(location: SnapshotLocation) -> Manifest:
    """The manifest of a snapshot. Raises StoreNotFound if there is none, StoreUnreadable if it is damaged."""
    try:
        data = location.read_bytes(MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreNotFound(
            f"There is no snapshot in {location.shown}.", "Check the path; nothing was created."
        ) from error
    try:
        fields = json.loads(data)
        version = int(fields["schema_version"])
        if version == SCHEMA_VERSION:
            return _manifest(fields)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise StoreUnreadable(f"The manifest of the snapshot in {location.shown} is damaged.", _HINT) from error
    raise StoreUnreadable(
        f"The snapshot in {location.shown} has version {version}, and this program reads {SCHEMA_VERSION}.",
        _HINT,
    )


def _manifest(fields: dict[str, Any]) -> Manifest:
    """The manifest from JSON. Raises ValueError, KeyError or TypeError if it is invalid."""
    manifest = Manifest(
        tracking_uri=str(fields["tracking_uri"]),
        beside=None if fields["beside"] is None else str(fields["beside"]),
        choice=None if fields["choice"] is None else dict(fields["choice"]),
        tables=tuple(map(_file, _list(fields["tables"]))),
        parts=tuple(map(part_from_json, _list(fields["parts"]))),
        as_of=None if fields.get("as_of") is None else int(fields["as_of"]),
        traces_of=None if fields.get("traces_of") is None else dict(fields["traces_of"]),
        spans_in_part=bool(fields.get("spans_in_part")),
    )
    if fields["counts"] != manifest.counts():
        raise ValueError("a part that is no longer listed would not be missed")
    return manifest


def read_file(location: SnapshotLocation, file: File) -> bytes:
    """Read a file and verify its size and SHA-256. Raises StoreUnreadable if it was changed, and FileNotFoundError."""
    data = location.read_bytes(file.file)
    if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
        raise changed_file_error(location, file)
    return data


def changed_file_error(location: SnapshotLocation, file: File) -> StoreUnreadable:
    """The error for a file that was changed after it was written."""
    return StoreUnreadable(
        f"{file.file} of the snapshot in {location.shown} cannot be read: it was changed since it was written.",
        "Write it anew: qualia snapshot … --again.",
    )


def part_to_json(part: Part, tracking_uri: str) -> bytes:
    """A description of a finished part, so that a later update finds it if no manifest lists it yet."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "tracking_uri": tracking_uri, "part": asdict(part)}).encode()


def part_from_json(fields: dict[str, Any]) -> Part:
    """A part from JSON. Raises ValueError, KeyError or TypeError if it is invalid."""
    return Part(
        name=str(fields["name"]),
        experiments=tuple(map(str, fields["experiments"])),
        runs=int(fields["runs"]),
        finished=bool(fields["finished"]),
        artifacts=bool(fields["artifacts"]),
        files=tuple(map(_file, _list(fields["files"]))),
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _file(fields: dict[str, Any]) -> File:
    """A file from JSON. Names that point outside the snapshot are rejected, since a manifest is untrusted."""
    if not _FILE_NAME.fullmatch(fields["file"]) or not _TABLE_NAME.fullmatch(fields["table"]):
        raise ValueError(fields["file"])
    keys = fields["keys"]
    return File(
        table=fields["table"],
        file=fields["file"],
        rows=int(fields["rows"]),
        bytes=int(fields["bytes"]),
        sha256=str(fields["sha256"]),
        keys=None if keys is None else tuple(map(str, keys)),
    )
