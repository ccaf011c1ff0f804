"""Execute a notebook: run its cells, then replace its file and its exports together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExecutionFailed, ExportFailed, KernelNotStarted, NotebookError
from qualia_lab.escaping import one_line
from qualia_lab.files import check_writable, folder_of, locked_folder, write_files_atomically
from qualia_lab.notebook.build import notebook_bytes
from qualia_lab.notebook.deferred_grammars import deferred_grammars
from qualia_lab.notebook.export import check_formats, exported_files
from qualia_lab.notebook.export_paths import page_paths
from qualia_lab.notebook.formats.format import EVERYTHING
from qualia_lab.notebook.formats.pictures import remove_old_pictures
from qualia_lab.notebook.kernel import run_cells
from qualia_lab.notebook.kernel_environment import kernel_environment
from qualia_lab.notebook.parameters import run_ids_in
from qualia_lab.notebook.results import record_execution, results_of
from qualia_lab.settings import find_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from qualia_lab.analysis.changes import Results
    from qualia_lab.notebook.formats.format import Options

_OUTPUT_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Edit:
    """A notebook that replaces the content of a file when its cells have run.

    Attributes:
        data: the notebook to run.
        before: the content of the file that it was made from; None for what is there when it starts.
        finish: called with the notebook after its cells ran, to change it, and with what its outputs say; returns
            further files to write with it.
        options: what its exports contain.
    """

    data: bytes
    before: bytes | None = None
    finish: Callable[[dict[str, Any], Results], Mapping[Path, bytes]] | None = None
    options: Options = EVERYTHING


def execute_notebook(
    path: Path,
    *,
    edit: Edit | None = None,
    formats: Sequence[str] = (),
    timeout: float = 600,
    snapshot_variables: Mapping[str, str] | None = None,
    data_digest: str = "",
    on_cell: Callable[[int, int], None] | None = None,
    record: bool = True,
) -> Path:
    """Run every code cell of a notebook, and write the notebook with its outputs and its exports.

    Files are written only after all of them are complete: an interruption leaves either all old or all new files. If a
    cell fails, the notebook is written with the error and the outputs of the cells before it.

    Args:
        path: the file of the notebook.
        edit: what is run instead of the content of the file.
        formats: the export formats; exports are written next to the notebook.
        timeout: maximum seconds per cell.
        snapshot_variables: the environment variables of `hand_over_runs`, by which `load_runs` finds the snapshot.
        data_digest: a digest of the data of the runs, which a generated notebook records.
        on_cell: called with (finished cells, total cells) at the start and after each cell, in another thread.
        record: whether a generated notebook records when its cells ran, and what they said.

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
    if edit is not None and edit.before is not None:
        before = edit.before
    notebook = _read(path, before if edit is None else edit.data)
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
    results = _results(notebook, path)
    files = dict(edit.finish(notebook, results)) if edit is not None and edit.finish is not None else {}
    if record and failure is None:
        record_execution(notebook, exports=formats, data=data_digest, results=results)
    files[path] = notebook_bytes(notebook)
    for fmt, target in exports.items():
        try:
            files |= exported_files(notebook, fmt, target, EVERYTHING if edit is None else edit.options)
        except ExportFailed as error:
            failure = failure or error
    with locked_folder(path.parent):  # another process checks and writes before or after this one
        check_unchanged(path, before)
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


def _results(notebook: Any, path: Path) -> Results:
    """Return what the outputs of a notebook say now."""
    try:
        run_ids = run_ids_in(notebook["cells"], path)
    except NotebookError:  # a person's parameters cell may contain anything
        run_ids = ()
    return results_of(notebook["cells"], run_ids, when=datetime.now().astimezone().isoformat(timespec="seconds"))


def check_unchanged(path: Path, before: bytes | None) -> None:
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
