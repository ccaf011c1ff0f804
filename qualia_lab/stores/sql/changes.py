"""The change token of a database server: one small query on the counters that the server keeps of its tables."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab.stores.change_tokens import token_of
from qualia_lab.stores.sql.genai_tables import GENAI_NAMES
from qualia_lab.stores.sql.tables import NAMES

if TYPE_CHECKING:
    from qualia_lab.stores.sql.connection import SqlConnection

# Since PostgreSQL 15, counts of written rows arrive at the latest ten seconds after the commit and are not lost. Where
# they may be missing, the snapshot is taken, which also differs after a write to another database of the server.
_POSTGRESQL = """
SELECT CASE
    WHEN current_setting('track_counts')::bool AND current_setting('server_version_num')::int >= 150000
        AND NOT pg_is_in_recovery() THEN pg_postmaster_start_time()::text || (
        SELECT string_agg(concat_ws(' ', relid, n_tup_ins, n_tup_upd, n_tup_del), ',' ORDER BY relid)
        FROM pg_stat_user_tables WHERE relname IN :names AND schemaname = ANY (current_schemas(false)))
    END, txid_current_snapshot()::text
"""

# InnoDB sets the time when a transaction commits, to that of its last statement in whole seconds.
_MYSQL = """
SELECT table_name, create_time, update_time, unix_timestamp(update_time) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name IN :names ORDER BY table_name
"""
SECONDS_OF_A_TRANSACTION = 60.0  # the longest one that is allowed for


def server_token(database: SqlConnection) -> str:
    """Return a token that differs after MLflow's tables were written to.

    Args:
        database: a connection to PostgreSQL, MySQL or MariaDB; of another database every token differs.
    """
    name = database.sql.dialect.name
    if name == "postgresql":
        [(counts, snapshot)] = database.fetch(_with_names(_POSTGRESQL))
        return token_of(counts or snapshot)
    if name in ("mysql", "mariadb"):
        if not getattr(database.sql.dialect, "is_mariadb", False):
            with suppress(sa.exc.SQLAlchemyError):  # MySQL 8 shows times of the last day otherwise; 5.7 lacks it
                database.sql.exec_driver_sql("SET SESSION information_schema_stats_expiry = 0")
        rows = database.fetch(_with_names(_MYSQL))
        last = max((float(seconds) for *_, seconds in rows if seconds is not None), default=None)
        return token_of(tuple(map(str, rows)), last_write=last, unsettled=SECONDS_OF_A_TRANSACTION)
    return token_of(time.time_ns())


def _with_names(query: str) -> sa.TextClause:
    names: sa.BindParameter[Any] = sa.bindparam("names", (*NAMES, *GENAI_NAMES), expanding=True)
    return sa.text(query).bindparams(names)
