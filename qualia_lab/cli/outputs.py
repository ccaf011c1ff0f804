"""Which files a command has written, who made them, and what to do next."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from qualia_lab import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Format


def show_outputs(notebook: Path, formats: Sequence[str], *, headline: bool = True) -> None:
    """Print the paths of a notebook and its exports on stdout; then its headline and what to do next, as messages."""
    from qualia_lab.notebook.export_paths import page_paths
    from qualia_lab.notebook.headline import read_headline

    show_exports([notebook, *page_paths(notebook, formats).values()], ["", *formats])
    for sentence in read_headline(notebook) if headline else ():
        console.sentence(sentence, is_message=True)
    console.say(f"next: {_next_step(notebook, formats)}")


def show_exports(paths: Sequence[Path], formats: Sequence[str]) -> None:
    """Print paths on stdout, with descriptions on a terminal; and which program made a file, if it was another one.

    Args:
        paths: the files that were written.
        formats: the format of each; "" for the notebook.
    """
    known: Mapping[str, Format] = {}
    if any(formats):  # what makes exports takes a while to import
        from qualia_lab.notebook import formats as writers

        known = writers.FORMATS
    width = max(len(str(path)) for path in paths)
    for path, fmt in zip(paths, formats, strict=True):
        description = known[fmt].description if fmt else "the notebook"
        console.show(f"{path!s:{width}}    {description}" if sys.stdout.isatty() else str(path))
    for path, fmt in zip(paths, formats, strict=True):
        maker = known[fmt].made_by() if fmt else ""
        if maker:
            console.say(f"{path} was made by {maker}.")


def _next_step(path: Path, formats: Sequence[str]) -> str:
    """How to open the notebook, also without JupyterLab."""
    from qualia_lab.escaping import for_shell
    from qualia_lab.notebook.export_paths import page_paths

    notebook = for_shell(str(path))
    if find_spec("jupyterlab") is not None or shutil.which("jupyter-lab") is not None:
        return f"jupyter lab {notebook}"
    if "html" in formats:
        page = page_paths(path, formats)["html"]
        return f"open {page} in a browser, or pip install jupyterlab, then jupyter lab {notebook}"
    return f"pip install jupyterlab, then jupyter lab {notebook}; or for a page: qualia execute {notebook} --to html"
