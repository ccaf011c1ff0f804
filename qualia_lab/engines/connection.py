"""Connection: the few things that an engine has to be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


class Connection(Protocol):
    """An engine that was opened; its views and tables are its own, and go when it is closed."""

    name: str  # what to call it in a message

    def add_files(self, name: str, files: Sequence[str], columns: pa.Schema) -> str:
        """A view over these Parquet files, as one table; what to call it in a statement."""
        ...

    def add_table(self, name: str, table: pa.Table) -> str:
        """A small table of this process; what to call it in a statement."""
        ...

    def add_view(self, name: str, sql: str) -> str:
        """A view of a statement without arguments; what to call it in a statement."""
        ...

    def query(self, sql: str, arguments: Mapping[str, Any], columns: pa.Schema) -> pa.Table:
        """What a statement with arguments (`:name`) gives, in these columns. Raises EngineError."""
        ...

    def close(self) -> None:
        """Let go of what was opened for it."""
        ...
