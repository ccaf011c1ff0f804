"""open_engine: a snapshot and the name of an engine become aggregates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import EngineError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qualia_lab.engines.connection import Connection
    from qualia_lab.engines.engine import Engine

_MASTER = re.compile(r"spark|local(\[[0-9*]+\])?|(spark|k8s)://\S+|yarn|sc://\S+")


def open_engine(
    snapshot: str | Path,
    engine: str = "duckdb",
    *,
    experiments: Sequence[str] = (),
    filter: str = "",  # noqa: A002 - MLflow's word
    run_ids: Sequence[str] | None = None,
) -> Engine:
    """Open a snapshot to ask for aggregates of its runs, computed by DuckDB in this process or by Apache Spark.

    snapshot: `snapshot:PATH`, `snapshot:URL`, or the path itself.
    engine: `duckdb`; `spark` for the session that is active or else one in this process; a master (`local[2]`,
    `spark://HOST:PORT`); or a Spark Connect server (`sc://HOST:PORT`).
    experiments: names, ids or globs; none means every active one.  filter: as on every command.
    run_ids: exactly these runs, whatever the rest says.

    Raises EngineError, ExtraMissing, StoreNotFound for what is no snapshot, UnknownExperiment, FilterError.
    """
    check_engine(engine)
    from qualia_lab import schema
    from qualia_lab.columns import column
    from qualia_lab.engines.engine import Engine
    from qualia_lab.selection import Query, match_experiments
    from qualia_lab.stores.snapshot.manifest import read_manifest
    from qualia_lab.stores.snapshot.place import open_place
    from qualia_lab.stores.snapshot.store import SnapshotStore

    where = str(snapshot).removeprefix("snapshot:").removeprefix("//")
    place = open_place(where)
    manifest = read_manifest(place)
    store = SnapshotStore(where)
    known = store.read_experiments()
    ids = [row["experiment_id"] for row in match_experiments(experiments, known)]
    if not experiments:
        ids = known.column("experiment_id").to_pylist()
    wanted = None
    if run_ids is not None:
        wanted = column(list(run_ids), schema.STRING)
    elif filter:
        found = store.read_runs(Query(experiment_ids=tuple(ids), filter=filter)).column("run_id")
        wanted = column(found.to_pylist(), schema.STRING)
    root, filesystem = place.address()
    if filesystem is None:
        for file in manifest.files():  # it is no link to another file of this machine, whoever wrote the manifest
            place.open(file.file).close()
    return Engine(_connect(engine, filesystem), manifest, root, experiment_ids=ids, run_ids=wanted)


def check_engine(engine: str, tracking_uri: str = "snapshot:") -> None:
    """Raise EngineError when there is no such engine, or when the store is nothing that it could read."""
    if engine != "duckdb" and not _MASTER.fullmatch(engine):
        raise EngineError(
            f"No engine is called {one_line(engine, 80)}.",
            "Use duckdb, spark, local[2], spark://HOST:PORT or sc://HOST:PORT.",
        )
    if re.search(r"(?i);[^;]*(token|password|secret|key)[^;=]*=", engine) or "@" in engine:
        raise EngineError(
            "The engine's address holds a secret, and it would stand in the notebook.",
            "Set SPARK_CONNECT_AUTHENTICATE_TOKEN instead.",
        )
    if not tracking_uri.startswith("snapshot:"):
        raise EngineError(
            f"An engine reads a snapshot, and {one_line(tracking_uri, 200)} is none.",
            f"Make one: qualia snapshot {one_line(tracking_uri, 200)} FOLDER; then pass --tracking-uri snapshot:FOLDER",
        )


def _connect(engine: str, filesystem: Any) -> Connection:
    if engine == "duckdb":
        from qualia_lab.engines.on_duckdb import DuckDB

        return DuckDB(filesystem)
    from qualia_lab.engines.on_spark import Spark

    return Spark(engine)
