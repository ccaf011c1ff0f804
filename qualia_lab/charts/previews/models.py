"""A model folder, described by its MLmodel file: flavours, signature, size. The model is never loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.structured_text import parse_json, parse_yaml
from qualia_lab.charts.previews.preview import Preview, first_lines, small
from qualia_lab.charts.sizes import size_text
from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.stores.protocol import ArtifactFile

_COLUMNS = 12
_CELL = 'style="text-align:left;vertical-align:top"'


def model_preview(path: str, text: str, files: Sequence[ArtifactFile]) -> Preview:
    """Return the content of an MLmodel file, and the size of its folder computed from all `files` of the run."""
    try:
        content = parse_yaml(text)
    except ValueError as error:
        return Preview(first_lines(text) + small(f"{error}; shown as text"))
    if not isinstance(content, dict):
        return Preview(first_lines(text))
    folder = path[: -len("MLmodel")]
    folder_files = [file for file in files if file.path.startswith(folder)]
    rows = [
        *_rows(content),
        ("files", f"{len(folder_files):,}, {size_text(sum(file.size or 0 for file in folder_files))} in all"),
    ]
    body = "".join(
        f"<tr><th {_CELL}>{for_html(name)}</th><td {_CELL}>{for_html(value)}</td></tr>" for name, value in rows
    )
    return Preview(f"<table><tbody>{body}</tbody></table>" + small("the model was not loaded"))


def _rows(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    flavours = content.get("flavors")
    if isinstance(flavours, dict):
        yield "flavours", "; ".join(_flavour(str(name), attributes) for name, attributes in list(flavours.items())[:10])
    for key, name in (("mlflow_version", "MLflow"), ("utc_time_created", "created (UTC)"), ("model_id", "model id")):
        if isinstance(content.get(key), str):
            yield name, content[key][:100]
    signature = content.get("signature")
    if isinstance(signature, dict):
        for part in ("inputs", "outputs", "params"):
            if isinstance(signature.get(part), str):
                yield part, _columns(signature[part])


def _flavour(name: str, attributes: Any) -> str:
    """Return name and version, such as `sklearn 1.3.0`; the version key is named after the flavour."""
    known = attributes if isinstance(attributes, dict) else {}
    short = name.removeprefix("mlflow.")[:60]
    version = known.get(f"{short}_version") or known.get("version")
    if name == "python_function" and known.get("python_version"):
        return f"{short} (Python {str(known['python_version'])[:20]})"
    return f"{short} {str(version)[:20]}" if isinstance(version, str) else short


def _columns(text: str) -> str:
    """Format the columns of a signature as `age: long, name: string, …`; the raw text if its JSON is invalid."""
    try:
        columns = parse_json(text)
    except ValueError:
        return text[:200]
    if not isinstance(columns, list):
        return text[:200]
    shown = [_column(column) for column in columns[:_COLUMNS]]
    remainder = [f"… showing {_COLUMNS} of {len(columns):,}"] if len(columns) > _COLUMNS else []
    return ", ".join(shown + remainder)


def _column(column: Any) -> str:
    if not isinstance(column, dict):
        return str(column)[:60]
    kind = column.get("type")
    tensor = column.get("tensor-spec")
    if isinstance(tensor, dict):
        kind = f"tensor {tensor.get('dtype')} {tensor.get('shape')}"
    return f"{column['name']}: {kind}"[:80] if column.get("name") else str(kind)[:80]
