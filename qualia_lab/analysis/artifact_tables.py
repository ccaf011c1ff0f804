"""Compare one artifact across runs: JSON and YAML key by key, tables cell by cell."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qualia_lab.analysis.logged_tables import cell_text, read_logged_table
from qualia_lab.analysis.structured_text import differing_names, flat, parse_json, parse_yaml
from qualia_lab.masking.keys import DEFAULT_RULES
from qualia_lab.masking.text import masked_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.artifacts import Kind
    from qualia_lab.masking.keys import MaskRules

ROWS = 40  # rows of a comparison of structures
TABLE_ROWS = 16  # rows of a comparison of tables
_LEAVES = 5_000  # leaves read from one JSON artifact
_TABLE_ROWS = 10_000
_TABLE_COLUMNS = 200
_CELL = 200  # characters


@dataclass(frozen=True)
class ArtifactTable:
    """A comparison with one column per run.

    Attributes:
        rows: the name of each row.
        cells: the values of each row by run id, in the order of `rows`; "" where the run has none.
        note: a remark for the reader, such as how many rows are not shown or that nothing differs; "" for none.
    """

    rows: tuple[str, ...]
    cells: Mapping[str, tuple[str, ...]]
    note: str


def compare_structures(texts: Mapping[str, str], kind: Kind) -> ArtifactTable:
    """Compare JSON or YAML artifacts key by key.

    Args:
        texts: the text of each run's artifact, by run id.
        kind: "json" or "yaml".

    Returns:
        The paths whose values are not the same in all runs. A text that cannot be parsed leaves its run without values,
        and the note of the table counts them.
    """
    parse = parse_json if kind == "json" else parse_yaml
    entries, broken = {}, 0
    for run_id, text in texts.items():
        try:
            entries[run_id] = flat(parse(text), _LEAVES)
        except ValueError:
            broken += 1
    table = _table(entries, ROWS)
    return _add_remark(table, f"{broken} cannot be read" if broken else "")


def compare_tables(texts: Mapping[str, str], rules: MaskRules = DEFAULT_RULES) -> ArtifactTable:
    """Compare tables cell by cell.

    A row is named by its number, from 1, and by its first cell where that is the same in all runs.

    Args:
        texts: the text of each run's table as `read_table` takes it, by run id.
        rules: masks the values of secrets.

    Returns:
        The cells that are not the same in all runs.
    """
    tables, broken = {}, 0
    for run_id, text in texts.items():
        try:
            tables[run_id] = read_table(text)
        except csv.Error:
            broken += 1
    shapes = {(tuple(header), len(rows)) for header, rows in tables.values()}
    entries: dict[str, dict[str, str]] = {}
    columns: dict[str, str] = {}  # of each entry
    first_cells = _shared_first_cells(list(tables.values()), rules)
    for run_id, (header, rows) in tables.items():
        entries[run_id] = {}
        for number, row in enumerate(rows, 1):
            for name, cell in zip(header, row, strict=False):
                entry = f"row {number}{first_cells.get(number, '')}, {name}"
                entries[run_id][entry] = cell
                columns[entry] = name
    table = _table(entries, TABLE_ROWS)
    # Masked after the comparison, so that different secrets differ.
    shown = {
        run_id: tuple(masked_value(columns[row], cell, rules) for row, cell in zip(table.rows, cells, strict=True))
        for run_id, cells in table.cells.items()
    }
    table = _add_remark(replace(table, cells=shown), f"{broken} cannot be read" if broken else "")
    return _add_remark(table, "the tables are of different shapes" if len(shapes) > 1 else "")


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Read delimiter-separated values (comma, tab or semicolon) or a table of `mlflow.log_table`.

    Args:
        text: the content of the artifact.

    Returns:
        The header and the rows, cut at 10,000 rows, 200 columns and 200 characters per cell.

    Raises:
        csv.Error: the text is not a table.
    """
    if (logged := read_logged_table(text)) is not None:
        cells = [[cell_text(value)[:_CELL] for value in row[:_TABLE_COLUMNS]] for row in logged.rows[:_TABLE_ROWS]]
        return list(logged.columns[:_TABLE_COLUMNS]), cells
    first = text.partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    for row in lines:
        if row:
            rows.append([cell[:_CELL] for cell in row[:_TABLE_COLUMNS]])
        if len(rows) > _TABLE_ROWS:
            break
    return (rows[0], rows[1:]) if rows else ([], [])


def _shared_first_cells(tables: list[tuple[list[str], list[list[str]]]], rules: MaskRules) -> dict[int, str]:
    """Map a row number to ` (first cell)` where all tables have the same non-numeric first cell in that row."""
    labels = {}
    column = tables[0][0][0] if tables and tables[0][0] else ""
    for number, rows in enumerate(zip(*(rows for _, rows in tables), strict=False), 1):
        cells = {row[0] for row in rows if row}
        if len(cells) == 1 and not (name := cells.pop()).replace(".", "").lstrip("-").isdigit() and name:
            labels[number] = f" ({masked_value(column, name, rules)[:40]})"
    return labels


def _table(entries: Mapping[str, Mapping[str, str]], rows: int) -> ArtifactTable:
    """The rows whose values differ, cut at `rows`, with a note on how many there are."""
    names = differing_names(entries)
    shown = tuple(names[:rows])
    said = f"showing {len(shown)} of {len(names):,} that differ" if len(names) > len(shown) else ""
    values = {run_id: tuple(entry.get(name, "")[:_CELL] for name in shown) for run_id, entry in entries.items()}
    return ArtifactTable(shown, values, said or ("" if names else "the same in all runs"))


def _add_remark(table: ArtifactTable, remark: str) -> ArtifactTable:
    """The table with a remark added to its note."""
    return ArtifactTable(table.rows, table.cells, "; ".join(filter(None, (table.note, remark)))) if remark else table
