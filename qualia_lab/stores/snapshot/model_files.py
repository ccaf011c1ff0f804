"""The MLmodel files of logged models in a snapshot: where they are on this machine, or their first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.errors import QualiaLabError, StoreUnreadable
from qualia_lab.stores.artifact_places import LocalPlace, as_local_place
from qualia_lab.stores.protocol import ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.stores.protocol import ArtifactPlace

MODEL_FILES = "model_files"
FILE_NAME = "MLmodel"  # as MLflow calls it
MOST_BYTES = 1_000_000

# `beside` is the local folder in which the artifacts of the model are searched ("": only where they were recorded).
# Other models have the `start` of their file, a character for each byte, or a `note` that says why it was not read.
MODEL_FILE_ROWS = pa.schema([(name, schema.STRING) for name in ("model_id", "beside", "note", "start")])
_BYTES = "latin-1"  # the encoding that has each byte as a character


def save_model_file(model_id: str, place: ArtifactPlace, *, standalone: bool) -> dict[str, Any]:
    """A row of MODEL_FILE_ROWS.

    Args:
        model_id: the model.
        place: where its artifacts are.
        standalone: whether files on this machine are saved too; otherwise their folder is recorded.
    """
    folder = as_local_place(place)
    if folder is not None and not standalone:
        return {"model_id": model_id, "beside": str(folder.beside or "")}
    try:
        return {"model_id": model_id, "start": place.read_bytes(FILE_NAME, MOST_BYTES + 1).decode(_BYTES)}
    except QualiaLabError as error:
        return {"model_id": model_id, "note": str(error)}


def saved_model_place(row: Mapping[str, Any], recorded_uri: str) -> ArtifactPlace:
    """Where the artifacts of a model are, from its row of MODEL_FILE_ROWS."""
    if row["beside"] is not None:
        return LocalPlace(row["model_id"], recorded_uri, Path(row["beside"]) if row["beside"] else None)
    start = row["start"]
    return _SavedModelFile(recorded_uri, row["note"] or "", None if start is None else start.encode(_BYTES))


@dataclass
class _SavedModelFile:
    """The MLmodel file of a logged model that is saved in the snapshot."""

    recorded_uri: str
    note: str
    start: bytes | None

    def list_files(self) -> Iterator[ArtifactFile]:
        """See ArtifactPlace."""
        return iter(() if self.start is None else (ArtifactFile(FILE_NAME, len(self.start)),))

    def read_bytes(self, path: str, limit: int) -> bytes:
        """See ArtifactPlace."""
        if self.start is None or path != FILE_NAME:
            raise StoreUnreadable(self.note or f"Of the artifacts of this model only {FILE_NAME} was saved.", "")
        return self.start[:limit]
