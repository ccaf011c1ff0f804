"""The notebook in a bundle: the cells of a person's notebook, reading the snapshot that is beside it."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from qualia_lab.bundle.manifest import DATA
from qualia_lab.errors import NotebookError
from qualia_lab.masking.text import masked
from qualia_lab.notebook.generated import NAMESPACE, Generated, cell_key, digest, generated_as_metadata, read_generated
from qualia_lab.notebook.parameters import PARAMETER_TAGS
from qualia_lab.notebook.read import read_notebook
from qualia_lab.sections.literal import literal

if TYPE_CHECKING:
    from pathlib import Path

    from qualia_lab.masking.keys import MaskRules

# Relative to the folder of the notebook, in which Jupyter, papermill and `qualia execute` run its cells.
DATA_URI = f"snapshot:{DATA}"

# A kernel that has qualia-lab, under the name that every installation of Jupyter knows.
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# The metadata that a notebook keeps. Others may hold local paths and credentials, as papermill's do.
_KEPT = ("language_info", "title", NAMESPACE)


def notebook_for_bundle(path: Path, rules: MaskRules) -> dict[str, Any]:
    """Read a notebook as it will be in a bundle: without outputs, and with TRACKING_URI set to the bundle's data.

    All other sources are unchanged.

    Args:
        path: the file of the notebook.
        rules: the project's own rules for masking.

    Raises:
        ExportFailed: the file cannot be read as a notebook.
        NotebookError: a cell contains what looks like a secret.
    """
    notebook = read_notebook(path)
    metadata = {name: value for name, value in notebook["metadata"].items() if name in _KEPT}
    generated = read_generated(notebook)
    base = dict(generated.base) if generated else {}  # the generated sources, by key
    cells = [_cell(cell, base) for cell in notebook["cells"]]
    if generated:
        # What is recorded of the last execution is not of this one, and the same notebook gives the same bytes.
        record = Generated(generated.version, generated.template, base, generated.given, generated.deleted)
        metadata[NAMESPACE] = generated_as_metadata(record)
    if notebook.get("nbformat_minor", 0) >= 5:
        # Otherwise nbformat would give random ids to cells without one.
        cells = [{"id": f"cell-{number}"} | cell for number, cell in enumerate(cells, start=1)]
    bundled = {**notebook, "metadata": metadata | {"kernelspec": KERNEL}, "cells": cells}
    _check_secrets(path, bundled, base, rules)
    return bundled


def _cell(cell: dict[str, Any], base: dict[str, str]) -> dict[str, Any]:
    """The cell without outputs. If it sets TRACKING_URI, it and the source it was generated with read the data."""
    cell = {**cell, "metadata": {name: value for name, value in cell["metadata"].items() if name != "papermill"}}
    if cell["cell_type"] != "code":
        return cell
    cell |= {"outputs": [], "execution_count": None}
    tags = cell["metadata"].get("tags")
    if not isinstance(tags, list) or not any(tag in PARAMETER_TAGS for tag in tags if isinstance(tag, str)):
        return cell
    generated = cell["metadata"].get(NAMESPACE)
    was_edited = not isinstance(generated, dict) or generated.get("digest") != digest(cell["source"])
    cell["source"] = with_data_uri(cell["source"])
    key = cell_key(cell)
    if key in base:
        base[key] = with_data_uri(base[key])
    if not was_edited:
        cell["metadata"][NAMESPACE] = {**generated, "digest": digest(cell["source"])}
    return cell


def with_data_uri(source: str) -> str:
    """The source of a cell in which each literal that is assigned to TRACKING_URI is replaced by DATA_URI."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        return source
    lines = source.encode("utf-8", "surrogatepass").splitlines(keepends=True)  # ast counts bytes
    for statement in reversed(statements):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if not any(isinstance(target, ast.Name) and target.id == "TRACKING_URI" for target in targets) or value is None:
            continue
        first, last = value.lineno - 1, value.end_lineno - 1
        before, after = lines[first][: value.col_offset], lines[last][value.end_col_offset :]
        lines[first : last + 1] = [before + literal(DATA_URI).encode() + after]
    return b"".join(lines).decode("utf-8", "surrogatepass")


def _check_secrets(path: Path, notebook: dict[str, Any], base: dict[str, str], rules: MaskRules) -> None:
    """Raise NotebookError for the first cell in which a person wrote what looks like a secret: others will see it.

    Generated lines hold masked values only, and sentences about secrets, which look like one.
    """
    generated = {line for source in base.values() for line in source.splitlines()}
    for number, cell in enumerate(notebook["cells"], start=1):
        own = "\n".join(line for line in cell["source"].splitlines() if line not in generated)
        for what, text in (("Cell", own), ("The metadata of cell", _metadata_text(cell))):
            if masked(text, rules) != text:
                raise _secret(f"{what} {number} of {path}")
    if masked(_metadata_text(notebook), rules) != _metadata_text(notebook):
        raise _secret(f"The metadata of {path}")


def _metadata_text(holder: dict[str, Any]) -> str:
    """The metadata of a cell or notebook as text, besides those of this package."""
    metadata = {name: value for name, value in holder["metadata"].items() if name != NAMESPACE}
    return json.dumps(metadata, indent=1, ensure_ascii=False)


def _secret(where: str) -> NotebookError:
    return NotebookError(
        f"{where} has what looks like a secret, and everybody who gets the bundle would see it.",
        "Take it out of the notebook. If it is none, name it in never_mask of [tool.qualia].",
    )
