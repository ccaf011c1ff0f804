"""Traces as rows: nested for JSON, flat for CSV, and as cells of a table."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.trace_text import dollars
from qualia_lab.cli.output import plain_json
from qualia_lab.console_table import Column
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.genai_tables import TraceTables

JUDGED = 6  # assessments of so many names are columns of a table; the others are only counted
_PREVIEW = 60  # characters of a preview in a table
_VALUE = 16  # characters of an assessment in a table


def nested_rows(tables: TraceTables, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """A dict per trace with its tags, metadata, linked runs and assessments.

    Args:
        tables: the traces.
        names: the name of each experiment by its id.
    """
    rows = {
        row["trace_id"]: {"experiment": names.get(row["experiment_id"])}
        | row
        | {"tags": {}, "metadata": {}, "linked_runs": [], "assessments": []}
        for row in tables.traces.to_pylist()
    }
    for kind in ("tags", "metadata"):
        columns = (getattr(tables, kind).column(name).to_pylist() for name in ("trace_id", "key", "value"))
        for trace_id, key, value in zip(*columns, strict=True):
            if trace_id in rows:
                rows[trace_id][kind][key] = value
    for row in tables.links.to_pylist():
        if row["trace_id"] in rows:
            rows[row["trace_id"]]["linked_runs"].append(row["run_id"])
    for row in tables.assessments.to_pylist():
        if (trace_id := row.pop("trace_id")) in rows:
            rows[trace_id]["assessments"].append(row | {"value": json_value(row["value"])})
    return list(rows.values())


def flat_rows(tables: TraceTables, names: Mapping[str, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows without nesting: `tags.topic`, `feedback.correctness`; several values are joined by ` | `."""
    rows = []
    keys: dict[str, None] = {}
    for row in nested_rows(tables, names):
        nested = {kind: row.pop(kind, {}) for kind in ("tags", "metadata")}
        flat = {f"{kind}.{key}": value for kind, values in nested.items() for key, value in values.items()}
        flat["linked_runs"] = " | ".join(row.pop("linked_runs"))
        for each in row.pop("assessments"):
            if each["valid"] is not False and each["value"] is not None:
                column, text = f"{each['kind']}.{each['name']}", _as_text(each["value"])
                flat[column] = f"{flat[column]} | {text}" if column in flat else text
        keys |= dict.fromkeys(flat)
        rows.append(row | flat)
    return ["experiment", *tables.traces.column_names, *sorted(keys)], rows


def table_of(tables: TraceTables, names: Mapping[str, str]) -> tuple[list[Column], list[list[str]], int]:
    """The columns and cells of a table, and the number of names of assessments that have no column."""
    from qualia_lab.chooser.formatting import age

    rows = nested_rows(tables, names)
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
