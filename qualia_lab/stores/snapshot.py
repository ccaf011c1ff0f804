"""A snapshot: the tables of some runs as Parquet files, read without the store they came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qualia_lab import schema
from qualia_lab.errors import QualiaLabError, StoreNotFound, StoreUnreadable
from qualia_lab.query import parse_filter, parse_order_by, select_runs
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.places import LocalPlace, NoPlace
from qualia_lab.stores.protocol import ArtifactFile
from qualia_lab.tables import RunTables, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace, TrackingStore

_MANIFEST = "manifest.json"
_HISTORY = "metric_history.parquet"
_ARTIFACTS = "artifacts.parquet"
_VERSION = 1

# What is kept of a remote run's artifacts: enough for every preview, and never a model's weights.
_ARTIFACT_BYTES = 5_000_000
_ARTIFACT_FILES = 200

_KEPT_ARTIFACTS = pa.schema(
    [*schema.ARTIFACTS, ("file", schema.STRING), ("note", schema.STRING), ("beside", schema.STRING)]
)


def write_snapshot(
    folder: Path, store: TrackingStore, tables: RunTables, *, source_uri: str, artifacts_of: Iterable[str] = ()
) -> None:
    """Write these runs, their whole metric histories and the artifacts of some of them into an empty folder.

    source_uri: the tracking URI by which a notebook names the store.  artifacts_of: the runs whose artifacts are kept;
    those of any other are said to be left out. Histories are streamed, so memory stays bounded. An artifact that
    cannot be read is kept as a note.
    """
    for name in schema.TABLES:
        pq.write_table(getattr(tables, name), folder / f"{name}.parquet")
    with pq.ParquetWriter(folder / _HISTORY, schema.METRIC_HISTORY) as writer:
        for batch in store.read_metric_history(tables.run_ids):
            writer.write_batch(batch)
    uris = dict(zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True))
    wanted = [(store.artifact_place(run_id, uris[run_id] or ""), run_id) for run_id in artifacts_of if run_id in uris]
    rows = [row for kept in in_parallel(lambda one: list(_keep_artifacts(folder, *one)), wanted) for row in kept]
    pq.write_table(table_of(_KEPT_ARTIFACTS, rows), folder / _ARTIFACTS)
    manifest = {"version": _VERSION, "tracking_uri": source_uri}
    (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _keep_artifacts(folder: Path, place: ArtifactPlace, run_id: str) -> Iterator[dict[str, Any]]:
    """A row that says where a run's artifacts are, and one per remote file, whose start is kept under a number."""
    if isinstance(place, LocalPlace):  # as near to the notebook's kernel as to us: nothing has to be copied
        yield {"run_id": run_id, "beside": str(place.beside or "")}
        return
    try:
        files = list(place.list_files())
    except QualiaLabError as error:
        yield {"run_id": run_id, "note": str(error)}
        return
    yield {"run_id": run_id, "note": place.note}
    for number, file in enumerate(files):
        row: dict[str, Any] = {"run_id": run_id, "path": file.path, "size": file.size}
        if number >= _ARTIFACT_FILES:
            row["note"] = f"only the first {_ARTIFACT_FILES} files of a run were fetched for this notebook."
        else:
            try:
                data = place.read_bytes(file.path, _ARTIFACT_BYTES + 1)
            except QualiaLabError as error:
                row["note"] = str(error)
            else:
                row["file"] = f"artifact-{uuid4().hex}"
                (folder / row["file"]).write_bytes(data)
        yield row


class SnapshotStore:
    """A snapshot as a TrackingStore. Raises StoreNotFound or StoreUnreadable when the folder holds none."""

    def __init__(self, folder: Path) -> None:
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise StoreNotFound(f"There is no snapshot in {folder}.", "Check the path.") from error
        except (OSError, ValueError) as error:
            raise StoreUnreadable(f"The snapshot in {folder} cannot be read.", "Write it anew.") from error
        if manifest.get("version") != _VERSION:
            raise StoreUnreadable(f"The snapshot in {folder} is of another version.", "Write it anew.")
        self.uri = f"snapshot:{folder}"
        self.source_uri: str = manifest["tracking_uri"]
        self._folder = folder

    def read_experiments(self, view: View = "active") -> pa.Table:
        """See TrackingStore."""
        counts: dict[str, int] = {}
        latest: dict[str, int] = {}
        for run in self._table("runs").to_pylist():
            if view != "all" and run["lifecycle_stage"] != view:
                continue
            experiment = run["experiment_id"]
            counts[experiment] = counts.get(experiment, 0) + 1
            latest[experiment] = max(latest.get(experiment, 0), run["start_time"] or 0, run["end_time"] or 0)
        rows = [
            {**row, "run_count": counts.get(row["experiment_id"], 0), "last_activity": latest.get(row["experiment_id"])}
            for row in self._table("experiments").to_pylist()
            if view == "all" or row["lifecycle_stage"] == view
        ]
        rows.sort(key=lambda row: -(row["last_activity"] or 0))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def read_runs(self, query: Query) -> pa.Table:
        """See TrackingStore."""
        runs = self._table("runs")
        if query.view != "all":
            runs = runs.filter(pc.field("lifecycle_stage") == query.view)
        if query.experiment_ids:
            runs = runs.filter(pc.field("experiment_id").isin(list(query.experiment_ids)))
        if query.run_ids:
            runs = runs.filter(pc.field("run_id").isin(list(query.run_ids)))
        tables = self._tables(runs)
        chosen = select_runs(parse_filter(query.filter), parse_order_by(query.order_by), tables)
        return _in_order(runs, chosen[: query.limit])

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        runs = _in_order(self._table("runs"), run_ids)
        found = set(runs.column("run_id").to_pylist())
        reasons = {row["run_id"]: row["reason"] for row in self._table("missing").to_pylist()}
        missing = [
            {"run_id": run_id, "reason": reasons.get(run_id, "not in the snapshot")}
            for run_id in dict.fromkeys(run_ids)
            if run_id not in found
        ]
        return self._tables(runs, missing)

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See TrackingStore."""
        wanted, wanted_keys = pa.array(run_ids, pa.string()), None if keys is None else pa.array(keys, pa.string())
        with pq.ParquetFile(self._folder / _HISTORY) as file:
            for batch in file.iter_batches():
                mask = pc.is_in(batch.column("run_id"), wanted)
                if wanted_keys is not None:
                    mask = pc.and_(mask, pc.is_in(batch.column("key"), wanted_keys))
                chosen = batch.filter(mask)
                if chosen.num_rows:
                    yield chosen

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """See TrackingStore."""
        rows = self._read(_ARTIFACTS).filter(pc.field("run_id") == run_id).to_pylist()
        if not rows:
            return NoPlace(artifact_uri, "left out while the notebook was made; run this cell in Jupyter to see them")
        if rows[0]["beside"] is not None:
            return LocalPlace(run_id, artifact_uri, Path(rows[0]["beside"]) if rows[0]["beside"] else None)
        return _KeptArtifacts(self._folder, artifact_uri, rows)

    def close(self) -> None:
        """See TrackingStore."""

    def _tables(self, runs: pa.Table, missing: list[dict[str, Any]] | None = None) -> RunTables:
        """Everything that belongs to these runs."""
        tables = {"runs": runs, "missing": table_of(schema.MISSING, missing or [])}
        for name in schema.TABLES:
            if name not in tables:
                key = "experiment_id" if name in ("experiments", "experiment_tags") else "run_id"
                tables[name] = self._table(name).filter(pc.field(key).isin(runs.column(key).combine_chunks()))
        return RunTables(**tables)

    def _table(self, name: str) -> pa.Table:
        return self._read(f"{name}.parquet")

    def _read(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self._folder / name)
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreUnreadable(
                f"{name} of the snapshot in {self._folder} cannot be read.", "Write it anew."
            ) from error


class _KeptArtifacts:
    """The artifacts of one run, as far as the snapshot kept them."""

    def __init__(self, folder: Path, recorded_uri: str, rows: list[dict[str, Any]]) -> None:
        self.recorded_uri = recorded_uri
        self.note = " ".join(row["note"] for row in rows if row["path"] is None and row["note"])
        self._folder = folder
        self._rows = {row["path"]: row for row in rows if row["path"] is not None}

    def list_files(self) -> Iterator[ArtifactFile]:
        """See ArtifactPlace."""
        return (ArtifactFile(row["path"], row["size"]) for row in self._rows.values())

    def read_bytes(self, path: str, limit: int) -> bytes:
        """See ArtifactPlace."""
        row = self._rows.get(path)
        if row is None or row["file"] is None:
            raise StoreUnreadable(row["note"] if row else f"There is no artifact {path}.", "")
        with (self._folder / row["file"]).open("rb") as file:
            data: bytes = file.read(limit)
        return data


def _in_order(runs: pa.Table, run_ids: Iterable[str]) -> pa.Table:
    """The rows of these runs in this order, as far as they are there."""
    places = {run_id: place for place, run_id in enumerate(runs.column("run_id").to_pylist())}
    return runs.take(pa.array([places[run_id] for run_id in dict.fromkeys(run_ids) if run_id in places], pa.int64()))
