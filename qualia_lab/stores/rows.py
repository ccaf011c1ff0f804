"""Rows: RunTables while they are collected from files or answers, where any value may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from qualia_lab import schema
from qualia_lab.stores.values import integer, text
from qualia_lab.tables import RunTables, run_tables, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Row = dict[str, Any]

Value = TypeVar("Value")


@dataclass
class Rows:
    """The rows of RunTables by table; what could not be read goes to `problems`."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in schema.TABLES})

    def add_values(self, table: str, of: Row, values: Mapping[str, str]) -> None:
        """Rows of keys and values, in the order of their keys."""
        self.tables[table] += [{**of, "key": key, "value": values[key]} for key in sorted(values)]

    def problem(self, run_id: str | None, subject: str, reason: object) -> None:
        """Name something that could not be read; run_id is None where it belongs to no single run."""
        self.tables["problems"].append({"run_id": run_id, "subject": text(subject), "reason": text(str(reason))})

    def missing(self, run_id: str, reason: str) -> None:
        """Name a run that was asked for and is not there."""
        self.tables["missing"].append({"run_id": text(run_id), "reason": reason})

    def built(self) -> RunTables:
        """The tables."""
        return run_tables(**{name: table_of(schema.TABLES[name], rows) for name, rows in self.tables.items()})


@dataclass(frozen=True)
class Fields:
    """Named values of somebody's file or answer, by type; one that has another type is a problem, and null."""

    values: Mapping[str, Any]
    rows: Rows
    run_id: str | None = None

    def text(self, name: str) -> str | None:
        """The value as text; null where it is missing."""
        return self._as(text, name)

    def integer(self, name: str) -> int | None:
        """The value as int64; null where it is missing."""
        return self._as(integer, name)

    def _as(self, kind: Callable[[Any], Value], name: str) -> Value | None:
        try:
            return kind(self.values.get(name))
        except ValueError as error:
            self.rows.problem(self.run_id, name, error)
            return None


def latest_first(time: float | None) -> tuple[bool, float]:
    """What sorts the latest time first, and no time at all last."""
    return time is None, -(time or 0)
