"""Connection: the interface that an aggregation engine (DuckDB, Spark) implements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


class Connection(Protocol):
    """An open engine. It owns the views and tables that it creates and drops them when it is closed."""

    name: str  # the name of the engine in messages

    def add_files(self, name: str, files: Sequence[str], columns: pa.Schema) -> str:
        """Create a view over the union of these Parquet files; return its name in SQL."""
        ...

    def add_table(self, name: str, table: pa.Table) -> str:
        """Register a small in-memory table; return its name in SQL."""
        ...

    def add_view(self, name: str, sql: str) -> str:
        """Create a view from a statement without arguments; return its name in SQL."""
        ...

    def query(self, sql: str, arguments: Mapping[str, Any], columns: pa.Schema) -> pa.Table:
        """Execute a statement with named arguments (`:name`); return these columns of it. Raises EngineError."""
        ...

    def close(self) -> None:
        """Release the views, tables and sessions that were opened."""
        ...
