"""Traces as rows: nested for JSON, flat for CSV, and as cells of a table."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.analysis.trace_text import dollars
from qualia_lab.cli.output import plain_json
from qualia_lab.columns import column_of, numbers_of, whole
from qualia_lab.console_table import Column
from qualia_lab.escaping import one_line
from qualia_lab.genai_tables import trace_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qualia_lab.genai_tables import TraceTables

JUDGED = 6  # assessments of so many names are columns of a table; the others are only counted
_PARTS = ("tags", "metadata", "links", "assessments")
_AT_ONCE = 2_000  # traces that are dicts at the same time
_PREVIEW = 60  # characters of a preview in a table
_VALUE = 16  # characters of an assessment in a table


def nested_rows(tables: TraceTables, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A dict per trace with its tags, metadata, linked runs and assessments.

    Only some are made at a time: as dicts, 100,000 traces take more memory than their tables.

    Args:
        tables: the traces.
        names: the name of each experiment by its id.
    """
    parts = {name: _ByTrace(getattr(tables, name), tables.traces) for name in _PARTS}
    for first in range(0, tables.traces.num_rows, _AT_ONCE):
        traces = tables.traces.slice(first, _AT_ONCE)
        of_these = {name: part.between(first, first + _AT_ONCE) for name, part in parts.items()}
        yield from _nested(trace_tables(traces=traces, **of_these), names)


def _nested(tables: TraceTables, names: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """The dicts of some traces."""
    rows = {
        row["trace_id"]: {"experiment": names.get(row["experiment_id"])}
        | row
        | {"tags": {}, "metadata": {}, "linked_runs": [], "assessments": []}
        for row in tables.traces.to_pylist()
    }
    for kind in ("tags", "metadata"):
        columns = (getattr(tables, kind).column(name).to_pylist() for name in ("trace_id", "key", "value"))
        for trace_id, key, value in zip(*columns, strict=True):
            rows[trace_id][kind][key] = value
    for row in tables.links.to_pylist():
        rows[row["trace_id"]]["linked_runs"].append(row["run_id"])
    for row in tables.assessments.to_pylist():
        rows[row.pop("trace_id")]["assessments"].append(row | {"value": json_value(row["value"])})
    return rows.values()


class _ByTrace:
    """The rows of a table about traces, by the places of their traces."""

    def __init__(self, table: pa.Table, traces: pa.Table) -> None:
        found = pc.index_in(table.column("trace_id"), value_set=whole(traces.column("trace_id")))
        if found.null_count:
            table, found = table.filter(found.is_valid()), found.drop_null()
        places = numbers_of(found)
        if np.any(places[1:] < places[:-1]):
            order = np.argsort(places, kind="stable")
            table, places = table.take(column_of(order, pa.int64())), places[order]
        self.table, self.places = table, places

    def between(self, first: int, last: int) -> pa.Table:
        """The rows of the traces from the first place to before the last one."""
        start, end = (int(self.places.searchsorted(place)) for place in (first, last))
        return self.table.slice(start, end - start)


def flat_rows(tables: TraceTables, names: Mapping[str, str]) -> tuple[list[str], Iterator[dict[str, Any]]]:
    """Columns and rows without nesting: `tags.topic`, `feedback.correctness`; several values are joined by ` | `."""
    parts = {name: _ByTrace(getattr(tables, name), tables.traces).table for name in _PARTS}
    keys = {"linked_runs"} if tables.traces.num_rows else set()
    keys |= {f"{kind}.{key}" for kind in ("tags", "metadata") for key in parts[kind].column("key").unique().to_pylist()}
    said = (parts["assessments"].column(name).to_pylist() for name in ("kind", "name", "valid", "value"))
    for kind, name, valid, value in zip(*said, strict=True):
        if (column := f"{kind}.{name}") not in keys and valid is not False and json_value(value) is not None:
            keys.add(column)
    return ["experiment", *tables.traces.column_names, *sorted(keys)], map(_flat, nested_rows(tables, names))


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row without nesting."""
    nested = {kind: row.pop(kind, {}) for kind in ("tags", "metadata")}
    flat = {f"{kind}.{key}": value for kind, values in nested.items() for key, value in values.items()}
    flat["linked_runs"] = " | ".join(row.pop("linked_runs"))
    for each in row.pop("assessments"):
        if each["valid"] is not False and each["value"] is not None:
            column, text = f"{each['kind']}.{each['name']}", _as_text(each["value"])
            flat[column] = f"{flat[column]} | {text}" if column in flat else text
    return row | flat


def table_of(tables: TraceTables, names: Mapping[str, str]) -> tuple[list[Column], list[list[str]], int]:
    """The columns and cells of a table, and the number of names of assessments that have no column."""
    from qualia_lab.chooser.formatting import age

    rows = list(nested_rows(tables, names))
    judged = Counter(
        each["name"]
        for row in rows
        for each in row["assessments"]
        if each["kind"] == "feedback" and each["valid"] is not False
    )
    shown = [name for name, _ in judged.most_common(JUDGED)]
    several = len({row["experiment_id"] for row in rows}) > 1
    columns = [Column(""), Column("trace", name=True), Column("trace id", short=11)]
    columns += [Column("experiment")] if several else []
    columns += [Column("requested"), Column("took", right=True), Column("tokens", right=True, early=True)]
    columns += [Column("cost", right=True, early=True)]
    columns += [Column("request")]
    columns += [Column(name or "") for name in shown]
    cells = []
    for row in rows:
        cell = [state_sign(row["state"]), row["name"] or "", row["trace_id"]]
        cell += [row["experiment"] or row["experiment_id"] or ""] if several else []
        cell += [
            age(row["request_time"]),
            took(row["duration"]),
            _count(row["total_tokens"]),
            dollars(row["total_cost"]),
        ]
        cell += [one_line(row["request_preview"] or "", _PREVIEW)]
        cells.append([*cell, *(_judged(row["assessments"], name) for name in shown)])
    return columns, cells, len(judged) - len(shown)


def _judged(assessments: Sequence[Mapping[str, Any]], name: str) -> str:
    """The valid values of one name, `failed` for a judge that failed."""
    values = [
        "failed" if each["value"] is None and each["error"] else one_line(_as_text(each["value"]), _VALUE)
        for each in assessments
        if (each["name"], each["kind"]) == (name, "feedback") and each["valid"] is not False
    ]
    return ", ".join(dict.fromkeys(values))


def state_sign(state: str | None) -> str:
    """✅ ❌ ⏳ if the terminal can show them, else the state in lower case."""
    from qualia_lab.chooser.formatting import status_sign

    return status_sign({"OK": "FINISHED", "ERROR": "FAILED", "IN_PROGRESS": "RUNNING"}.get(state or "", state))


def took(milliseconds: float | None) -> str:
    """A duration: `512 ms`, `1.3 s`, `4 min`; "" for None."""
    from qualia_lab.chooser.formatting import duration

    if milliseconds is None:
        return ""
    return f"{round(milliseconds, 3):,.3g} ms" if abs(milliseconds) < 999.5 else duration(0, round(milliseconds))


def json_value(text: str | None) -> Any:
    """The value that JSON text says; text that is no JSON stays text."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else json.dumps(plain_json(value), ensure_ascii=False)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
