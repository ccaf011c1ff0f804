"""The headline of an executed notebook, read from the output of its cell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qualia_lab.notebook.build import NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

KEY = "headline"  # of the cell whose output is the headline


def read_headline(notebook: Path) -> list[str]:
    """Return the sentences of the headline of an executed notebook; [] if it has none.

    Args:
        notebook: the file of the notebook.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        texts = [
            output["data"]["text/plain"]
            for cell in cells
            if cell["metadata"].get(NAMESPACE, {}).get("key") == KEY
            for output in cell.get("outputs", ())
            if "text/plain" in output.get("data", {})
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # edited by hand
        return []
    return [line for text in texts[:1] for line in "".join(text).splitlines() if line.strip()]
