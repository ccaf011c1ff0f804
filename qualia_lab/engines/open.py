"""open_engine: open a snapshot with an aggregation engine."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import EngineError, ExtraMissing
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
    """Open a snapshot for aggregates over its runs, computed by DuckDB in this process or by Apache Spark.

    Secrets are masked as `open_store` does, with the rules of [tool.qualia].

    Args:
        snapshot: `snapshot:PATH`, `snapshot:URL`, or the path itself.
        engine: `duckdb`; `spark` for the active session or, if there is none, a new one in this process; a master
            (`local[2]`, `spark://HOST:PORT`); or a Spark Connect server (`sc://HOST:PORT`).
        experiments: names, ids or globs; empty for every active experiment.
        filter: a filter of the query language, as for every command.
        run_ids: exactly these runs; `experiments` and `filter` are then ignored.

    Returns:
        An open engine. Close it, or use it in a `with` statement.

    Raises:
        EngineError: the engine is unknown or fails to start.
        ExtraMissing: the package of the engine is not installed.
        StoreNotFound: there is no snapshot at this place.
        UnknownExperiment: no experiment matches a name.
        FilterError: the filter is invalid.

    Example:
        >>> from qualia_lab import open_engine
        >>> with open_engine("snapshot:demo/snapshot", filter="metrics.val_auc > 0.8") as engine:
        ...     engine.run_count
        ...     engine.statuses().to_pylist()
    """
    check_engine(engine)
    from qualia_lab import schema
    from qualia_lab.columns import column
    from qualia_lab.engines.engine import Engine
    from qualia_lab.masking.tables import Masker
    from qualia_lab.selection import Query, match_experiments
    from qualia_lab.settings import find_settings
    from qualia_lab.stores.masked import MaskedStore
    from qualia_lab.stores.snapshot.location import open_location
    from qualia_lab.stores.snapshot.manifest import read_manifest
    from qualia_lab.stores.snapshot.store import SnapshotStore

    where = str(snapshot).removeprefix("snapshot:").removeprefix("//")
    place = open_location(where)
    manifest = read_manifest(place)
    masker = Masker(find_settings().masking)
    store = MaskedStore(SnapshotStore(where), masker)
    all_experiments = store.read_experiments()
    experiment_ids = [row["experiment_id"] for row in match_experiments(experiments, all_experiments)]
    if not experiments:
        experiment_ids = all_experiments.column("experiment_id").to_pylist()
    requested = None
    if run_ids is not None:
        requested = column(list(run_ids), schema.STRING)
    elif filter:
        matching = store.read_runs(Query(experiment_ids=tuple(experiment_ids), filter=filter)).column("run_id")
        requested = column(matching.to_pylist(), schema.STRING)
    root, filesystem = place.address()
    if filesystem is None:
        for file in manifest.files():  # refuse links to other local files: the manifest is not trusted
            place.open(file.file).close()
    connection = _connect(engine, filesystem)
    return Engine(connection, manifest, root, masker, experiment_ids=experiment_ids, run_ids=requested)


def check_engine(engine: str, tracking_uri: str = "snapshot:") -> None:
    """Raise an error if the engine cannot aggregate this store; nothing is opened.

    Args:
        engine: the engine, as for `open_engine`.
        tracking_uri: the tracking URI of the store, if it is already known.

    Raises:
        EngineError: the engine is unknown, its address holds a secret, or the store is not a snapshot.
        ExtraMissing: the package of the engine is not installed.
    """
    if engine != "duckdb" and not _MASTER.fullmatch(engine):
        raise EngineError(
            f"No engine is called {one_line(engine, 80)}.",
            "Use duckdb, spark, local[2], spark://HOST:PORT or sc://HOST:PORT.",
        )
    if re.search(r"(?i);[^;]*(token|password|secret|key)[^;=]*=", engine) or "@" in engine:
        raise EngineError(
            "The engine's address holds a secret, which would be written to the notebook.",
            "Set SPARK_CONNECT_AUTHENTICATE_TOKEN instead.",
        )
    name, package, extra = ("DuckDB", "duckdb", "engine") if engine == "duckdb" else ("Spark", "pyspark", "spark")
    if find_spec(package) is None:
        raise ExtraMissing(
            f"Aggregating with {name} needs the package {package}, which is not installed.",
            f"Install it: pip install 'qualia-lab[{extra}]'",
        )
    if not tracking_uri.startswith("snapshot:"):
        raise EngineError(
            f"An engine reads a snapshot, but {one_line(tracking_uri, 200)} is not one.",
            f"Make one: qualia snapshot {one_line(tracking_uri, 200)} FOLDER; then pass --tracking-uri snapshot:FOLDER",
        )


def _connect(engine: str, filesystem: Any) -> Connection:
    if engine == "duckdb":
        from qualia_lab.engines.on_duckdb import DuckDB

        return DuckDB(filesystem)
    from qualia_lab.engines.on_spark import Spark

    return Spark(engine)
