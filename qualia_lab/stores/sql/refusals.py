"""What a database's driver says when it cannot, as one of our sentences."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from qualia_lab.errors import StoreError, StoreNotFound, StoreRefused, StoreUnreachable, StoreUnreadable
from qualia_lab.escaping import one_line
from qualia_lab.stores.sql.servers import SECONDS_OF_A_STATEMENT

if TYPE_CHECKING:
    from qualia_lab.stores.uri import TrackingUri

# What the drivers say: SQLSTATEs and MySQL's numbers. PostgreSQL gives no code for a connection that fails, only words.

_REFUSED = {"28000", "28P01", "42501", 1044, 1045, 1142, 1143, 1698}
_NO_DATABASE = {"3D000", 1049}
_TOO_SLOW = {"57014", 1969, 3024}
# There is a server, and for now no place on it; or the connection was there and is gone.
_NOT_NOW = {"53300", "57P03", 1040, 1129, 1203, 1226}
_NOT_NOW_WORDS = (
    *("too many clients", "connection slots are reserved", "not currently accepting connections"),
    *("is starting up", "is shutting down", "too many connections"),
)
_CUT = {"57P01", "57P02", "57P05", 1053, 1927, 2006, 2013}
_CUT_WORDS = (
    *("closed the connection", "closed unexpectedly", "terminating connection", "connection reset", "broken pipe"),
    *("ssl syscall error", "connection is lost", "lost connection"),
)
_NO_HOST_WORDS = ("resolve host", "translate host name", "not known", "name resolution", "getaddrinfo")
_REFUSED_WORDS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "permission denied")

_TLS_WORDS = ("SSL", "TLS", "certificate", "sslmode")


def is_interrupted(error: Exception) -> bool:
    """Whether SQLite gave up because of a Ctrl-C, which sqlite3 hears but does not raise."""
    cause = getattr(error, "orig", None) or error
    return getattr(cause, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT


def translated(error: Exception, uri: TrackingUri) -> StoreError:
    """The error as a sentence, in which nothing of the driver's stands that could hold a secret."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _translated_sqlite(cause, uri)
    sqlstate = getattr(cause, "sqlstate", None)
    codes = {sqlstate, *cause.args[:1]}  # MySQL's own number is the first argument
    words = str(cause)
    if codes & _REFUSED or any(word in words for word in _REFUSED_WORDS) or _is_unknown_role(words):
        return StoreRefused(
            f"The database at {uri.safe} refused this user or password.", "Check both, and the user's right to read."
        )
    if codes & _NO_DATABASE or re.search(r'database ".*" does not exist', words):
        return StoreNotFound(f"The server has no such database: {uri.safe}.", "Check its name; nothing was created.")
    if _is_tls_trouble(cause, uri):
        return StoreUnreachable(
            f"No secure connection (TLS) to {uri.safe} could be made: {uri.redact_answer(_first_line(words))}.",
            "Check sslmode, sslrootcert, sslcert and sslkey of the URI (with MySQL ssl_ca, ssl_cert, ssl_key), and "
            "that the server has TLS.",
        )
    if codes & _TOO_SLOW or isinstance(cause, TimeoutError):
        return StoreUnreachable(
            f"{uri.safe} took more than {SECONDS_OF_A_STATEMENT} s to answer.",
            "Ask for fewer runs, or try again later.",
        )
    said = one_line(uri.redact_answer(_first_line(words)), 200)
    if codes & _NOT_NOW or any(word in words.lower() for word in _NOT_NOW_WORDS):
        reason = one_line(uri.redact_answer(_reason(cause)), 200)
        return StoreUnreachable(f"The database at {uri.safe} takes no connection now: {reason}.", "Try again later.")
    if _is_cut(codes, words):
        return StoreUnreachable(
            f"The database at {uri.safe} closed the connection.",
            "It was restarted, or the connection was ended there or on the way: try again.",
        )
    # A connection that fails has no SQLSTATE, and with MySQL a number of the client's own.
    is_answer = sqlstate is not None or any(isinstance(code, int) and code < 2000 for code in codes)
    if isinstance(error, OSError) or (type(error).__name__ in ("OperationalError", "InterfaceError") and not is_answer):
        return StoreUnreachable(
            _why_unreachable(words.lower(), uri), "Check host and port, and that the server runs and can be reached."
        )
    return StoreUnreadable(f"{uri.safe} could not be read: {said}.", "Check that it is a store of MLflow.")


def _why_unreachable(words: str, uri: TrackingUri) -> str:
    """Whether nobody listens there, nobody answers, or there is no such host."""
    if "refused" in words:
        return f"Nothing accepts connections at {uri.safe}."
    if any(word in words for word in _NO_HOST_WORDS):
        return f"There is no server of the name in {uri.safe}."
    if "timed out" in words or "timeout" in words:
        return f"The database at {uri.safe} did not answer in time."
    return f"No database answers at {uri.safe}."


def _is_cut(codes: set[object], words: str) -> bool:
    """Whether there was a connection, and it is gone."""
    if "timed out" in words or "timeout" in words:
        return False
    has_code = codes & _CUT or any(isinstance(code, str) and code.startswith("08") for code in codes)
    return bool(has_code) or any(word in words.lower() for word in _CUT_WORDS)


def _reason(cause: BaseException) -> str:
    """What PostgreSQL says after FATAL, or MySQL after its number."""
    fatal = re.search(r"FATAL:\s+(.*)", str(cause))
    words = fatal[1] if fatal else str(cause.args[1]) if len(cause.args) > 1 else str(cause)
    return _first_line(words)


def _is_tls_trouble(cause: BaseException, uri: TrackingUri) -> bool:
    """Whether no secure connection came about; a file that is not there is one of those that the URI names for TLS."""
    if isinstance(getattr(cause, "original_exception", cause), FileNotFoundError):  # as PyMySQL wraps it
        return "ssl" in uri.full.partition("?")[2]
    words = str(cause)
    return any(word in words for word in _TLS_WORDS) and not any(word in words.lower() for word in _CUT_WORDS)


def _is_unknown_role(words: str) -> bool:
    return "role" in words and "does not exist" in words


def _translated_sqlite(error: sqlite3.Error, uri: TrackingUri) -> StoreError:
    words = str(error)
    if "locked" in words:
        return StoreUnreachable(
            f"{uri.safe} is locked by another program, and stayed so for some seconds.",
            "Try again when that program has written what it writes.",
        )
    if "malformed" in words or "not a database" in words:
        return StoreUnreadable(
            f"{uri.safe} is damaged: {_first_line(words)}.", "Restore it from a copy, or try `sqlite3 FILE .recover`."
        )
    return StoreUnreadable(f"{uri.safe} could not be read: {_first_line(words)}.", "Check the file and its folder.")


def _first_line(words: str) -> str:
    return words.strip().splitlines()[0].rstrip(".") if words.strip() else "no reason given"
