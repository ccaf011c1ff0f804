"""Helpers: write notebooks of aggregates, and read their outputs after execution."""

from __future__ import annotations

import nbformat

from qualia_lab import NotebookGenerator


def outputs_of(path):
    """{cell key: text outputs} of a notebook, after a check that no cell has an error."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    texts = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert [
                output for output in cell.outputs if output.output_type not in ("execute_result", "display_data")
            ] == []
            texts[cell.metadata["qualia_lab"]["key"]] = [output.data["text/plain"] for output in cell.outputs]
    return texts


def write(snapshot, engine, path):
    """Write a notebook and shorten the lists in its parameters cell, as a user could."""
    generator = NotebookGenerator(snapshot)
    generator.create(by="k:max", engine=engine, output=path)
    notebook = nbformat.read(path, as_version=4)
    [cell] = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    cell.source += "\nCURVES, PARAMS = CURVES[:2], PARAMS[:2]"
    nbformat.write(notebook, path)
    return generator
