"""Execute a notebook: run its cells, then replace its file and its exports together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, ExportFailed, KernelNotStarted, NotebookError
from qualia_lab.escaping import one_line
from qualia_lab.files import check_writable, folder_of, write_files_atomically
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.notebook.deferred_grammars import deferred_grammars
from qualia_lab.notebook.export import check_formats, exported_files, page_paths
from qualia_lab.notebook.formats.pictures import remove_old_pictures
from qualia_lab.notebook.kernel import run_cells
from qualia_lab.notebook.kernel_environment import kernel_environment
from qualia_lab.settings import find_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_OUTPUT_CHARACTERS = 1_000_000


def execute_notebook(
    path: Path,
    *,
    data: bytes | None = None,
    formats: Sequence[str] = (),
    timeout: float = 600,
    snapshot_variables: Mapping[str, str] | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> Path:
    """Run every code cell of a notebook, and write the notebook with its outputs and its exports.

    Files are written only after all of them are complete: an interruption leaves either all old or all new files. If a
    cell fails, the notebook is written with the error and the outputs of the cells before it.

    Args:
        path: the file of the notebook.
        data: the notebook to run; None for the content of the file.
        formats: the export formats; exports are written next to the notebook.
        timeout: maximum seconds per cell.
        snapshot_variables: the environment variables of `hand_over_runs`, by which `load_runs` finds the snapshot.
        on_cell: called with (finished cells, total cells) at the start and after each cell, in another thread.

    Returns:
        The path of the notebook.

    Raises:
        NotebookError: the file is not a notebook, or was changed during the execution.
        OutputNotWritable: a file cannot be written; raised before any cell is run if possible.
        ExecutionFailed: a cell raised an exception, timed out or killed the kernel.
        KernelNotStarted: no cell was run, and nothing was written.
        ExportFailed: an export failed, the others and the notebook were written; or, before any cell is run, a format
            cannot be made here.
    """
    check_formats(formats)
    exports = page_paths(path, formats)
    for target in (path, *exports.values()):
        check_writable(target)
    before = path.read_bytes() if path.is_file() else None
    notebook = _read(path, before if data is None else data)
    failure: ExecutionFailed | ExportFailed | None = None
    try:
        environment = kernel_environment(os.environ, snapshot_variables or {}, find_settings().kernel_environment)
        with folder_of(path):  # in which cells run
            run_cells(notebook, path, timeout=timeout, environment=environment, on_cell=on_cell)
    except KernelNotStarted:
        raise
    except ExecutionFailed as error:
        failure = error
    for cell in notebook.cells:
        _truncate_outputs(cell)
    files = {path: notebook_bytes(notebook)}
    for fmt, target in exports.items():
        try:
            files |= exported_files(notebook, fmt, target)
        except ExportFailed as error:
            failure = failure or error
    _check_unchanged(path, before)
    write_files_atomically(files)
    remove_old_pictures(files)
    if failure is not None:
        raise failure
    return path


def _read(path: Path, data: bytes | None) -> Any:
    with deferred_grammars():
        import nbformat

    if data is None:
        raise NotebookError(f"There is no notebook at {path}.", "Check the path.")
    try:
        return nbformat.reads(data.decode("utf-8"), as_version=4)
    except Exception as error:
        raise NotebookError(
            f"{path} is not a notebook: {one_line(str(error), 120)}.", "Open it in Jupyter to see what is wrong."
        ) from error


def _check_unchanged(path: Path, before: bytes | None) -> None:
    """Raise NotebookError if the file was modified since it was read, since it may contain new edits."""
    if (path.read_bytes() if path.is_file() else None) != before:
        raise NotebookError(
            f"{path} was changed while its cells were running; the changed file is kept.",
            "Execute it again: the results of this run were discarded.",
        )


def _truncate_outputs(cell: Any) -> None:
    """Truncate the printed output of a cell to one million characters, with a note in the output."""
    for output in cell.get("outputs", ()):
        text = output.get("text")
        if isinstance(text, str) and len(text) > _OUTPUT_CHARACTERS:
            cut = f"\n[cut by qualia-lab: showing {_OUTPUT_CHARACTERS:,} of {len(text):,} characters]\n"
            output["text"] = text[:_OUTPUT_CHARACTERS] + cut
