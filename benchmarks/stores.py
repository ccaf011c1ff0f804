"""Create stores for benchmarks: MLflow's own schema, filled with SQL inside the database."""

from __future__ import annotations

import math
import os
import random
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXPERIMENTS = 10
STARTED = 1_760_000_000_000


@dataclass(frozen=True)
class Size:
    """The size of a store."""

    runs: int
    params: int = 20
    metrics: int = 30
    steps: int = 100

    @property
    def points(self) -> int:
        """The number of points of all histories."""
        return self.runs * self.metrics * self.steps

    def __str__(self) -> str:
        return f"{self.runs:,} runs, {self.params} params, {self.metrics} metrics, {self.points:,} points"


# Each statement fills a table from `numbered` (the runs, from 0) and `numbers`; `{real}` is the type for doubles.
# Values are fractions that depend on run, key and step. In every 50th run, the last point of the first metric is NaN.
_VALUE = "CAST((n.n * 7919 + k.n * 104729 + s.n * 1299709) % 1000003 AS {real}) / 1000003"
_IS_NAN = "n.n % 50 = 0 AND k.n = 0 AND s.n = {steps} - 1"
_POINTS = (
    " (key, value, timestamp, run_uuid, step, is_nan) SELECT 'metric_' || k.n,"
    f" CASE WHEN {_IS_NAN} THEN 0 ELSE {_VALUE} END, {STARTED} + n.n * 1000 + s.n, n.run_uuid, s.n, {_IS_NAN}"
    " FROM numbered n CROSS JOIN numbers k CROSS JOIN numbers s WHERE k.n < {metrics}"
)
_PARAMS = (
    "INSERT INTO params (key, value, run_uuid) SELECT 'param_' || k.n, CASE k.n % 3"
    " WHEN 0 THEN CAST((n.n * 31 + k.n) % 7 AS TEXT) WHEN 1 THEN '0.' || (n.n * 17 + k.n) % 1000"
    " ELSE 'choice ' || (n.n + k.n) % 5 END, n.run_uuid FROM numbered n CROSS JOIN numbers k WHERE k.n < {params}"
)
_FILLING = (
    _PARAMS,
    "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.runName', 'run ' || n.n, n.run_uuid FROM numbered n",
    "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.user', 'ada', n.run_uuid FROM numbered n",
    f"INSERT INTO metrics{_POINTS} AND s.n < {{steps}}",
    f"INSERT INTO latest_metrics{_POINTS} AND s.n = {{steps}} - 1",
)
_RUN_COLUMNS = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"


def make_schema(uri: str, artifacts: Path) -> list[int]:
    """Let MLflow create its schema and experiments, in a subprocess to save memory; return the experiment ids."""
    code = (
        "import sys, mlflow\n"
        "client = mlflow.MlflowClient(sys.argv[1])\n"
        "for n in range(int(sys.argv[3])): print(client.create_experiment(f'sweep {n}', f'{sys.argv[2]}/{n}'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, uri, str(artifacts), str(EXPERIMENTS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    return [int(line) for line in result.stdout.split()]


def fill_sqlite(path: Path, size: Size, experiments: Sequence[int] = ()) -> None:
    """Fill a SQLite store, in these experiments if it has some; otherwise MLflow creates its schema and experiments."""
    ids = list(experiments) or make_schema(f"sqlite:///{path}", path.parent / "artifacts")
    with closing(sqlite3.connect(path)) as database:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        # Creating an index at the end is faster than updating it for each row.
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'metrics' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        database.execute("CREATE TEMP TABLE numbered (run_uuid TEXT, n INTEGER PRIMARY KEY)")
        database.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
        database.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(_largest(size))])
        rows = runs(size, ids, path.parent / "artifacts")
        database.executemany(f"INSERT INTO runs ({_RUN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.executemany("INSERT INTO numbered VALUES (?, ?)", [(row[0], n) for n, row in enumerate(rows)])
        for statement in _FILLING:
            database.execute(statement.format(real="REAL", **vars(size)))
        for _, sql in indexes:
            database.execute(sql)
        database.commit()
        database.execute("PRAGMA journal_mode = DELETE")


def make_grid(path: Path, levels: Sequence[int]) -> None:
    """Turn each experiment of a store of `fill_sqlite` into a grid of settings, repeated with seeds.

    Args:
        path: the SQLite file.
        levels: the number of values of each varying param; the next param becomes the seed, the others are constant.
    """
    index = (
        f"(SELECT (start_time - {STARTED}) / 1000 / {EXPERIMENTS} FROM runs r WHERE r.run_uuid = {{table}}.run_uuid)"
    )
    strides = [math.prod(levels[:place]) for place in range(len(levels) + 1)]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE params SET value = 'same'")
        for place, (level, stride) in enumerate(zip([*levels, sys.maxsize], strides, strict=True)):
            database.execute(
                f"UPDATE params SET value = CAST({index.format(table='params')} / {stride} % {level} AS TEXT)"
                " WHERE key = ?",
                [f"param_{place}"],
            )
        database.execute("UPDATE params SET key = 'seed' WHERE key = ?", [f"param_{len(levels)}"])
        for table in ("metrics", "latest_metrics"):
            # Values are 0.1 for each step of a param, noise of 0.1 at most, and a curve.
            terms = [
                f"{index.format(table=table)} / {stride} % {level}"
                for level, stride in zip(levels, strides, strict=False)
            ]
            database.execute(
                f"UPDATE {table} SET value = 0.1 * (value + {' + '.join(terms)}) + 1.0 / (1 + step) WHERE is_nan = 0"
            )


def name_metrics(path: Path, names: Sequence[str]) -> None:
    """Give the metrics of a store of `fill_sqlite` these names, by which their meaning is known."""
    with closing(sqlite3.connect(path)) as database, database:
        for number, key in enumerate(names):
            for table in ("metrics", "latest_metrics"):
                database.execute(f"UPDATE {table} SET key = ? WHERE key = ?", (key, f"metric_{number}"))


def fill_postgresql(uri: str, size: Size, artifacts: Path) -> None:
    """Create a store of this size in an empty PostgreSQL database."""
    import psycopg

    ids = make_schema(uri, artifacts)
    with psycopg.connect(uri.replace("+psycopg", "")) as database, database.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE numbered (run_uuid text, n bigint)")
        cursor.execute("CREATE TEMP TABLE numbers AS SELECT n FROM generate_series(0, %s) AS n", [_largest(size)])
        rows = runs(size, ids, artifacts)
        with cursor.copy(f"COPY runs ({_RUN_COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        with cursor.copy("COPY numbered FROM STDIN") as copy:
            for n, row in enumerate(rows):
                copy.write_row((row[0], n))
        for statement in _FILLING:
            cursor.execute(statement.format(real="double precision", **vars(size)))
        database.commit()
        database.autocommit = True
        cursor.execute("ANALYZE")


def fill_folder(folder: Path, size: Size) -> None:
    """Create an `mlruns` folder of this size in MLflow's format, with the same values as in a database."""
    for number in range(EXPERIMENTS):
        home = folder / str(number)
        home.mkdir(parents=True)
        home.joinpath("meta.yaml").write_text(
            f"artifact_location: {home.as_uri()}\ncreation_time: {STARTED}\nexperiment_id: '{number}'\n"
            f"last_update_time: {STARTED}\nlifecycle_stage: active\nname: sweep {number}\n",
            encoding="utf-8",
        )
    for n, row in enumerate(runs(size, list(range(EXPERIMENTS)), folder)):
        home = folder / str(row[8]) / row[0]
        for name in ("params", "metrics", "tags", "artifacts"):
            (home / name).mkdir(parents=True)
        home.joinpath("meta.yaml").write_text(
            f"artifact_uri: {(home / 'artifacts').as_uri()}\nend_time: {row[5]}\nentry_point_name: ''\n"
            f"experiment_id: '{row[8]}'\nlifecycle_stage: active\nrun_id: {row[0]}\nrun_name: {row[1]}\n"
            f"source_name: ''\nsource_type: 4\nsource_version: ''\nstart_time: {row[4]}\nstatus: 3\ntags: []\n"
            "user_id: ada\n",
            encoding="utf-8",
        )
        home.joinpath("tags/mlflow.runName").write_text(row[1], encoding="utf-8")
        home.joinpath("tags/mlflow.user").write_text("ada", encoding="utf-8")
        for k in range(size.params):
            value = (str((n * 31 + k) % 7), f"0.{(n * 17 + k) % 1000}", f"choice {(n + k) % 5}")[k % 3]
            home.joinpath(f"params/param_{k}").write_text(value, encoding="utf-8")
        for k in range(size.metrics):
            lines = []
            for s in range(size.steps):
                is_nan = n % 50 == 0 and k == 0 and s == size.steps - 1
                value = "nan" if is_nan else repr((n * 7919 + k * 104729 + s * 1299709) % 1000003 / 1000003)
                lines.append(f"{STARTED + n * 1000 + s} {value} {s}\n")
            home.joinpath(f"metrics/metric_{k}").write_text("".join(lines), encoding="utf-8")


def runs(size: Size, experiment_ids: list[int], artifacts: Path) -> list[tuple[Any, ...]]:
    """The rows of the runs, with deterministic ids."""
    rng = random.Random(7)  # noqa: S311 - not for secrets
    rows: list[tuple[Any, ...]] = []
    for n in range(size.runs):
        run_id = uuid.UUID(int=rng.getrandbits(128)).hex
        started = STARTED + n * 1000
        experiment = experiment_ids[n % len(experiment_ids)]
        artifact_uri = f"{artifacts}/{experiment}/{run_id}/artifacts"
        rows.append(
            (run_id, f"run {n}", "ada", "FINISHED", started, started + 60_000, "active", artifact_uri, experiment)
        )
    return rows


def _largest(size: Size) -> int:
    return max(size.params, size.metrics, size.steps)
