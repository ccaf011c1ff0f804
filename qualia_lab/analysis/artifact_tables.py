"""One artifact of several runs as one table: JSON and YAML place by place, tables of one shape cell by cell."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.logged_tables import cell_text, read_logged_table
from qualia_lab.analysis.structured_text import flat, parse_json, parse_yaml, that_differ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qualia_lab.artifacts import Kind

ROWS = 40  # of a comparison of structures
TABLE_ROWS = 16  # of one of tables
_LEAVES = 5_000  # of one JSON artifact
_TABLE_ROWS = 10_000
_TABLE_COLUMNS = 200
_CELL = 200  # characters


@dataclass(frozen=True)
class ArtifactTable:
    """Runs as columns. `rows` names each row, `cells[run id][row]` is "" where that run has none.

    said: what a reader has to know: how much is not shown, or that nothing differs.
    """

    rows: tuple[str, ...]
    cells: Mapping[str, tuple[str, ...]]
    said: str


def compare_structures(texts: Mapping[str, str], kind: Kind) -> ArtifactTable:
    """The places of JSON or YAML artifacts (run id → text) whose values are not alike in all runs.

    A text that cannot be read is a run without values, and `said` names how many there are.
    """
    parse = parse_json if kind == "json" else parse_yaml
    entries, broken = {}, 0
    for run_id, text in texts.items():
        try:
            entries[run_id] = flat(parse(text), _LEAVES)
        except ValueError:
            broken += 1
    table = _table(entries, ROWS)
    return _with(table, f"{broken} cannot be read" if broken else "")


def compare_tables(texts: Mapping[str, str]) -> ArtifactTable:
    """The cells of tables (run id → text, as `read_table` takes it) that are not alike in all runs.

    A row is named by its number from 1, and by its first cell where all runs have the same one there.
    """
    tables, broken = {}, 0
    for run_id, text in texts.items():
        try:
            tables[run_id] = read_table(text)
        except csv.Error:
            broken += 1
    shapes = {(tuple(header), len(rows)) for header, rows in tables.values()}
    entries: dict[str, dict[str, str]] = {}
    firsts = _shared_firsts([rows for _, rows in tables.values()])
    for run_id, (header, rows) in tables.items():
        entries[run_id] = {
            f"row {number}{firsts.get(number, '')}, {name}": cell
            for number, row in enumerate(rows, 1)
            for name, cell in zip(header, row, strict=False)
        }
    table = _with(_table(entries, TABLE_ROWS), f"{broken} cannot be read" if broken else "")
    return _with(table, "the tables are of different shapes" if len(shapes) > 1 else "")


def read_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of comma-, tab- or semicolon-separated values or of `mlflow.log_table`, cut at limits.

    Raises csv.Error.
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


def _shared_firsts(tables: list[list[list[str]]]) -> dict[int, str]:
    """Row number → ` (first cell)` of the rows that have the same first cell, no number, in all tables."""
    found = {}
    for number, rows in enumerate(zip(*tables, strict=False), 1):
        cells = {row[0] for row in rows if row}
        if len(cells) == 1 and not (name := cells.pop()).replace(".", "").lstrip("-").isdigit() and name:
            found[number] = f" ({name[:40]})"
    return found


def _table(entries: Mapping[str, Mapping[str, str]], rows: int) -> ArtifactTable:
    names = that_differ(entries)
    shown = tuple(names[:rows])
    said = f"showing {len(shown)} of {len(names):,} that differ" if len(names) > len(shown) else ""
    values = {run_id: tuple(entry.get(name, "")[:_CELL] for name in shown) for run_id, entry in entries.items()}
    return ArtifactTable(shown, values, said or ("" if names else "the same in all runs"))


def _with(table: ArtifactTable, remark: str) -> ArtifactTable:
    return ArtifactTable(table.rows, table.cells, "; ".join(filter(None, (table.said, remark)))) if remark else table
