"""Gives the files of a snapshot names that follow from their content, so that equal data are equal files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.stores.snapshot.artifacts import ARTIFACT_ROWS
from qualia_lab.stores.snapshot.location import PARTS, open_location
from qualia_lab.stores.snapshot.manifest import Manifest, read_manifest
from qualia_lab.stores.snapshot.parts import ARTIFACT_STARTS, ARTIFACTS, read_table, write_file
from qualia_lab.stores.snapshot.update import publish

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    import pyarrow as pa

    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import File, Part

_NOT_READ = "Only the artifacts that the notebook reads were saved."
_READ_IN_PART = "Only the first bytes, which the notebook reads, were saved."


def fix_names(folder: Path, bytes_read: Mapping[str, int]) -> Manifest:
    """Rename the files of a snapshot for one notebook, and remove what the notebook has not read of artifacts.

    Artifacts that are removed are still listed, with their sizes.

    Args:
        folder: the snapshot, which nobody else reads.
        bytes_read: how many bytes the cells of the notebook have read of each file in the snapshot, by its name.

    Returns:
        The new manifest.
    """
    location = open_location(folder)
    manifest = read_manifest(location)
    fixed = replace(
        manifest,
        tables=tuple(_renamed(folder, file) for file in manifest.tables),
        parts=tuple(_fixed(folder, location, part, bytes_read) for part in manifest.parts),
    )
    publish(location, fixed)
    return fixed


def _fixed(folder: Path, location: SnapshotLocation, part: Part, bytes_read: Mapping[str, int]) -> Part:
    kept = {
        file.file: _renamed(folder, _truncated(folder, file, bytes_read[file.file]))
        for file in part.of(ARTIFACT_STARTS)
        if file.file in bytes_read
    }
    cut = {file.file for file in part.of(ARTIFACT_STARTS) if bytes_read.get(file.file, file.bytes) < file.bytes}
    files = [_renamed(folder, file) for file in part.files if file.table not in (ARTIFACTS, ARTIFACT_STARTS)]
    files += sorted({file.file: file for file in kept.values()}.values(), key=lambda file: file.file)
    if part.of(ARTIFACTS):
        rows = read_table(location, part.of(ARTIFACTS), ARTIFACT_ROWS)
        rows = _rows_of_kept({old: new.file for old, new in kept.items()}, cut, rows)
        files.append(_renamed(folder, write_file(location, ARTIFACTS, f"{PARTS}/{'0' * 32}.parquet", [rows])))
    name = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:32]
    return replace(part, name=name, files=tuple(files))


def _rows_of_kept(names: Mapping[str, str], cut: Container[str], rows: pa.Table) -> pa.Table:
    """The ARTIFACT_ROWS with the new names of the files, and a note where a file is removed or cut."""
    files = rows.column("file").to_pylist()
    notes = [
        note if file is None else _NOT_READ if file not in names else _READ_IN_PART if file in cut else note
        for file, note in zip(files, rows.column("note").to_pylist(), strict=True)
    ]
    for name, values in (("file", [names.get(file) for file in files]), ("note", notes)):
        index = ARTIFACT_ROWS.get_field_index(name)
        rows = rows.set_column(index, ARTIFACT_ROWS.field(name), column(values, schema.STRING))
    return rows


def _truncated(folder: Path, file: File, size: int) -> File:
    """Cut a file to this many bytes."""
    if file.bytes <= size:
        return file
    data = (folder / file.file).read_bytes()[:size]
    (folder / file.file).write_bytes(data)
    return replace(file, bytes=size, sha256=hashlib.sha256(data).hexdigest())


def _renamed(folder: Path, file: File) -> File:
    """Rename a file by its SHA-256. Of several files with the same content, one is left."""
    suffix = ".parquet" if file.file.endswith(".parquet") else ""
    name = f"{PARTS}/{file.sha256[:32]}{suffix}"
    (folder / file.file).replace(folder / name)
    return replace(file, file=name)
