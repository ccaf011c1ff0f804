"""A model folder, described by its MLmodel file: flavours, signature, size. The model is never loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.model_files import read_model_file
from qualia_lab.charts.previews.preview import Preview, first_lines, small
from qualia_lab.charts.sizes import size_text
from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.analysis.model_files import ModelFile, Part
    from qualia_lab.stores.protocol import ArtifactFile

_COLUMNS = 12
_CELL = 'style="text-align:left;vertical-align:top"'


def model_preview(path: str, text: str, files: Sequence[ArtifactFile]) -> Preview:
    """Return the content of an MLmodel file, and the size of its folder computed from all `files` of the run."""
    try:
        model = read_model_file(text)
    except ValueError as error:
        return Preview(first_lines(text) + small(f"{error}; shown as text"))
    folder = path[: -len("MLmodel")]
    folder_files = [file for file in files if file.path.startswith(folder)]
    rows = [
        *_rows(model),
        ("files", f"{len(folder_files):,}, {size_text(sum(file.size or 0 for file in folder_files))} in all"),
    ]
    body = "".join(
        f"<tr><th {_CELL}>{for_html(name)}</th><td {_CELL}>{for_html(value)}</td></tr>" for name, value in rows
    )
    return Preview(f"<table><tbody>{body}</tbody></table>" + small("the model was not loaded"))


def _rows(model: ModelFile) -> Iterator[tuple[str, str]]:
    if model.flavours:
        yield "flavours", model.flavours_in_short()
    for name, value in (
        ("Python", model.python_version),
        ("MLflow", model.mlflow_version),
        ("created (UTC)", model.created),
        ("model id", model.model_id),
    ):
        if value:
            yield name, value
    for name, part in vars(model.signature).items():
        if part is not None:
            yield name, _columns(part)


def _columns(part: Part) -> str:
    """Format the columns of a signature as `age: long, name: string, …`; the raw text if its JSON is invalid."""
    shown = [str(column)[:80] for column in part.columns[:_COLUMNS]]
    remainder = [f"… showing {_COLUMNS} of {len(part.columns):,}"] if len(part.columns) > _COLUMNS else []
    return part.unread or ", ".join(shown + remainder)
