"""Apache Spark as the engine: the active session, one in this process, a cluster, or a Spark Connect server."""

from __future__ import annotations

import contextlib
import os
import re
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
# The URL schemes of object stores that Hadoop spells differently.
_SCHEMES = {"s3": "s3a", "gcs": "gs"}
_GLOB_CHARACTER = re.compile(r"[\\*?\[\]{}]")


class Spark:
    """A Connection to Apache Spark.

    where: `spark` for the active session or, if there is none, a new one in this process; `local[N]` or `spark://…` for
    a master; `sc://…` for a Spark Connect server. Raises ExtraMissing without pyspark, and EngineError if the session
    does not open.
    """

    def __init__(self, where: str) -> None:
        self.name = "Spark"
        self._owns_session = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pyspark warns about pandas 3, which is not used here
                if where.startswith("sc://"):
                    self._session = _connect(where)
                else:
                    from pyspark.sql import SparkSession

                    active = SparkSession.getActiveSession()
                    self._owns_session = active is None
                    self._session = active or _start(SparkSession.builder, where)
        except ImportError as error:
            raise ExtraMissing(
                f"Aggregating with Spark needs a package that is not installed: {one_line(str(error), 200)}.",
                "Install it: pip install 'qualia-lab[spark]'",
            ) from error
        # The session may belong to the user: the prefix avoids collisions with other views.
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
        if self._owns_session:
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
    """Open a separate session on a Spark Connect server."""
    from pyspark.sql.connect.session import SparkSession

    try:
        session = SparkSession.builder.remote(url).create()
        session.version  # noqa: B018 - the first request to the server
    except Exception as error:
        raise _not_open(url, str(error)) from error
    return session


def _start(builder: Any, where: str) -> Any:
    """Start a session in this process, or one on a cluster with its driver in this process."""
    if not _has_java():
        raise EngineError(
            "Spark needs Java 17 or newer, which is not installed on this machine.",
            "Install it or set JAVA_HOME. A Spark Connect server (sc://HOST) needs no local Java.",
        )
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    if where != "spark":
        builder = builder.master(where)
    if where.startswith("local"):  # not reachable from outside; the default of 200 partitions is too many
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        settings["spark.sql.shuffle.partitions"] = "4"
    for name, value in settings.items():
        builder = builder.config(name, value)
    with _java_stderr_to_file() as stderr:
        try:
            return builder.getOrCreate()
        except Exception as error:
            stderr.seek(0)
            last_output = stderr.read()[-200:].decode(errors="replace")
            raise _not_open(where, f"{error} {last_output}") from error


@contextlib.contextmanager
def _java_stderr_to_file() -> Iterator[Any]:
    """Redirect the stderr of the Java process to a file for its whole life; a notebook cell would show it otherwise."""
    with tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(original, 2)
            os.close(original)


def _not_open(where: str, reason: str) -> EngineError:
    return EngineError(
        f"Spark did not open {where}: {one_line(reason, 300)}.", "Check the address and that the server is running."
    )


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None


def _address(file: str) -> str:
    """The path or URL of a file with the scheme that Hadoop uses.

    Hadoop's paths are not percent-encoded: `%20` would be three characters of a name. Glob characters are escaped.
    """
    scheme, separator, rest = file.partition("://")
    if not separator:
        scheme, rest = "file", "/" + file.lstrip("/")
    rest = _GLOB_CHARACTER.sub(r"\\\g<0>", rest)
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}"


def _failure(error: Exception) -> EngineError:
    return EngineError(
        f"Spark failed: {one_line(str(error), 300)}.",
        "Spark too must be able to read the files of the snapshot, at the same path or URL.",
    )
