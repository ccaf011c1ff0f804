"""A store of evaluations and traces in which every text that people, models or judges wrote is a hostile one."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# What somebody can name or write, by table; equal texts stay equal, so that what refers to them still does.
_TEXTS = {
    "experiments": ("name",),
    "runs": ("name", "user_id"),
    "params": ("key", "value"),
    "tags": ("value",),
    "metrics": ("key",),
    "latest_metrics": ("key",),
    "logged_models": ("name",),
    "logged_model_params": ("param_key", "param_value"),
    "registered_models": ("name", "description"),
    "model_versions": ("name", "description"),
    "registered_model_aliases": ("name", "alias"),
    "evaluation_datasets": ("name",),
    "trace_info": ("response_preview", "client_request_id", "trace_name", "session_id"),
    "trace_tags": ("key", "value"),
    "assessments": ("name", "source_id", "rationale"),
    "spans": ("name", "type", "model_name"),
}
_LONGEST = 2_000  # characters of a value


def make_hostile(store: Path, values: Sequence[str]) -> None:
    """Replace the texts of the store of `create-demo-runs --genai`.

    Args:
        store: its SQLite file, which is changed.
        values: the hostile texts. The text that one replaces follows it, so that different ones stay different.
    """
    chosen = [value[:_LONGEST] for value in values if _is_storable(value)]

    def hostile(text: str | None) -> str | None:
        return text and chosen[crc32(text.encode()) % len(chosen)] + text

    with sqlite3.connect(store) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.create_function("hostile", 1, hostile)
        database.create_function("hostile_question", 1, lambda text: json.dumps({"question": hostile(text)}))
        database.create_function("hostile_span", 1, lambda text: json.dumps(_hostile_span(json.loads(text), hostile)))
        database.create_function("hostile_value", 1, lambda text: _hostile_value(text, hostile))
        for table, columns in _TEXTS.items():
            where = "WHERE experiment_id > 0" if table == "experiments" else ""
            where = "WHERE key NOT LIKE 'mlflow.%'" if table in ("tags", "trace_tags") else where
            database.execute(f"UPDATE {table} SET {', '.join(f'{one} = hostile({one})' for one in columns)} {where}")
        database.execute("UPDATE trace_info SET request_preview = hostile_question(request_preview)")
        database.execute("UPDATE spans SET content = hostile_span(content)")
        database.execute("UPDATE assessments SET value = hostile_value(value)")


def _is_storable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character, which SQLite does not store
        return False
    return "\0" not in value  # where SQLite ends a text


def _hostile_span(content: dict[str, Any], hostile: Callable[[str | None], str | None]) -> dict[str, Any]:
    attributes = content["attributes"]
    for key in ("mlflow.spanInputs", "mlflow.spanOutputs"):
        if key in attributes:
            attributes[key] = json.dumps({str(hostile("key")): hostile(attributes[key])})
    content["status"]["message"] = hostile(content["status"]["message"])
    content["name"] = hostile(content["name"])
    return content


def _hostile_value(text: str | None, hostile: Callable[[str | None], str | None]) -> str | None:
    value = json.loads(text) if text else None
    return json.dumps(hostile(value)) if isinstance(value, str) else text
