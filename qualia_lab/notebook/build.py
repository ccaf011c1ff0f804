"""Build a notebook from a plan: a dict in nbformat 4.5, without importing nbformat, which takes seconds."""

from __future__ import annotations

import io
import json
import platform
import re
import secrets
from typing import TYPE_CHECKING, Any

from qualia_lab.notebook.generated import NAMESPACE, Generated, digest, generated_as_metadata

if TYPE_CHECKING:
    from qualia_lab.notebook.plan import NotebookPlan
    from qualia_lab.sections.section import PlannedCell

# Tags of Jupyter Book that fold the source of a cell, or the whole cell. JupyterLab uses `source_hidden` instead.
HIDDEN = frozenset({"hide-input", "hide-cell"})


def build_notebook(plan: NotebookPlan) -> dict[str, Any]:
    """Return the unexecuted notebook of a plan. The result is deterministic."""
    ids: set[str] = set()
    cells = [_cell(cell, ids) for cell in plan.cells]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "version": platform.python_version(), "file_extension": ".py"},
            "title": plan.title,
            # With the generated sources, with which a refresh compares the edits of the user.
            NAMESPACE: generated_as_metadata(
                Generated(template=plan.template, base={cell.key: cell.source for cell in plan.cells}, given=plan.given)
            ),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """Serialize a notebook as Jupyter does: JSON indented by one space, a string per source line, a final newline.

    Figures of plotly and other JSON of outputs are on one line each: nobody reads or compares their lines, and the
    indentation would be a tenth of the file.
    """
    token = secrets.token_hex(16)  # unpredictable, so the notebook cannot contain it already
    on_one_line: dict[str, Any] = {}  # what a token stands for, by the JSON of the token

    def with_tokens(output: dict[str, Any]) -> dict[str, Any]:
        data = dict(output["data"])
        for mime, value in data.items():
            if mime.endswith("json") and isinstance(value, dict | list):
                data[mime] = f"{token}-{len(on_one_line)}"
                on_one_line[json.dumps(data[mime])] = value
        return output | {"data": data}

    cells = [
        cell | {"outputs": [with_tokens(one) if isinstance(one.get("data"), dict) else one for one in cell["outputs"]]}
        if cell.get("outputs")
        else cell
        for cell in notebook["cells"]
    ]
    # Piece by piece: `json.dumps` would hold each of millions of numbers of charts as a string.
    pieces = json.JSONEncoder(ensure_ascii=False, indent=1, allow_nan=False).iterencode(notebook | {"cells": cells})
    compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    serialized = io.BytesIO()
    with io.TextIOWrapper(serialized, "utf-8", "backslashreplace", newline="\n") as text:
        for piece in pieces:
            text.write(compact.encode(on_one_line[piece]) if piece in on_one_line else piece)
        text.write("\n")
        text.flush()
        return serialized.getvalue()


def _cell(planned: PlannedCell, ids: set[str]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": planned.kind,
        "id": cell_id(planned.key, ids),
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


def cell_id(key: str, ids: set[str]) -> str:
    """Return a unique cell id that is valid in nbformat, equal to the key if possible, and add it to `ids`."""
    found = re.sub(r"[^A-Za-z0-9_-]+", "-", key)[:64] or "cell"
    if found in ids:
        found = f"{found[:47]}-{digest(key)}"
    ids.add(found)
    return found
