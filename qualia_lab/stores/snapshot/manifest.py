"""The manifest of a snapshot: which files it is made of, and what is in each."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__
from qualia_lab.errors import StoreNotFound, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qualia_lab.stores.snapshot.place import SnapshotPlace

MANIFEST = "manifest.json"
SCHEMA_VERSION = 2
HISTORY = "metric_history"

_ANEW = "Write it anew: qualia snapshot … --force."
_FILE_NAME = re.compile(r"parts/[0-9a-z-]+(\.parquet)?")
_TABLE_NAME = re.compile(r"[a-z_]+")


@dataclass(frozen=True)
class File:
    """One file. keys: the metrics that a history holds, None where they are too many to name."""

    table: str
    file: str
    rows: int
    bytes: int
    sha256: str
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Part:
    """Some runs and all that belongs to them, in files of their own that never change.

    finished: whether all of them had ended.  artifacts: whether the starts of their artifacts are in it.
    """

    name: str
    experiments: tuple[str, ...]
    runs: int
    finished: bool
    artifacts: bool
    files: tuple[File, ...]

    def of(self, table: str) -> list[File]:
        """The files of one table, in the order in which they were written."""
        return [file for file in self.files if file.table == table]


@dataclass(frozen=True)
class Manifest:
    """All of a snapshot. Between them the parts hold every run once.

    tracking_uri: the store, without secrets.  beside: the folder in which its artifacts are looked for when they are
    not where they were recorded.  choice: the words by which the runs were chosen; {} means all there were, None that
    it was written for one notebook.  tables: what belongs to no run.
    """

    tracking_uri: str
    beside: str | None
    choice: dict[str, Any] | None
    tables: tuple[File, ...]
    parts: tuple[Part, ...]

    def files(self) -> Iterator[File]:
        """Every file there is."""
        yield from self.tables
        for part in self.parts:
            yield from part.files

    def counts(self) -> dict[str, int]:
        """Rows by table."""
        counts: dict[str, int] = {}
        for file in self.files():
            counts[file.table] = counts.get(file.table, 0) + file.rows
        return counts

    def to_json(self) -> bytes:
        """The manifest as it is written."""
        head = {"schema_version": SCHEMA_VERSION, "written_by": f"qualia-lab {__version__}", "counts": self.counts()}
        return json.dumps(head | asdict(self), indent=1).encode()


def read_manifest(place: SnapshotPlace) -> Manifest:
    """The manifest of the snapshot there. Raises StoreNotFound where there is none, StoreUnreadable when it is odd."""
    try:
        data = place.read_bytes(MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreNotFound(
            f"There is no snapshot in {place.shown}.", "Check the path; nothing was created."
        ) from error
    try:
        found = json.loads(data)
        version = int(found["schema_version"])
        if version == SCHEMA_VERSION:
            return Manifest(
                tracking_uri=str(found["tracking_uri"]),
                beside=None if found["beside"] is None else str(found["beside"]),
                choice=None if found["choice"] is None else dict(found["choice"]),
                tables=tuple(map(_file, found["tables"])),
                parts=tuple(map(part_of_json, found["parts"])),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreUnreadable(f"The manifest of the snapshot in {place.shown} is damaged.", _ANEW) from error
    raise StoreUnreadable(
        f"The snapshot in {place.shown} is of version {version}, and this program reads {SCHEMA_VERSION}.",
        _ANEW,
    )


def part_to_json(part: Part, tracking_uri: str) -> bytes:
    """What is left beside a finished part for a call that finds it before a manifest names it."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "tracking_uri": tracking_uri, "part": asdict(part)}).encode()


def part_of_json(found: dict[str, Any]) -> Part:
    """A part. Raises ValueError, KeyError or TypeError when it is none."""
    return Part(
        name=str(found["name"]),
        experiments=tuple(map(str, found["experiments"])),
        runs=int(found["runs"]),
        finished=bool(found["finished"]),
        artifacts=bool(found["artifacts"]),
        files=tuple(map(_file, found["files"])),
    )


def _file(found: dict[str, Any]) -> File:
    """A file; its name leads nowhere else, whoever wrote the manifest."""
    if not _FILE_NAME.fullmatch(found["file"]) or not _TABLE_NAME.fullmatch(found["table"]):
        raise ValueError(found["file"])
    keys = found["keys"]
    return File(
        table=found["table"],
        file=found["file"],
        rows=int(found["rows"]),
        bytes=int(found["bytes"]),
        sha256=str(found["sha256"]),
        keys=None if keys is None else tuple(map(str, keys)),
    )
