"""The starts of artifacts in a snapshot: enough for every preview, and never a model's weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.errors import QualiaLabError, StoreUnreadable
from qualia_lab.stores.places import LocalPlace, on_this_machine
from qualia_lab.stores.protocol import ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.snapshot.place import SnapshotPlace

KEPT_BYTES = 5_000_000
KEPT_FILES = 200

# A row of a run alone says where its artifacts are (`beside`: "" is nowhere but as recorded) or what to know of them;
# the others are a file each. `file` is the number under which its start is kept.
KEPT_ARTIFACTS = pa.schema(
    [*schema.ARTIFACTS, ("file", schema.STRING), ("note", schema.STRING), ("beside", schema.STRING)]
)

_NUMBER = re.compile(r"parts/[0-9a-z-]+")


def keep_artifacts(
    run_id: str, place: ArtifactPlace, keep: Callable[[bytes], str], *, local: bool
) -> Iterator[dict[str, Any]]:
    """Rows of KEPT_ARTIFACTS for one run; what cannot be read is kept as a note.

    keep: takes the start of a file and gives its number.  local: whether files on this machine are kept too.
    """
    folder = on_this_machine(place)
    if folder is not None and not local:
        yield {"run_id": run_id, "beside": str(folder.beside or "")}
        return
    try:
        files = list(place.list_files())
    except QualiaLabError as error:
        yield {"run_id": run_id, "note": str(error)}
        return
    yield {"run_id": run_id, "note": place.note}
    for place_in_list, file in enumerate(files):
        row: dict[str, Any] = {"run_id": run_id, "path": file.path, "size": file.size}
        if place_in_list >= KEPT_FILES:
            row["note"] = f"only the first {KEPT_FILES} files of a run were kept."
        else:
            try:
                row["file"] = keep(place.read_bytes(file.path, KEPT_BYTES + 1))
            except QualiaLabError as error:
                row["note"] = str(error)
        yield row


def kept_place(snapshot: SnapshotPlace, run_id: str, recorded_uri: str, rows: list[dict[str, Any]]) -> ArtifactPlace:
    """The artifacts of one run, of whose rows there is one at least."""
    beside = rows[0]["beside"]
    if beside is not None:
        return LocalPlace(run_id, recorded_uri, Path(beside) if beside else None)
    return _KeptArtifacts(snapshot, recorded_uri, rows)


class _KeptArtifacts:
    """The artifacts of one run, as far as the snapshot kept them."""

    def __init__(self, snapshot: SnapshotPlace, recorded_uri: str, rows: list[dict[str, Any]]) -> None:
        self.recorded_uri = recorded_uri
        self.note = " ".join(row["note"] for row in rows if row["path"] is None and row["note"])
        self._snapshot = snapshot
        self._rows = {row["path"]: row for row in rows if row["path"] is not None}

    def list_files(self) -> Iterator[ArtifactFile]:
        """See ArtifactPlace."""
        return (ArtifactFile(row["path"], row["size"]) for row in self._rows.values())

    def read_bytes(self, path: str, limit: int) -> bytes:
        """See ArtifactPlace."""
        row = self._rows.get(path)
        if row is None or row["file"] is None or not _NUMBER.fullmatch(row["file"]):
            raise StoreUnreadable(row["note"] or "" if row else f"There is no artifact {path}.", "")
        try:
            with self._snapshot.open(row["file"]) as file:
                data: bytes = file.read(limit)
        except FileNotFoundError as error:
            raise StoreUnreadable(f"The artifact {path} is not in the snapshot any more.", "Write it anew.") from error
        return data
