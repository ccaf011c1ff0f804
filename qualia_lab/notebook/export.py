"""Export a notebook to other formats: each is a module of `formats`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExportFailed
from qualia_lab.escaping import one_line
from qualia_lab.files import check_writable, write_atomically, write_files_atomically
from qualia_lab.notebook.export_paths import page_paths
from qualia_lab.notebook.formats import FORMATS
from qualia_lab.notebook.formats.format import EVERYTHING
from qualia_lab.notebook.formats.pictures import remove_old_pictures
from qualia_lab.notebook.page.render import render_page
from qualia_lab.notebook.read import read_notebook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Options


def export_notebook(
    notebook: Path, formats: Sequence[str], *, output: Path | None = None, options: Options = EVERYTHING
) -> list[Path]:
    """Export the file of a notebook to other formats; all files are written together, when all are complete.

    Args:
        notebook: the file of the notebook.
        formats: the formats, see `formats.FORMATS`.
        output: the file to write for a single format; by default each is beside the notebook.
        options: what the exports contain.

    Returns:
        The paths of the exports, in the order of the formats. Pictures of a Markdown file are in a folder beside it.

    Raises:
        ExportFailed: a format is unknown or cannot be made here, or the notebook cannot be read or exported.
        OutputNotWritable: a file cannot be written.
    """
    check_formats(formats, options)
    targets = page_paths(notebook, formats) if output is None else dict.fromkeys(formats, output)
    for target in targets.values():
        check_writable(target)
    node = read_notebook(notebook)
    files: dict[Path, bytes] = {}
    for fmt, target in targets.items():
        files |= exported_files(node, fmt, target, options)
    write_files_atomically(files)
    remove_old_pictures(files)
    return list(targets.values())


def check_formats(formats: Sequence[str], options: Options = EVERYTHING) -> None:
    """Raise ExportFailed for an unknown format, one that cannot be made on this machine, or unfit options."""
    for fmt in formats:
        if fmt not in FORMATS:
            raise ExportFailed(f"Unknown export format: {one_line(fmt, 40)!r}.", f"Formats: {', '.join(FORMATS)}.")
        FORMATS[fmt].check()
    if options.brief and tuple(formats) != ("md",):
        raise ExportFailed("Only Markdown has a brief form.", "Use --to md --brief.")
    if not options.code and "py" in formats:
        raise ExportFailed("A Python script without code would be empty.", "Leave out --no-code, or the format py.")


def exported_files(
    notebook: Mapping[str, Any], fmt: str, target: Path, options: Options = EVERYTHING
) -> Mapping[Path, bytes]:
    """Return the files of an export by their paths, without writing them.

    Args:
        notebook: a notebook of nbformat 4, with texts as strings.
        fmt: the format.
        target: the path of the export.
        options: what it contains.

    Raises:
        ExportFailed: the notebook cannot be exported.
    """
    try:
        return FORMATS[fmt].files(notebook, target, options)
    except ExportFailed:
        raise
    except Exception as error:
        message = f"The notebook could not be exported as {fmt}: {one_line(str(error) or type(error).__name__, 200)}"
        raise ExportFailed(message, "The notebook itself is not affected.") from error


def export_html(notebook: Mapping[str, Any], output: Path, *, title: str) -> Path:
    """Write a notebook node (nbformat 4) as a single HTML file that makes no requests. Raises OutputNotWritable."""
    return write_atomically(output, render_page(notebook, title=title).encode("utf-8", "replace"))
