"""Previews of tables: the first rows, the type of each column, and the shape."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.logged_tables import cell_text, read_logged_table
from qualia_lab.charts.previews.preview import Preview, note, small
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html
from qualia_lab.masking.text import masked_value
from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace

_ROWS = 10
_COLUMNS = 20
_CELL = 100  # characters
_INSPECTED = 10_000  # characters of a cell in which secrets are searched
_TYPE_ROWS = 1000  # rows from which the type of a column is inferred
_PARQUET_BYTES = 5_000_000
_UNPACKED_BYTES = 64_000_000

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def table_preview(text: str, *, whole: bool, rules: MaskRules) -> Preview:
    """Return a preview of comma-, tab- or semicolon-separated values; the last row is dropped unless `whole`.

    Raises csv.Error.
    """
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    head, *body = rows or [[]]
    if not whole and body:
        body.pop()  # the last row is incomplete
    columns = list(zip(*(row + [""] * (len(head) - len(row)) for row in body), strict=False)) if body else []
    types = [_type(column) for column in columns] if columns else [""] * len(head)
    rows_in_all = counted(len(body), "row") if whole else f"more than {counted(len(body), 'row')}"
    return Preview(_html(head, types, body[:_ROWS], f"{rows_in_all}, {counted(len(head), 'column')}", rules))


def logged_table_preview(text: str, *, whole: bool, rules: MaskRules) -> Preview | None:
    """Return a preview of a table of `mlflow.log_table`, with pictures as their names; None for other JSON."""
    table = read_logged_table(text)
    if table is None or (whole and not table.is_complete):
        return None
    texts = [[cell_text(value) for value in row] for row in table.rows[:_TYPE_ROWS]]
    types = [_type(column) for column in zip(*texts, strict=True)] if texts else [""] * len(table.columns)
    rows = counted(len(table.rows), "row") if table.is_complete else f"more than {counted(len(table.rows), 'row')}"
    return Preview(_html(table.columns, types, texts[:_ROWS], f"{rows}, {counted(len(types), 'column')}", rules))


def parquet_preview(place: ArtifactPlace, file: ArtifactFile, rules: MaskRules) -> Preview:
    """Return a preview of a Parquet file of at most 5 MB, 64 MB uncompressed. Raises StoreError on read errors."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = place.read_bytes(file.path, _PARQUET_BYTES + 1)
    if len(data) > _PARQUET_BYTES:
        return note("a Parquet file of over 5 MB, too large to show")
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        metadata, schema = parquet.metadata, parquet.schema_arrow
        shape = f"{counted(metadata.num_rows, 'row')}, {counted(len(schema.names), 'column')}"
        unpacked = metadata.row_group(0).total_byte_size if metadata.num_row_groups else 0
        types = [str(field.type) for field in schema]
        if not 0 <= unpacked <= _UNPACKED_BYTES or not metadata.num_row_groups:
            return Preview(_html(schema.names, types, [], shape, rules))
        batch = next(parquet.iter_batches(_ROWS, row_groups=[0], columns=schema.names[:_COLUMNS]))
        rows = [[_cell(value) for value in row.values()] for row in batch.slice(0, _ROWS).to_pylist()]
    except (pa.ArrowException, OSError, StopIteration):
        return note("it cannot be read as Parquet")
    return Preview(_html(schema.names, types, rows, shape, rules))


def rows_html(head: Sequence[str], rows: Sequence[Sequence[Any]], shape: str, rules: MaskRules) -> str:
    """Render rows of values below their column names."""
    return _html(head, [""] * len(head), [[_cell(value) for value in row] for row in rows[:_ROWS]], shape, rules)


def _html(
    head: Sequence[str], types: Sequence[str], rows: Iterable[Sequence[str]], shape: str, rules: MaskRules
) -> str:
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
        cells = (masked_value(name, cell, rules) for name, cell in zip(head, row[:_COLUMNS], strict=False))
        parts += ["<tr>", *(f"<td>{for_html(_cut(cell))}</td>" for cell in cells), "</tr>"]
    parts.append("</tbody></table>")
    limits = [f"the first {count} rows"] if count == _ROWS else []
    limits += [f"the first {_COLUMNS} columns"] if len(head) > _COLUMNS else []
    return "".join(parts) + small(f"{shape}; showing {' and '.join(limits)}" if limits else shape)


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)[:_INSPECTED]  # cut to _CELL only after masking


def _type(column: Sequence[str]) -> str:
    """Infer the type of a column: integer, number, boolean, text, or empty."""
    non_empty = [cell.strip() for cell in column[:_TYPE_ROWS] if cell.strip()]
    if not non_empty:
        return "empty"
    for name, pattern in (("integer", _INTEGER), ("number", _NUMBER)):
        if all(pattern.fullmatch(cell) for cell in non_empty):
            return name
    return "boolean" if {cell.lower() for cell in non_empty} <= {"true", "false"} else "text"
