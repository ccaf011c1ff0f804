"""DuckDB as the engine: in this process, on one machine."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import EngineError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

# The memory limit of DuckDB; beyond it, DuckDB spills to a temporary folder.
MEMORY = "1GB"

# In a path these match any characters; in brackets they match themselves.
_GLOB_CHARACTER = re.compile(r"[*?\[]")
_ARGUMENT = re.compile(r"(?<!:):([a-z_]+)")


class DuckDB:
    """A Connection to an in-memory DuckDB; filesystem: an fsspec file system, for files that are not local."""

    name = "DuckDB"

    def __init__(self, filesystem: Any = None) -> None:
        import duckdb

        self._spill = tempfile.TemporaryDirectory(prefix="qualia-")
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY,
                "temp_directory": self._spill.name,
                "preserve_insertion_order": "false",
                "python_enable_replacements": "false",  # never resolve a table name to a Python variable
                "autoinstall_known_extensions": "false",  # never download extensions
            },
        )
        if filesystem is not None:
            self._connection.register_filesystem(filesystem)

    def add_files(self, name: str, files: Sequence[str], columns: pa.Schema) -> str:
        """See Connection."""
        if not files:
            from qualia_lab.tables import table_of

            return self.add_table(name, table_of(columns, []))
        literals = ", ".join(_literal(_GLOB_CHARACTER.sub(r"[\g<0>]", file)) for file in files)
        return self.add_view(name, f"SELECT {', '.join(columns.names)} FROM read_parquet([{literals}])")

    def add_table(self, name: str, table: pa.Table) -> str:
        """See Connection."""
        self._connection.register(name, table)
        return name

    def add_view(self, name: str, sql: str) -> str:
        """See Connection."""
        self._run(f"CREATE VIEW {name} AS {sql}", {})
        return name

    def query(self, sql: str, arguments: Mapping[str, Any], columns: pa.Schema) -> pa.Table:
        """See Connection."""
        result = self._run(_ARGUMENT.sub(r"$\1", sql), arguments)
        return result.to_arrow_table().select(columns.names).cast(columns)

    def close(self) -> None:
        """See Connection."""
        self._connection.close()
        self._spill.cleanup()

    def _run(self, sql: str, arguments: Mapping[str, Any]) -> Any:
        import duckdb

        try:
            return self._connection.sql(sql, params=dict(arguments) or None)
        except duckdb.Error as error:
            raise EngineError(
                f"DuckDB failed: {one_line(str(error), 300)}.",
                "If files of the snapshot are missing, create it again.",
            ) from error


def _literal(value: str) -> str:
    """A text as an SQL literal; used only for file names, because a view takes no arguments."""
    return "'" + value.replace("'", "''") + "'"
