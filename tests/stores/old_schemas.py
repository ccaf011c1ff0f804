"""Creates databases with the schemas of old versions of MLflow, with a few known rows."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PARENT, CHILD = "a" * 32, "b" * 32

_EVERYWHERE = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE tags (
    key VARCHAR(250) NOT NULL, value VARCHAR(5000), run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE params (
    key VARCHAR(250) NOT NULL, value VARCHAR(250) NOT NULL, run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE runs (
    run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), source_type VARCHAR(20), source_name VARCHAR(500),
    entry_point_name VARCHAR(50), user_id VARCHAR(256), status VARCHAR(20), start_time BIGINT, end_time BIGINT,
    source_version VARCHAR(50), lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200), experiment_id INTEGER);
CREATE TABLE experiments (
    experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL UNIQUE, artifact_location VARCHAR(256),
    lifecycle_stage VARCHAR(32));
"""

_METRICS = """
CREATE TABLE metrics (
    key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL,
    step BIGINT DEFAULT 0 NOT NULL{is_nan}, PRIMARY KEY (key, timestamp, step, run_uuid, value));
"""

_SINCE_1_9 = """
CREATE TABLE experiment_tags (
    key VARCHAR(250) NOT NULL, value VARCHAR(5000), experiment_id INTEGER NOT NULL, PRIMARY KEY (key, experiment_id));
CREATE TABLE latest_metrics (
    key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT, step BIGINT NOT NULL, is_nan BOOLEAN NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
"""

_SINCE_1_30 = """
ALTER TABLE runs ADD COLUMN deleted_time BIGINT;
ALTER TABLE experiments ADD COLUMN creation_time BIGINT;
ALTER TABLE experiments ADD COLUMN last_update_time BIGINT;
"""

REVISIONS = {
    "1.0.0": "90e64c465722",
    "1.9.1": "0a8213491aaa",
    "1.30.1": "97727af70f4d",
    "2.22": "0584bdc529eb",
    "3.0": "6953534de441",
}

# (key, value, timestamp, step, is NaN)
POINTS = [
    ("loss", 3.0, 10, 0, False),
    ("loss", 1.0, 30, 2, False),
    ("loss", 0.5, 20, 2, False),
    ("tie", 1.0, 10, 1, False),
    ("tie", 2.0, 10, 1, False),
    ("gone", 0.0, 10, 0, True),
]
LATEST = {"loss": (1.0, 2, 30, False), "tie": (2.0, 1, 10, False), "gone": (0.0, 0, 10, True)}


def write_old_store(path: Path, version: str) -> None:
    """Create a SQLite file with the schema of this version of MLflow, with a parent run without a name and its child.

    Schemas up to 1.30.1 are created by their DDL, later ones by MLflow's migrations up to that version.
    """
    with_nan = version != "1.0.0"
    by_migrations = not version.startswith("1.")
    if by_migrations:
        _migrate(path, REVISIONS[version])
    connection = sqlite3.connect(path)
    if not by_migrations:
        connection.executescript(_EVERYWHERE + _METRICS.format(is_nan=", is_nan BOOLEAN DEFAULT 0 NOT NULL" * with_nan))
        connection.execute("INSERT INTO alembic_version VALUES (?)", (REVISIONS[version],))
    insert = (
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (?, ?, ?, 'active')"
    )
    connection.executemany(insert, [(0, "Default", "./mlruns/0"), (7, "old", "./mlruns/7")])
    if with_nan and not by_migrations:
        connection.executescript(_SINCE_1_9)
    if with_nan:
        connection.execute("INSERT INTO experiment_tags VALUES ('team', 'growth', 7)")
    if version == "1.30.1":
        connection.executescript(_SINCE_1_30)
    if version == "1.30.1" or by_migrations:
        connection.execute("UPDATE experiments SET creation_time = 500, last_update_time = 600")
    columns = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"
    for run_id, name, start in ((PARENT, "", 1000), (CHILD, None, 2000)):
        row = (run_id, name, "ada", "FINISHED", start, start + 50, "active", f"./mlruns/7/{run_id}/artifacts", 7)
        connection.execute(f"INSERT INTO runs ({columns}) VALUES ({','.join('?' * 9)})", row)
    connection.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
        [("mlflow.runName", "the parent", PARENT), ("mlflow.parentRunId", PARENT, CHILD)],
    )
    connection.execute("INSERT INTO params (key, value, run_uuid) VALUES ('lr', '0.1', ?)", (CHILD,))
    columns = "key, value, timestamp, run_uuid, step" + ", is_nan" * with_nan
    for key, value, timestamp, step, is_nan in POINTS:
        row = (key, value, timestamp, CHILD, step, is_nan)[: 5 + with_nan]
        connection.execute(f"INSERT INTO metrics ({columns}) VALUES ({','.join('?' * len(row))})", row)
    if with_nan:
        columns = "key, value, timestamp, step, is_nan, run_uuid"
        for key, (value, step, timestamp, is_nan) in LATEST.items():
            row = (key, value, timestamp, step, is_nan, CHILD)
            connection.execute(f"INSERT INTO latest_metrics ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()


def _migrate(path: Path, revision: str) -> None:
    import sqlalchemy as sa
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sa.create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
