"""Execute a notebook: its cells run first, and then its file and its pages are replaced together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, ExportFailed, KernelNotStarted, NotebookError
from qualia_lab.escaping import one_line
from qualia_lab.files import check_writable, folder_of, write_files_atomically
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.notebook.export import check_format, page_of
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
    handed: Mapping[str, str] | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> Path:
    """Run every code cell of a notebook and write it with its outputs, and its exports beside it; the notebook's path.

    Until all of them are there nothing is written: an interruption at any moment leaves the files as they were, or all
    of them new. A failing cell is a result too, and is written with what ran before it.

    Args:
        path: the notebook's file.
        data: the notebook that is run; None for what is in the file.
        formats: of exports beside the notebook.
        timeout: seconds that a cell may take.
        handed: the variables of `handed_over`, by which `load_runs` finds the runs.
        on_cell: called with (cells done, cells in all) at the start and after each cell, in another thread.

    Raises:
        NotebookError: the file is no notebook, or was changed by somebody else meanwhile.
        OutputNotWritable: a file cannot be written, before any cell is run where that can be known.
        ExecutionFailed: a cell raised, ran out of time or killed the kernel.
        KernelNotStarted: no cell ran, and nothing was written.
        ExportFailed: an export could not be made; the notebook was written.
    """
    for fmt in formats:
        check_format(fmt)
    pages = {fmt: path.with_suffix(f".{fmt}") for fmt in formats}
    for one in (path, *pages.values()):
        check_writable(one)
    before = path.read_bytes() if path.is_file() else None
    notebook = _read(path, before if data is None else data)
    failure: ExecutionFailed | ExportFailed | None = None
    try:
        environment = kernel_environment(os.environ, handed or {}, find_settings().kernel_environment)
        with folder_of(path):  # in which cells run
            run_cells(notebook, path, timeout=timeout, environment=environment, on_cell=on_cell)
    except KernelNotStarted:
        raise
    except ExecutionFailed as error:
        failure = error
    for cell in notebook.cells:
        _cap_outputs(cell)
    files = {path: notebook_bytes(notebook)}
    try:
        files |= {page: page_of(notebook, title=notebook.metadata.get("title") or path.stem) for page in pages.values()}
    except ExportFailed as error:
        failure = failure or error
    _check_unchanged(path, before)
    write_files_atomically(files)
    if failure is not None:
        raise failure
    return path


def _read(path: Path, data: bytes | None) -> Any:
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
    """Raise NotebookError when somebody has written to the file since it was read: it may hold a cell of theirs."""
    if (path.read_bytes() if path.is_file() else None) != before:
        raise NotebookError(
            f"{path} was changed while its cells ran, and is left as it is now.",
            "Execute it again: the results are lost.",
        )


def _cap_outputs(cell: Any) -> None:
    """Cut what a cell printed to a size a notebook can carry, and say so in the output."""
    for output in cell.get("outputs", ()):
        text = output.get("text")
        if isinstance(text, str) and len(text) > _OUTPUT_CHARACTERS:
            cut = f"\n[cut by qualia-lab: showing {_OUTPUT_CHARACTERS:,} of {len(text):,} characters]\n"
            output["text"] = text[:_OUTPUT_CHARACTERS] + cut
