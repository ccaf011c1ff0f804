"""HTML: the page, a single file that works offline and runs no scripts from the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.formats.format import Format, title_of
from qualia_lab.notebook.formats.without_code import shown_part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Options


def page_of(notebook: Mapping[str, Any], target: Path, options: Options, *, reload: float | None = None) -> str:
    """Return the page of a notebook.

    Args:
        notebook: the notebook.
        target: the path of the export.
        options: what the page contains.
        reload: after how many seconds it opens itself again, see `render_page`.
    """
    from qualia_lab.notebook.page.render import render_page

    return render_page(shown_part(notebook, options), title=title_of(notebook, target), reload=reload)


def _files(notebook: Mapping[str, Any], target: Path, options: Options) -> dict[Path, bytes]:
    return {target: page_of(notebook, target, options, reload=options.reload).encode("utf-8", "replace")}


FORMAT = Format("html", "one file, works offline", _files)
