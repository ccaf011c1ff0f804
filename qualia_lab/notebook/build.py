"""A plan becomes a notebook: a plain dict of nbformat 4.5, made without importing nbformat (it takes seconds)."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__

if TYPE_CHECKING:
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.sections.section import PlannedCell

# Tags of Jupyter Book: a cell's source, or the whole cell, is folded away. JupyterLab folds what `source_hidden` says.
HIDDEN = frozenset({"hide-input", "hide-cell"})

# The one namespace of ours, in the metadata of a cell and of the notebook.
NAMESPACE = "qualia_lab"


def build_notebook(plan: NotebookPlan) -> dict[str, Any]:
    """The notebook of a plan, not yet executed. The same plan gives the same notebook."""
    ids: set[str] = set()
    cells = [_cell(cell, ids) for cell in plan.cells]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "version": platform.python_version(), "file_extension": ".py"},
            "title": plan.title,
            # The sources as they were generated: what a refresh compares a person's edits with.
            NAMESPACE: {
                "version": __version__,
                "template": plan.template,
                "base": {cell.key: cell.source for cell in plan.cells},
            },
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """The notebook as Jupyter writes it: JSON, one space of indent, a line per line of source, a final newline."""
    return (json.dumps(notebook, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode(
        "utf-8", "backslashreplace"
    )


def digest(source: str) -> str:
    """What tells whether a generated source was touched."""
    return hashlib.sha256(source.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _cell(planned: PlannedCell, ids: set[str]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": planned.kind,
        "id": _cell_id(planned.key, ids),
        "metadata": {NAMESPACE: {"key": planned.key, "digest": digest(planned.source)}},
        "source": planned.source.splitlines(keepends=True),
    }
    if planned.tags:
        cell["metadata"]["tags"] = list(planned.tags)
    if planned.kind == "code" and not HIDDEN.isdisjoint(planned.tags):
        cell["metadata"]["jupyter"] = {"source_hidden": True}
    if planned.kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def _cell_id(key: str, ids: set[str]) -> str:
    """An id of nbformat's alphabet and length, the key itself where that is possible, and no id twice."""
    cell_id = re.sub(r"[^A-Za-z0-9_-]+", "-", key)[:64] or "cell"
    if cell_id in ids:
        cell_id = f"{cell_id[:47]}-{digest(key)}"
    ids.add(cell_id)
    return cell_id
