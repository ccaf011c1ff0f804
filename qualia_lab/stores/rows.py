"""Rows: collects the rows of RunTables from files or server responses, where any value may be invalid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from qualia_lab import schema
from qualia_lab.stores.values import integer, text
from qualia_lab.tables import RunTables, run_tables, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Row = dict[str, Any]

Value = TypeVar("Value")


class Reports(Protocol):
    """Collects what could not be read; implemented by Rows and GenAIRows."""

    def add_problem(self, of: str | None, subject: str, reason: object, /) -> None:
        """Report a part `subject` of a run or of something else; None where it belongs to nothing."""
        ...


@dataclass
class Rows:
    """The rows of RunTables by table. Values that cannot be read are reported in `problems`."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in schema.TABLES})

    def add_values(self, table: str, of: Row, values: Mapping[str, str]) -> None:
        """Add a row for each key and value, sorted by key. `of`: the columns that they share."""
        self.tables[table] += [{**of, "key": key, "value": values[key]} for key in sorted(values)]

    def add_problem(self, run_id: str | None, subject: str, reason: object) -> None:
        """Report something that could not be read; run_id is None where it belongs to no single run."""
        self.tables["problems"].append({"run_id": run_id, "subject": text(subject), "reason": text(str(reason))})

    def add_missing(self, run_id: str, reason: str) -> None:
        """Report a requested run that does not exist."""
        self.tables["missing"].append({"run_id": text(run_id), "reason": reason})

    def to_tables(self) -> RunTables:
        """The tables."""
        return run_tables(**{name: table_of(schema.TABLES[name], rows) for name, rows in self.tables.items()})


@dataclass(frozen=True)
class Fields:
    """Typed access to named values of a file or response; a value of another type is reported and becomes None."""

    values: Mapping[str, Any]
    rows: Reports
    of: str | None = None  # the id of the run, or what else they belong to

    def text(self, name: str) -> str | None:
        """The value as text; None where it is missing."""
        return self._as(text, name)

    def integer(self, name: str) -> int | None:
        """The value as int64; None where it is missing."""
        return self._as(integer, name)

    def _as(self, kind: Callable[[Any], Value], name: str) -> Value | None:
        try:
            return kind(self.values.get(name))
        except ValueError as error:
            self.rows.add_problem(self.of, name, error)
            return None


def latest_first(time: float | None) -> tuple[bool, float]:
    """A sort key: latest time first, missing times last."""
    return time is None, -(time or 0)
