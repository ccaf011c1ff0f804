"""The headline of an executed notebook, read from the output of its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.errors import ExportFailed
from qualia_lab.notebook.generated import cell_key
from qualia_lab.notebook.read import read_notebook

if TYPE_CHECKING:
    from pathlib import Path

KEY = "headline"  # of the cell whose output is the headline


def read_headline(notebook: Path) -> list[str]:
    """Return the sentences of the headline of an executed notebook; [] if it has none.

    Args:
        notebook: the file of the notebook.
    """
    try:
        cells = read_notebook(notebook)["cells"]
    except ExportFailed:  # edited by hand
        return []
    texts = [
        output["data"]["text/plain"]
        for cell in cells
        if cell_key(cell) == KEY
        for output in cell.get("outputs", ())
        if "text/plain" in output.get("data", {})
    ]
    return [line for text in texts[:1] for line in text.splitlines() if line.strip()]
