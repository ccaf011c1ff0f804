"""Read the file of a notebook as a dict; only old formats need nbformat, whose import takes a while."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import ExportFailed
from qualia_lab.escaping import one_line
from qualia_lab.notebook.deferred_grammars import deferred_grammars

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = ("code", "markdown", "raw")


def read_notebook(path: Path) -> dict[str, Any]:
    """Read a notebook of any format as one of nbformat 4, with texts as strings instead of lists of lines.

    Args:
        path: the file of the notebook; its content is not trusted.

    Returns:
        The notebook. Its cells and outputs have the fields that nbformat requires, of the right types.

    Raises:
        ExportFailed: the file cannot be read, or is not a notebook.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_notebook(data, path)


def parse_notebook(data: bytes, path: Path) -> dict[str, Any]:
    """Parse the content of the file of a notebook, see `read_notebook`.

    Args:
        data: the content of the file; it is not trusted.
        path: the file, for messages.

    Raises:
        ExportFailed: it is not a notebook.
    """
    try:
        text = data.decode("utf-8")
        notebook = json.loads(text)
        if notebook["nbformat"] != 4:
            with deferred_grammars():
                import nbformat
            notebook = json.loads(nbformat.writes(nbformat.reads(text, as_version=4)))
        metadata = notebook.get("metadata")
        cells = [_cell(cell) for cell in notebook["cells"] if cell["cell_type"] in _KINDS]
    except Exception as error:
        raise _unreadable(path, error) from error
    return {**notebook, "metadata": metadata if isinstance(metadata, dict) else {}, "cells": cells}


def _unreadable(path: Path, error: Exception) -> ExportFailed:
    message = f"{path} cannot be read as a notebook: {one_line(str(error) or type(error).__name__, 200)}"
    return ExportFailed(message, "Generate it again, or open and save it in Jupyter.")


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata")
    read = {**cell, "source": _text(cell["source"]), "metadata": metadata if isinstance(metadata, dict) else {}}
    if cell["cell_type"] == "code":
        read["outputs"] = [_output(output) for output in cell.get("outputs") or ()]
    return read


def _output(output: dict[str, Any]) -> dict[str, Any]:
    kind = output["output_type"]
    if kind == "stream":
        return {**output, "text": _text(output["text"])}
    if kind == "error":
        return {**output, "traceback": [_text(line) for line in output.get("traceback") or ()]}
    data = {mime: value if mime.endswith("json") else _text(value) for mime, value in output["data"].items()}
    metadata = output.get("metadata")
    return {**output, "data": data, "metadata": metadata if isinstance(metadata, dict) else {}}


def _text(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
