"""Verify a bundle: its files are as recorded, and its notebook gives the same outputs on its data."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.bundle.files import copy_file, open_bundle
from qualia_lab.bundle.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    BundleManifest,
    manifest_from_json,
    versions_here,
)
from qualia_lab.bundle.notebook import KERNEL
from qualia_lab.bundle.outputs import DifferentCell, different_cells
from qualia_lab.bundle.run import run_in_bundle
from qualia_lab.errors import BundleUnreadable, KernelNotStarted, NotebookError
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.notebook.export import export_notebook
from qualia_lab.notebook.read import read_notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from qualia_lab.bundle.files import BundleFiles

State = Literal["differs", "missing", "extra"]


@dataclass(frozen=True)
class WrongFile:
    """A file that is not as recorded.

    Attributes:
        file: its name; "" for the zip file itself.
        state: whether it differs, is missing, or is not in the manifest.
        what: what it holds or what is wrong, in a few words.
    """

    file: str
    state: State
    what: str


@dataclass(frozen=True)
class Verification:
    """The result of verifying a bundle.

    Attributes:
        files: the files that are not as recorded.
        executed: whether the notebook was executed; it is not if a file is wrong.
        failure: the error of a cell that failed; None if none did.
        cells: the cells whose outputs differ.
        versions: {name: (recorded, here)} of the versions that differ, which may be why figures do.
        compared: the number of files that were compared.
    """

    files: tuple[WrongFile, ...]
    executed: bool
    failure: str | None
    cells: tuple[DifferentCell, ...]
    versions: dict[str, tuple[str | None, str | None]]
    compared: int

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.files and self.failure is None and not self.cells


def verify_bundle(
    path: Path,
    *,
    execute: bool = True,
    timeout: float = 600,
    on_cell: Callable[[int, int], None] | None = None,
) -> Verification:
    """Verify a bundle, which is not changed: its notebook is executed in a temporary copy, if its files are right.

    Executing runs the code of the notebook with the rights of this process: only the network is refused to it.

    Args:
        path: the folder or the zip file.
        execute: also execute the notebook and compare its outputs and the page.
        timeout: maximum seconds per cell.
        on_cell: called with (finished cells, total cells), in another thread.

    Returns:
        What differs.

    Raises:
        BundleUnreadable: there is no bundle, or it cannot be read safely.
        KernelNotStarted: the notebook could not be executed.
    """
    with tempfile.TemporaryDirectory(prefix="qualia-lab-verify-") as temporary:
        copy = Path(temporary) / "bundle"
        copy.mkdir()
        try:
            with open_bundle(path) as files:
                manifest, wrong = _compare_files(files, copy)
        except OSError as error:
            raise BundleUnreadable(f"{path} cannot be read: {error}.", "Ask for another copy of the bundle.") from error
        failure: str | None = None
        cells: list[DifferentCell] = []
        runs = execute and manifest is not None and not wrong
        if runs and manifest is not None:
            try:
                wrong = _compare_page(copy, manifest)
                failure, cells = _compare_outputs(copy / manifest.notebook, timeout=timeout, on_cell=on_cell)
            except KernelNotStarted:
                raise
            except NotebookError as error:  # a notebook that nobody could open, with the right hash
                wrong = [WrongFile(manifest.notebook, "differs", _without_folder(error.message, copy))]
                runs = False
        return Verification(
            files=tuple(wrong),
            executed=runs,
            failure=failure,
            cells=tuple(cells),
            versions={} if manifest is None else _different_versions(manifest.versions),
            compared=0 if manifest is None else len(manifest.files) + 1,
        )


def _compare_files(files: BundleFiles, copy: Path) -> tuple[BundleManifest | None, list[WrongFile]]:
    """Copy the files of a bundle that its manifest lists, and compare them; None if the manifest is damaged."""
    if files.names[MANIFEST] > MAX_MANIFEST_BYTES:
        return None, [WrongFile(MANIFEST, "differs", "it is too large")]
    copy_file(files, MANIFEST, copy)
    data = (copy / MANIFEST).read_bytes()
    try:
        manifest = manifest_from_json(data)
    except BundleUnreadable as error:
        return None, [WrongFile(MANIFEST, "differs", error.message.rstrip("."))]
    wrong = []
    if manifest.to_json() != data:
        wrong.append(WrongFile(MANIFEST, "differs", "it was changed since it was written"))
    recorded = {file.file: file for file in manifest.files}
    for name, file in recorded.items():
        what = "" if file.table is None else f"the table {file.table}"
        if name not in files.names:
            wrong.append(WrongFile(name, "missing", what))
        elif files.names[name] != file.bytes or copy_file(files, name, copy) != file.sha256:
            wrong.append(WrongFile(name, "differs", what))
    wrong += [WrongFile(name, "missing", "") for name in (manifest.notebook, manifest.page) if name not in recorded]
    extra = [*sorted(files.names.keys() - recorded.keys() - {MANIFEST}), *files.others]
    wrong += [WrongFile(name, "extra", "") for name in extra]
    if not wrong and (damage := files.damage(copy)) is not None:
        wrong.append(WrongFile("", "differs", damage))
    return manifest, wrong


def _without_folder(message: str, folder: Path) -> str:
    """A message that names the file of a temporary copy, without the folder and the full stop."""
    return message.replace(f"{folder}{os.sep}", "").rstrip(".")


def _compare_page(copy: Path, manifest: BundleManifest) -> list[WrongFile]:
    """Make the page of the recorded notebook again, and compare it with the recorded one."""
    again = copy.with_name("page.html")
    export_notebook(copy / manifest.notebook, ["html"], output=again)
    if again.read_bytes() == (copy / manifest.page).read_bytes():
        return []
    return [WrongFile(manifest.page, "differs", f"it is not the page of {manifest.notebook}")]


def _compare_outputs(
    notebook: Path, *, timeout: float, on_cell: Callable[[int, int], None] | None
) -> tuple[str | None, list[DifferentCell]]:
    """Execute the copy of the notebook; the error of a failed cell, and the cells whose outputs differ."""
    recorded = read_notebook(notebook)
    failure = run_in_bundle(notebook, notebook_bytes(_without_outputs(recorded)), timeout=timeout, on_cell=on_cell)
    return (None if failure is None else failure.message), different_cells(recorded, read_notebook(notebook))


def _without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook for the kernel of this Python, whichever it names, without the recorded outputs."""
    cells = [
        cell | {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell
        for cell in notebook["cells"]
    ]
    return {**notebook, "metadata": notebook["metadata"] | {"kernelspec": KERNEL}, "cells": cells}


def _different_versions(recorded: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """{name: (recorded, here)} where they differ."""
    here = versions_here()
    names = dict.fromkeys((*recorded, *here))
    return {name: (recorded.get(name), here.get(name)) for name in names if recorded.get(name) != here.get(name)}
