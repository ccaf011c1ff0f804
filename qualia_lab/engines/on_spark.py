"""Apache Spark: the session that is there, one of this process, a cluster, or a Spark Connect server."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from qualia_lab.errors import EngineError, ExtraMissing
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_KINDS = {pa.string(): "STRING", pa.int64(): "BIGINT", pa.float64(): "DOUBLE"}
# Object stores go by other names in Hadoop's file systems.
_SCHEMES = {"s3": "s3a", "gcs": "gs"}


class Spark:
    """See Connection.

    where: `spark` for the session that is active, else one in this process; `local[N]` or `spark://…` for a master;
    `sc://…` for a Spark Connect server. Raises ExtraMissing, or EngineError when it does not open.
    """

    def __init__(self, where: str) -> None:
        self.name = "Spark"
        self._own = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pyspark doubts pandas 3, which is not used here
                if where.startswith("sc://"):
                    self._session = _connect(where)
                else:
                    from pyspark.sql import SparkSession

                    active = SparkSession.getActiveSession()
                    self._own = active is None
                    self._session = active or _start(SparkSession.builder, where)
        except ImportError as error:
            raise ExtraMissing(
                "To aggregate with Spark, pyspark is needed and is not installed.",
                "Install it: pip install 'qualia-lab[spark]'",
            ) from error
        # The session may be a person's own, with names of its own.
        self._prefix = f"qualia_{uuid4().hex[:8]}_"
        self._views: list[str] = []

    def add_files(self, name: str, files: Sequence[str], columns: pa.Schema) -> str:
        """See Connection."""
        kinds = ", ".join(f"{field.name} {_KINDS[field.type]}" for field in columns)
        if files:
            return self._add(name, self._session.read.schema(kinds).parquet(*map(_address, files)))
        return self._add(name, self._session.createDataFrame([], kinds))

    def add_table(self, name: str, table: pa.Table) -> str:
        """See Connection."""
        if not table.num_rows:
            return self.add_files(name, [], table.schema)
        return self._add(name, self._session.createDataFrame(table))

    def add_view(self, name: str, sql: str) -> str:
        """See Connection."""
        return self._add(name, self._run(sql, {}))

    def query(self, sql: str, arguments: Mapping[str, Any], columns: pa.Schema) -> pa.Table:
        """See Connection."""
        try:
            table = self._run(sql, arguments).toArrow()
        except EngineError:
            raise
        except Exception as error:
            raise _failure(error) from error
        return table.select(columns.names).cast(columns)

    def close(self) -> None:
        """See Connection."""
        for view in self._views:
            self._session.catalog.dropTempView(view)
        if self._own:
            self._session.stop()

    def _run(self, sql: str, arguments: Mapping[str, Any]) -> Any:
        try:
            return self._session.sql(sql, args=dict(arguments))
        except Exception as error:
            raise _failure(error) from error

    def _add(self, name: str, frame: Any) -> str:
        view = self._prefix + name
        try:
            frame.createOrReplaceTempView(view)
        except Exception as error:
            raise _failure(error) from error
        self._views.append(view)
        return view


def _connect(url: str) -> Any:
    """A session of its own on a Spark Connect server."""
    from pyspark.sql.connect.session import SparkSession

    try:
        session = SparkSession.builder.remote(url).create()
        session.version  # noqa: B018 - the first question that the server has to answer
    except Exception as error:
        raise _not_open(url, str(error)) from error
    return session


def _start(builder: Any, where: str) -> Any:
    """A session in this process, or one of a cluster that this process drives."""
    if not _has_java():
        raise EngineError(
            "Spark needs Java 17 or newer, and there is none on this machine.",
            "Install one or set JAVA_HOME; a Spark Connect server, sc://HOST, needs none here.",
        )
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    if where != "spark":
        builder = builder.master(where)
    if where.startswith("local"):  # nobody else is to reach it, and it has no use for two hundred partitions
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        settings["spark.sql.shuffle.partitions"] = "4"
    for name, value in settings.items():
        builder = builder.config(name, value)
    with _java_speaks_into_a_file() as said:
        try:
            return builder.getOrCreate()
        except Exception as error:
            said.seek(0)
            words = said.read()[-200:].decode(errors="replace")
            raise _not_open(where, f"{error} {words}") from error


@contextlib.contextmanager
def _java_speaks_into_a_file() -> Iterator[Any]:
    """What Java says on stderr as long as it lives goes into a file: else a cell of a notebook shows it."""
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _not_open(where: str, reason: str) -> EngineError:
    return EngineError(
        f"Spark did not open {where}: {one_line(reason, 300)}.", "Check the address, and that it is running."
    )


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None


def _address(file: str) -> str:
    """The path or URL of a file as Hadoop's file systems have it."""
    scheme, separator, rest = file.partition("://")
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}" if separator else Path(file).as_uri()


def _failure(error: Exception) -> EngineError:
    return EngineError(
        f"Spark could not do this: {one_line(str(error), 300)}.",
        "The files of the snapshot have to be there for Spark too, at the same path or URL.",
    )
