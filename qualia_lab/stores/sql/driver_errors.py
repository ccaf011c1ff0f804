"""Translates errors of database drivers into errors of this package, with a message and a hint."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from qualia_lab.errors import StoreError, StoreNotFound, StoreRefused, StoreUnreachable, StoreUnreadable
from qualia_lab.escaping import one_line
from qualia_lab.stores.sql.servers import SECONDS_OF_A_STATEMENT

if TYPE_CHECKING:
    from qualia_lab.stores.uri import TrackingUri

# Error codes of the drivers: SQLSTATEs, and MySQL's error numbers. PostgreSQL has no code for a failed connection.

_REFUSED = {"28000", "28P01", "42501", 1044, 1045, 1142, 1143, 1698}
_NO_DATABASE = {"3D000", 1049}
_TOO_SLOW = {"57014", 1969, 3024}
# The server runs, but accepts no more connections at the moment.
_UNAVAILABLE = {"53300", "57P03", 1040, 1129, 1203, 1226}
_UNAVAILABLE_WORDS = (
    *("too many clients", "connection slots are reserved", "not currently accepting connections"),
    *("is starting up", "is shutting down", "too many connections"),
)
# The connection was established and then lost.
_CONNECTION_LOST = {"57P01", "57P02", "57P05", 1053, 1927, 2006, 2013}
_CONNECTION_LOST_WORDS = (
    *("closed the connection", "closed unexpectedly", "terminating connection", "connection reset", "broken pipe"),
    *("ssl syscall error", "connection is lost", "lost connection"),
)
_NO_HOST_WORDS = ("resolve host", "translate host name", "not known", "name resolution", "getaddrinfo")
_REFUSED_WORDS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "permission denied")

_TLS_WORDS = ("SSL", "TLS", "certificate", "sslmode")


def is_interrupted(error: Exception) -> bool:
    """Whether SQLite stopped because of a Ctrl-C, which sqlite3 notices without raising KeyboardInterrupt."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT


def to_store_error(error: Exception, uri: TrackingUri) -> StoreError:
    """The driver's error as a StoreError, with secrets redacted from any of the driver's text that it quotes."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _sqlite_error(cause, uri)
    sqlstate = getattr(cause, "sqlstate", None)
    codes = {sqlstate, *cause.args[:1]}  # MySQL's error number is the first argument
    message = str(cause)
    if codes & _REFUSED or any(word in message for word in _REFUSED_WORDS) or _is_unknown_role(message):
        return StoreRefused(
            f"The database at {uri.safe} refused this user or password.", "Check both, and the user's right to read."
        )
    if codes & _NO_DATABASE or re.search(r'database ".*" does not exist', message):
        return StoreNotFound(f"The server has no such database: {uri.safe}.", "Check its name; nothing was created.")
    if _is_tls_error(cause, uri):
        return StoreUnreachable(
            f"No secure connection (TLS) to {uri.safe} could be made: {uri.redact_answer(_first_line(message))}.",
            "Check sslmode, sslrootcert, sslcert and sslkey of the URI (with MySQL ssl_ca, ssl_cert, ssl_key), and "
            "that the server has TLS.",
        )
    if codes & _TOO_SLOW:
        return StoreUnreachable(
            f"{uri.safe} took more than {SECONDS_OF_A_STATEMENT} s to answer.",
            "Ask for fewer runs, or try again later.",
        )
    detail = one_line(uri.redact_answer(_first_line(message)), 200)
    if codes & _UNAVAILABLE or any(word in message.lower() for word in _UNAVAILABLE_WORDS):
        reason = one_line(uri.redact_answer(_reason(cause)), 200)
        return StoreUnreachable(f"The database at {uri.safe} takes no connection now: {reason}.", "Try again later.")
    if _is_connection_lost(codes, message):
        return StoreUnreachable(
            f"The database at {uri.safe} closed the connection.",
            "The server was restarted, or the connection was ended by the server or the network: try again.",
        )
    # A failed connection has no SQLSTATE; with MySQL it has one of the client's numbers, which start at 2000.
    is_from_server = sqlstate is not None or any(isinstance(code, int) and code < 2000 for code in codes)
    if isinstance(error, OSError) or (
        type(error).__name__ in ("OperationalError", "InterfaceError") and not is_from_server
    ):
        return StoreUnreachable(
            _unreachable_message(message.lower(), uri),
            "Check host and port, and that the server runs and can be reached.",
        )
    return StoreUnreadable(f"{uri.safe} could not be read: {detail}.", "Check that it is a store of MLflow.")


def _unreachable_message(message: str, uri: TrackingUri) -> str:
    """The message for a connection that failed: it was refused, the host name is unknown, or it timed out."""
    if "refused" in message:
        return f"Nothing accepts connections at {uri.safe}."
    if any(word in message for word in _NO_HOST_WORDS):
        return f"There is no server of the name in {uri.safe}."
    if "timed out" in message or "timeout" in message:
        return f"The database at {uri.safe} did not answer in time."
    return f"No database answers at {uri.safe}."


def _is_connection_lost(codes: set[object], message: str) -> bool:
    """Whether a connection was established and then lost."""
    if "timed out" in message or "timeout" in message:
        return False
    has_code = codes & _CONNECTION_LOST or any(isinstance(code, str) and code.startswith("08") for code in codes)
    return bool(has_code) or any(word in message.lower() for word in _CONNECTION_LOST_WORDS)


def _reason(cause: BaseException) -> str:
    """The text after FATAL (PostgreSQL) or after the error number (MySQL)."""
    fatal = re.search(r"FATAL:\s+(.*)", str(cause))
    message = fatal[1] if fatal else str(cause.args[1]) if len(cause.args) > 1 else str(cause)
    return _first_line(message)


def _is_tls_error(cause: BaseException, uri: TrackingUri) -> bool:
    """Whether the TLS connection failed. A missing file counts where the URI names files for TLS."""
    if isinstance(getattr(cause, "original_exception", cause), FileNotFoundError):  # as PyMySQL wraps it
        return "ssl" in uri.full.partition("?")[2]
    message = str(cause)
    return any(word in message for word in _TLS_WORDS) and not any(
        word in message.lower() for word in _CONNECTION_LOST_WORDS
    )


def _is_unknown_role(message: str) -> bool:
    return "role" in message and "does not exist" in message


def _sqlite_error(error: sqlite3.Error, uri: TrackingUri) -> StoreError:
    message = str(error)
    if "locked" in message:
        return StoreUnreachable(
            f"{uri.safe} is locked by another program, and stayed locked for some seconds.",
            "Try again when that program has finished writing.",
        )
    if "malformed" in message or "not a database" in message:
        return StoreUnreadable(
            f"{uri.safe} is damaged: {_first_line(message)}.", "Restore it from a copy, or try `sqlite3 FILE .recover`."
        )
    return StoreUnreadable(f"{uri.safe} could not be read: {_first_line(message)}.", "Check the file and its folder.")


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0].rstrip(".") if message.strip() else "no reason given"
