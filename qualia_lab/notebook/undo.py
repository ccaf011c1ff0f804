"""The files as they were before each refresh, in a folder beside the notebook, to be given back."""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.errors import NotebookError
from qualia_lab.files import locked_folder, write_files_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MOST_STEPS = 10

_FOLDER = ".qualia"
_STEP = re.compile(r"(\d{1,9})\.zip")
_UNDONE = re.compile(r"undone-(\d{1,9})\.ipynb")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of members, so that equal content gives equal bytes


class Undone(NamedTuple):
    """What an undo did.

    Attributes:
        files: the files that were given back.
        kept: where the notebook is that they replaced.
        left: the number of steps that can still be undone.
    """

    files: list[Path]
    kept: Path
    left: int


def undo_step(notebook: Path, contents: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """Return the files that keep the present content of a notebook and its exports, to be written with the new ones.

    Args:
        notebook: the file of the notebook.
        contents: the content of it and of its exports; all are in the same folder.
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            archive.writestr(zipfile.ZipInfo(path.name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    folder = _folder(notebook)
    number = max(_numbers(notebook, _STEP), default=0) + 1
    files = {folder / f"{number}.zip": data.getvalue()}
    ignored = folder.parent / ".gitignore"  # copies of notebooks do not belong in a repository
    return files if ignored.exists() else {**files, ignored: b"*\n"}


def remove_old_steps(notebook: Path) -> None:
    """Remove all steps of a notebook but the last ones, and all that were undone but the last ones."""
    for pattern in (_STEP, _UNDONE):
        paths = _numbers(notebook, pattern)
        for number in sorted(paths)[:-MOST_STEPS]:
            with contextlib.suppress(OSError):
                paths[number].unlink()


def undo(notebook: Path, exports: Iterable[Path]) -> Undone:
    """Give back the bytes of a notebook and its exports as they were before the last refresh.

    Args:
        notebook: the file of the notebook.
        exports: the files that a step may contain besides it.

    Returns:
        What was done; the notebook as it was until now is kept in a file, with the edits since the refresh.

    Raises:
        NotebookError: nothing can be undone.
        OutputNotWritable: a file cannot be written; then none is.
    """
    with locked_folder(notebook.parent):
        present = notebook.read_bytes() if notebook.is_file() else b""
        steps = _numbers(notebook, _STEP)
        for number in sorted(steps, reverse=True):
            step = steps.pop(number)
            contents = _contents(step, [notebook, *exports])
            # A refresh that was killed before it replaced the notebook has left the content that is there.
            if notebook in contents and contents[notebook] != present:
                kept = _folder(notebook) / f"undone-{max(_numbers(notebook, _UNDONE), default=0) + 1}.ipynb"
                write_files_atomically({kept: present, **contents})
                step.unlink()
                return Undone(list(contents), kept, len(steps))
            step.unlink()
    raise NotebookError(
        f"There is nothing to undo for {notebook}.",
        f"qualia refresh keeps the last {MOST_STEPS} versions, from now on.",
    )


def _contents(step: Path, expected: Iterable[Path]) -> dict[Path, bytes]:
    """Return the content of the expected files in a step; other names in it are ignored."""
    try:
        with zipfile.ZipFile(step) as archive:
            names = set(archive.namelist())
            return {path: archive.read(path.name) for path in expected if path.name in names}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise NotebookError(f"{step} is damaged: {error}.", "Remove it, and undo the step before it.") from error


def _numbers(notebook: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    """Return the files of a notebook whose names match, by the number in the name."""
    found = [(pattern.fullmatch(path.name), path) for path in _folder(notebook).glob("*")]
    return {int(match[1]): path for match, path in found if match}


def _folder(notebook: Path) -> Path:
    return notebook.parent / _FOLDER / notebook.name
