"""Write a bundle: a notebook, executed on a snapshot of exactly what it uses, its page, a manifest and a README."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qualia_lab.bundle.data import write_data
from qualia_lab.bundle.manifest import (
    DATA,
    MANIFEST,
    MAX_BYTES,
    MAX_FILES,
    README,
    BundledFile,
    BundleManifest,
)
from qualia_lab.bundle.notebook import notebook_for_bundle
from qualia_lab.bundle.outputs import DifferentCell, different_cells
from qualia_lab.bundle.place import check_place, put_bundle
from qualia_lab.bundle.readme import readme_text
from qualia_lab.bundle.run import run_in_bundle
from qualia_lab.counts import counted
from qualia_lab.errors import NotebookError
from qualia_lab.escaping import for_filename
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.notebook.export import export_notebook
from qualia_lab.notebook.parameters import privacy_in, read_parameters
from qualia_lab.notebook.read import read_notebook
from qualia_lab.settings import find_settings, open_given_store
from qualia_lab.stores.masked import left_out_of
from qualia_lab.stores.snapshot.artifacts import READ_FILES_VARIABLE
from qualia_lab.stores.snapshot.fixed_names import fix_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.stores.snapshot.manifest import Manifest

_NOT_WRITTEN = (
    "No bundle was written: its cells have qualia-lab and the data of the notebook's runs, but no other "
    "files, no store and no network."
)
_NAMES_THE_STORE = "client"  # the key of a generated cell, whose output is the tracking URI


@dataclass(frozen=True)
class WrittenBundle:
    """A bundle that was written.

    Attributes:
        path: the folder or the zip file.
        manifest: what it holds.
        bytes: the size of its files.
        changed: the cells whose outputs differ from those in the notebook that it was made from.
        left_out: sentences on people's words that are not in it.
    """

    path: Path
    manifest: BundleManifest
    bytes: int
    changed: tuple[DifferentCell, ...]
    left_out: tuple[str, ...] = ()


def write_bundle(
    notebook: Path,
    output: Path | None = None,
    *,
    tracking_uri: str,
    force: bool = False,
    timeout: float = 600,
    on_cell: Callable[[int, int], None] | None = None,
) -> WrittenBundle:
    """Write a bundle of a notebook. The same notebook and store give the same bytes.

    The runs are read anew, and the cells are executed on them without store and network, so that all outputs in the
    bundle follow from the data in it. The notebook itself is not changed.

    Args:
        notebook: the file of the notebook.
        output: the folder, or the file ending in .zip; by default a zip file beside the notebook.
        tracking_uri: the tracking URI of the store, as `open_store` takes it.
        force: replace an existing file, or a folder that is a bundle.
        timeout: maximum seconds per cell.
        on_cell: called with (finished cells, total cells), in another thread.

    Returns:
        The bundle that was written.

    Raises:
        NotebookError: the notebook has no run ids, uses an engine, holds a secret, or its data are too large.
        OutputExists: there is something at the output, and `force` is False.
        OutputNotWritable: the output cannot be written.
        UnknownRun: the store has none of the runs.
        NoTraceMatches: the store has none of the traces.
        StoreError: the store cannot be read.
        ExecutionFailed: a cell failed on the data of the bundle; nothing was written.
    """
    target = output or notebook.with_suffix(".zip")
    check_place(target, force=force)
    content = notebook_for_bundle(notebook, find_settings().masking)
    name = for_filename(notebook.stem)
    with tempfile.TemporaryDirectory(prefix="qualia-lab-bundle-") as temporary:
        folder, log = Path(temporary) / name, Path(temporary) / "read"
        folder.mkdir()
        with open_given_store(tracking_uri, **privacy_in(read_parameters(notebook))) as store:
            manifest = write_data(folder, notebook, content, store)
            left_out = left_out_of(store)
        copy = folder / manifest.notebook
        variables = {READ_FILES_VARIABLE: str(log)}
        failure = run_in_bundle(copy, notebook_bytes(content), timeout=timeout, on_cell=on_cell, variables=variables)
        if failure is not None:
            failure.hint = _NOT_WRITTEN
            raise failure
        data = fix_names(folder / DATA, _bytes_read(log))
        export_notebook(copy, ["html"])
        manifest = replace(manifest, rows=data.counts())
        (folder / README).write_text(readme_text(manifest), encoding="utf-8", newline="\n")
        manifest = manifest_of_files(folder, manifest, data)
        _check_size(notebook, manifest)
        (folder / MANIFEST).write_bytes(manifest.to_json())
        changed = _changed(read_notebook(notebook), read_notebook(copy))
        put_bundle(folder, target)
    return WrittenBundle(target, manifest, sum(file.bytes for file in manifest.files), changed, left_out)


def manifest_of_files(folder: Path, manifest: BundleManifest, data: Manifest) -> BundleManifest:
    """The manifest with all files that are in the folder.

    Args:
        folder: the folder of the bundle.
        manifest: the other fields.
        data: the manifest of the snapshot, which says which table a file holds.
    """
    table_of = {f"{DATA}/{file.file}": file.table for file in data.files()}
    files = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            files.append(BundledFile(name, path.stat().st_size, sha256, table_of.get(name)))
    return replace(manifest, files=tuple(sorted(files, key=lambda file: file.file)))


def _bytes_read(log: Path) -> dict[str, int]:
    """The most bytes that were read of each file, from the file of READ_FILES_VARIABLE."""
    most: dict[str, int] = {}
    for line in log.read_text(encoding="ascii").splitlines() if log.exists() else ():
        name, _, limit = line.partition(" ")
        most[name] = max(most.get(name, 0), int(limit))
    return most


def _changed(before: dict[str, Any], bundled: dict[str, Any]) -> tuple[DifferentCell, ...]:
    """The cells that had outputs and have other ones now, besides the cell that names the store."""
    had = [number for number, cell in enumerate(before["cells"], start=1) if cell.get("outputs")]
    return tuple(
        cell for cell in different_cells(before, bundled) if cell.number in had and cell.key != _NAMES_THE_STORE
    )


def _check_size(notebook: Path, manifest: BundleManifest) -> None:
    size = sum(file.bytes for file in manifest.files)
    if size > MAX_BYTES or len(manifest.files) >= MAX_FILES:
        raise NotebookError(
            f"A bundle of {notebook} would have {counted(len(manifest.files), 'file')} and {size / 1e6:,.0f} MB; "
            f"it can have {MAX_FILES:,} files and {MAX_BYTES / 1e6:,.0f} MB.",
            "Choose fewer runs." if manifest.run_ids else "Choose fewer traces, for example with --limit or --since.",
        )
