"""A notebook for readers: without the source of code cells, and without the cells that only prepare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.page.sections import section_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.notebook.formats.format import Options

# Sections that show nothing but code, and how to change it.
_ONLY_CODE = frozenset(
    prefix + name for prefix in ("", "aggregate_") for name in ("setup", "configuration", "exploration")
)


def shown_part(notebook: Mapping[str, Any], options: Options) -> Mapping[str, Any]:
    """Return the notebook as an export shows it: whole, or without code."""
    return notebook if options.code else without_code(notebook)


def without_code(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook whose code cells have outputs only; the notebook itself is not changed."""
    cells = [
        {**cell, "source": ""} if cell["cell_type"] == "code" else cell
        for cell in notebook["cells"]
        if section_name(cell) not in _ONLY_CODE and (cell["cell_type"] != "code" or cell.get("outputs"))
    ]
    return {**notebook, "cells": cells}
