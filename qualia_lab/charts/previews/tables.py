"""Tables: their first rows, the type of each column, and the shape."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.logged_tables import cell_text, read_logged_table
from qualia_lab.charts.previews.preview import Preview, note, small
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html
from qualia_lab.masking.keys import is_secret_key
from qualia_lab.masking.text import MASK, is_nothing, masked
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

_ROWS = 10
_COLUMNS = 20
_CELL = 100  # characters
_TYPED = 1000  # rows that are looked at for the type of a column
_PARQUET_BYTES = 5_000_000
_UNPACKED_BYTES = 64_000_000

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def table_preview(path: str, text: str, *, whole: bool) -> Preview:
    """Comma-, tab- or semicolon-separated values. whole: whether the text is all of the file. Raises csv.Error."""
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    head, *body = rows or [[]]
    if not whole and body:
        body.pop()  # its end was not read
    columns = list(zip(*(row + [""] * (len(head) - len(row)) for row in body), strict=False)) if body else []
    types = [_type(column) for column in columns] if columns else [""] * len(head)
    rows_in_all = counted(len(body), "row") if whole else f"more than {counted(len(body), 'row')}"
    return Preview(path, _html(head, types, body[:_ROWS], f"{rows_in_all}, {counted(len(head), 'column')}"))


def logged_table_preview(path: str, text: str, *, whole: bool) -> Preview | None:
    """A table of `mlflow.log_table`; None where the text is none. Pictures in it are named. whole: as above."""
    table = read_logged_table(text)
    if table is None or (whole and not table.is_complete):
        return None
    texts = [[cell_text(value) for value in row] for row in table.rows[:_TYPED]]
    types = [_type(column) for column in zip(*texts, strict=True)] if texts else [""] * len(table.columns)
    rows = counted(len(table.rows), "row") if table.is_complete else f"more than {counted(len(table.rows), 'row')}"
    return Preview(path, _html(table.columns, types, texts[:_ROWS], f"{rows}, {counted(len(types), 'column')}"))


def parquet_preview(place: ArtifactPlace, file: ArtifactFile) -> Preview:
    """A Parquet file of up to 5 MB that unpacks to up to 64 MB. Raises StoreError when it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = place.read_bytes(file.path, _PARQUET_BYTES + 1)
    if len(data) > _PARQUET_BYTES:
        return note(file.path, "a Parquet file of over 5 MB, too large to show")
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        about, schema = parquet.metadata, parquet.schema_arrow
        shape = f"{counted(about.num_rows, 'row')}, {counted(len(schema.names), 'column')}"
        unpacked = about.row_group(0).total_byte_size if about.num_row_groups else 0
        types = [str(field.type) for field in schema]
        if not 0 <= unpacked <= _UNPACKED_BYTES or not about.num_row_groups:
            return Preview(file.path, _html(schema.names, types, [], shape))
        batch = next(parquet.iter_batches(_ROWS, row_groups=[0], columns=schema.names[:_COLUMNS]))
        rows = [[_cell(value) for value in row.values()] for row in batch.slice(0, _ROWS).to_pylist()]
    except (pa.ArrowException, OSError, StopIteration):
        return note(file.path, "it cannot be read as Parquet")
    return Preview(file.path, _html(schema.names, types, rows, shape))


def rows_html(head: Sequence[str], rows: Sequence[Sequence[Any]], shape: str) -> str:
    """Rows of values under their names."""
    return _html(head, [""] * len(head), [[_cell(value) for value in row] for row in rows[:_ROWS]], shape)


def _html(head: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[str]], shape: str) -> str:
    names = zip(distinct_names(head[:_COLUMNS], width=_CELL), types, strict=False)
    parts = ["<table><thead><tr>"]
    parts += [
        f"<th>{for_html(name)}{f'<br><small>{for_html(kind[:_CELL])}</small>' if kind else ''}</th>"
        for name, kind in names
    ]
    parts.append("</tr></thead><tbody>")
    count = 0
    for row in rows:
        count += 1
        named = zip(head, row[:_COLUMNS], strict=False)
        parts += ["<tr>", *(f"<td>{for_html(_cut(_shown(name, cell)))}</td>" for name, cell in named), "</tr>"]
    parts.append("</tbody></table>")
    limits = [f"the first {count} rows"] if count == _ROWS else []
    limits += [f"the first {_COLUMNS} columns"] if len(head) > _COLUMNS else []
    return "".join(parts) + small(f"{shape}; showing {' and '.join(limits)}" if limits else shape)


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"


def _shown(name: str, cell: str) -> str:
    """A cell without the secret that it holds by the name of its column, or by form: no text around it says so."""
    return MASK if is_secret_key(name) and not is_nothing(cell) else masked(cell)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)[: _CELL + 1]


def _type(column: Sequence[str]) -> str:
    """What the texts of a column are: integer, number, boolean, text, or empty."""
    there = [cell.strip() for cell in column[:_TYPED] if cell.strip()]
    if not there:
        return "empty"
    for name, pattern in (("integer", _INTEGER), ("number", _NUMBER)):
        if all(pattern.fullmatch(cell) for cell in there):
            return name
    return "boolean" if {cell.lower() for cell in there} <= {"true", "false"} else "text"
