"""Artifacts in a snapshot: the first bytes of each file, enough for every preview but not for model weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.errors import QualiaLabError, StoreUnreadable
from qualia_lab.stores.artifact_places import LocalPlace, as_local_place
from qualia_lab.stores.protocol import ArtifactFile
from qualia_lab.stores.snapshot.manifest import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import File

MAX_BYTES_PER_FILE = 5_000_000
MAX_FILES_PER_RUN = 200

# An environment variable with the path of a file to which a line for each reading is appended, of the file in the
# snapshot and the number of bytes, by which a command knows what the cells of a notebook read.
READ_FILES_VARIABLE = "QUALIA_LAB_READ_FILES"

# A row without a path is about the run: `beside` is the local folder in which its artifacts are searched ("": only
# where they were recorded), `note` a remark. Every other row is one artifact, with the name of the `file` in the
# snapshot that holds its first bytes. Its note says why there is no file, or that more bytes cannot be read.
ARTIFACT_ROWS = pa.schema(
    [*schema.ARTIFACTS, ("file", schema.STRING), ("note", schema.STRING), ("beside", schema.STRING)]
)


def save_artifacts(
    run_id: str, place: ArtifactPlace, save: Callable[[bytes], str], *, local: bool
) -> Iterator[dict[str, Any]]:
    """Save the artifacts of one run; files that cannot be read get a note instead.

    Args:
        run_id: the run.
        place: where its artifacts are.
        save: writes the start of a file and returns the name under which it was saved.
        local: whether artifacts on this machine are saved too; otherwise their folder is recorded.

    Returns:
        Rows of ARTIFACT_ROWS.
    """
    folder = as_local_place(place)
    if folder is not None and not local:
        yield {"run_id": run_id, "beside": str(folder.beside or "")}
        return
    try:
        files = list(place.list_files())
    except QualiaLabError as error:
        yield {"run_id": run_id, "note": str(error)}
        return
    yield {"run_id": run_id, "note": place.note}
    for index, file in enumerate(files):
        row: dict[str, Any] = {"run_id": run_id, "path": file.path, "size": file.size}
        if index >= MAX_FILES_PER_RUN:
            row["note"] = f"only the first {MAX_FILES_PER_RUN} files of a run were saved."
        else:
            try:
                row["file"] = save(place.read_bytes(file.path, MAX_BYTES_PER_FILE + 1))
            except QualiaLabError as error:
                row["note"] = str(error)
        yield row


def saved_artifact_place(
    snapshot: SnapshotLocation, run_id: str, recorded_uri: str, rows: list[dict[str, Any]], files: Mapping[str, File]
) -> ArtifactPlace:
    """The artifacts of one run, from its rows of ARTIFACT_ROWS, at least one, and the files that hold their starts."""
    beside = rows[0]["beside"]
    if beside is not None:
        return LocalPlace(run_id, recorded_uri, Path(beside) if beside else None)
    return _SavedArtifacts(snapshot, recorded_uri, rows, files)


class _SavedArtifacts:
    """The artifacts of one run that are saved in the snapshot."""

    def __init__(
        self, snapshot: SnapshotLocation, recorded_uri: str, rows: list[dict[str, Any]], files: Mapping[str, File]
    ) -> None:
        self.recorded_uri = recorded_uri
        self.note = " ".join(row["note"] for row in rows if row["path"] is None and row["note"])
        self._snapshot = snapshot
        self._starts = files
        self._rows = {row["path"]: row for row in rows if row["path"] is not None}

    def list_files(self) -> Iterator[ArtifactFile]:
        """See ArtifactPlace."""
        return (ArtifactFile(row["path"], row["size"]) for row in self._rows.values())

    def read_bytes(self, path: str, limit: int) -> bytes:
        """See ArtifactPlace."""
        row = self._rows.get(path)
        start = self._starts.get(row["file"]) if row else None
        if start is None:
            raise StoreUnreadable(row["note"] or "" if row else f"There is no artifact {path}.", "")
        try:
            data = read_file(self._snapshot, start)
        except FileNotFoundError as error:
            raise StoreUnreadable(f"The artifact {path} is no longer in the snapshot.", "Write it anew.") from error
        if log := os.environ.get(READ_FILES_VARIABLE):
            with Path(log).open("a", encoding="ascii") as file:
                file.write(f"{start.file} {limit}\n")
        if row and row["note"] and limit > len(data):
            raise StoreUnreadable(row["note"], "")
        return data[:limit]
