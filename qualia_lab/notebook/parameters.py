"""The values of a notebook's `parameters` cell, read without running it."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import NotebookError

if TYPE_CHECKING:
    from pathlib import Path


def read_parameters(path: Path) -> dict[str, Any]:
    """The literals assigned in the cells tagged `parameters` or `injected-parameters`, later ones winning.

    Lines that are not `NAME = literal` are passed over. Raises NotebookError when the file is no notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [
            "".join(cell["source"])
            for cell in cells
            if {"parameters", "injected-parameters"} & set(cell["metadata"].get("tags", ()))
        ]
    except FileNotFoundError as error:
        raise NotebookError(f"There is no notebook at {path}.", "Check the path.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotebookError(f"{path} is not a notebook.", "Open it in Jupyter to see what is wrong.") from error
    values: dict[str, Any] = {}
    for source in sources:
        values |= _literals(source)
    return values


def _literals(source: str) -> dict[str, Any]:
    """The assignments of a source that are literals."""
    found: dict[str, Any] = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return found
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                continue
    return found
