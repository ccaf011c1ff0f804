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
    from collections.abc import Container
    from pathlib import Path

    import pyarrow as pa

    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.stores.snapshot.manifest import File, Part

_NOT_READ = "Only the artifacts that the notebook reads were saved."


def fix_names(folder: Path, read_files: Container[str]) -> Manifest:
    """Rename the files of a snapshot for one notebook, and remove the artifacts that the notebook has not read.

    Artifacts that are removed are still listed, with their sizes.

    Args:
        folder: the snapshot, which nobody else reads.
        read_files: the names of the files in the snapshot that the cells of the notebook have read.

    Returns:
        The new manifest.
    """
    location = open_location(folder)
    manifest = read_manifest(location)
    fixed = replace(
        manifest,
        tables=tuple(_renamed(folder, file) for file in manifest.tables),
        parts=tuple(_fixed(folder, location, part, read_files) for part in manifest.parts),
    )
    publish(location, fixed)
    return fixed


def _fixed(folder: Path, location: SnapshotLocation, part: Part, read_files: Container[str]) -> Part:
    starts = {file.file: _renamed(folder, file) for file in part.of(ARTIFACT_STARTS) if file.file in read_files}
    names = {old: new.file for old, new in starts.items()}
    files = [_renamed(folder, file) for file in part.files if file.table not in (ARTIFACTS, ARTIFACT_STARTS)]
    files += sorted({file.file: file for file in starts.values()}.values(), key=lambda file: file.file)
    if part.of(ARTIFACTS):
        rows = _rows_with_names(read_table(location, part.of(ARTIFACTS), ARTIFACT_ROWS), names)
        files.append(_renamed(folder, write_file(location, ARTIFACTS, f"{PARTS}/{'0' * 32}.parquet", [rows])))
    name = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()[:32]
    return replace(part, name=name, files=tuple(files))


def _rows_with_names(rows: pa.Table, names: dict[str, str]) -> pa.Table:
    """The ARTIFACT_ROWS with the new names of the files; those without a new name get a note instead."""
    files, notes = (rows.column(name).to_pylist() for name in ("file", "note"))
    notes = [
        _NOT_READ if file is not None and file not in names else note for file, note in zip(files, notes, strict=True)
    ]
    for name, values in (("file", [names.get(file) for file in files]), ("note", notes)):
        index = ARTIFACT_ROWS.get_field_index(name)
        rows = rows.set_column(index, ARTIFACT_ROWS.field(name), column(values, schema.STRING))
    return rows


def _renamed(folder: Path, file: File) -> File:
    """Rename a file by its SHA-256. Of several files with the same content, one is left."""
    suffix = ".parquet" if file.file.endswith(".parquet") else ""
    name = f"{PARTS}/{file.sha256[:32]}{suffix}"
    (folder / file.file).replace(folder / name)
    return replace(file, file=name)
