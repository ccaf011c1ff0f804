"""The parts of a snapshot: the files of a batch of runs, which are written once and never changed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.snapshot.artifacts import ARTIFACT_ROWS, save_artifacts
from qualia_lab.stores.snapshot.history import points_of, read_encoded, write_history
from qualia_lab.stores.snapshot.location import PARTS
from qualia_lab.stores.snapshot.manifest import HISTORY, File, Part, changed_file_error, part_to_json, read_file
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.snapshot.location import SnapshotLocation
    from qualia_lab.tables import RunTables

# A digest of each run as it was listed: an ended run is read again only if the digest has changed.
MARKS = "marks"
MARKS_SCHEMA = pa.schema([("run_id", schema.STRING), ("mark", schema.STRING)])

ARTIFACTS = "artifacts"
ARTIFACT_STARTS = "artifact_starts"

# The tables of a part, by name; `experiments` and `missing` belong to the snapshot as a whole.
TABLES: dict[str, pa.Schema] = {
    **{name: columns for name, columns in schema.TABLES.items() if name not in ("experiments", "missing")},
    ARTIFACTS: ARTIFACT_ROWS,
    MARKS: MARKS_SCHEMA,
}

# Histories in files up to this many bytes are verified by their SHA-256, also when only one metric is read.
_MAX_BYTES_VERIFIED_WHOLE = 1 << 20

# A file with more metrics than this does not list them in the manifest.
_MAX_KEYS_LISTED = 1000


class PartWriter:
    """Writes one part, which is complete when `finish` has returned.

    Args:
        location: the snapshot.
        durable: whether the files are synced to disk, and found by a later update if this one is killed.
    """

    def __init__(self, location: SnapshotLocation, *, durable: bool) -> None:
        self.name = uuid4().hex
        self._location = location
        self._durable = durable
        self._files: list[File] = []
        self._runs = 0
        self._experiments: tuple[str, ...] = ()
        self._artifacts = False

    def add_tables(self, tables: RunTables, digests: Mapping[str, str] | None = None) -> None:
        """Write everything about these runs except histories and artifacts. `digests`: of the listed runs, by id."""
        self.add_table_files({name: getattr(tables, name) for name in schema.TABLES if name in TABLES})
        if digests is not None:
            rows = [{"run_id": run_id, "mark": digests[run_id]} for run_id in tables.run_ids]
            self.add_table_files({MARKS: table_of(MARKS_SCHEMA, rows)})

    def add_table_files(self, tables: Mapping[str, pa.Table]) -> None:
        """Write each table to a file of its own; empty tables have none."""
        for name, table in tables.items():
            if name == "runs":
                self._runs = table.num_rows
                self._experiments = tuple(pc.unique(table.column("experiment_id")).to_pylist())
            if table.num_rows:
                self._write(name, [table])

    def add_history(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write the histories of these runs, as a stream."""
        write_history(batches, lambda groups: self._write(HISTORY, groups))

    def add_artifacts(self, places: Mapping[str, ArtifactPlace], *, local: bool) -> None:
        """Write the first bytes of the artifacts of these runs. `local`: include artifacts on this machine."""
        self._artifacts = True
        rows_by_run = in_parallel(
            lambda item: list(save_artifacts(item[0], item[1], self._save, local=local)), list(places.items())
        )
        rows = [row for rows in rows_by_run for row in rows]
        self.add_table_files({ARTIFACTS: table_of(ARTIFACT_ROWS, rows)})

    def add_saved_artifacts(self, parts: Sequence[Part], names: set[str]) -> None:
        """Reference the files of artifacts that other parts have saved already, by file name."""
        self._artifacts = all(part.artifacts for part in parts)
        self._files += [file for part in parts for file in part.of(ARTIFACT_STARTS) if file.file in names]

    def finish(self, *, tracking_uri: str, finished: bool = True) -> Part:
        """Complete the part."""
        part = Part(self.name, self._experiments, self._runs, finished, self._artifacts, tuple(self._files))
        if self._durable:
            self._location.replace(f"{PARTS}/{self.name}.json", part_to_json(part, tracking_uri))
        return part

    def _save(self, data: bytes) -> str:
        name = f"{PARTS}/{uuid4().hex}"
        with self._location.create(name, durable=self._durable) as file:
            file.write(data)
        self._files.append(File(ARTIFACT_STARTS, name, 1, file.size, file.sha256))
        return name

    def _write(self, table: str, groups: Iterable[pa.Table]) -> None:
        name = f"{PARTS}/{self.name}-{len(self._files)}.parquet"
        self._files.append(write_file(self._location, table, name, groups, durable=self._durable))


def write_file(
    location: SnapshotLocation, table: str, name: str, groups: Iterable[pa.Table], *, durable: bool = True
) -> File:
    """Write one Parquet file of these row groups; there must be at least one."""
    columns = schema.METRIC_HISTORY if table == HISTORY else None
    rows = 0
    keys: set[str] = set()
    with location.create(name, durable=durable) as file:
        writer = None
        for group in groups:
            if writer is None:
                dictionaries = ["run_id", "key"] if columns is not None else True
                sink = pa.PythonFile(file, mode="w")
                writer = pq.ParquetWriter(
                    sink, group.schema, compression="zstd", use_dictionary=dictionaries, write_page_checksum=True
                )
            writer.write_table(group, row_group_size=max(group.num_rows, 1))
            rows += group.num_rows
            if columns is not None and len(keys) <= _MAX_KEYS_LISTED:
                keys.update(pc.unique(group.column("key")).to_pylist())
        if writer is not None:
            writer.close()
    listed_keys = tuple(sorted(keys)) if columns is not None and len(keys) <= _MAX_KEYS_LISTED else None
    return File(table, name, rows, file.size, file.sha256, listed_keys)


def read_table(location: SnapshotLocation, files: Iterable[File], columns: pa.Schema) -> pa.Table:
    """These files as one table. Raises StoreUnreadable if one is missing or damaged or has other columns."""
    tables = [_read_file(location, file, columns) for file in files]
    # No empty table is added: it would be a second chunk of every column, and taking rows of chunked columns is slow.
    return pa.concat_tables(tables) if tables else table_of(columns, [])


def _read_file(location: SnapshotLocation, file: File, columns: pa.Schema) -> pa.Table:
    with translate_read_errors(location, file):
        table = pq.ParquetFile(pa.BufferReader(read_file(location, file))).read()
        if not table.schema.equals(columns) or table.num_rows != file.rows:
            raise ValueError("columns or rows differ from the manifest")
    return table


def read_points(
    location: SnapshotLocation, part: Part, run_ids: pa.Array | None = None, keys: pa.Array | None = None
) -> Iterator[pa.RecordBatch]:
    """The histories of these runs and metrics (None: all) in a part, file by file."""
    return points_of(read_encoded_points(location, part, keys), run_ids)


def read_encoded_points(location: SnapshotLocation, part: Part, keys: pa.Array | None) -> Iterator[pa.RecordBatch]:
    """The histories of these metrics (None: all) in a part, file by file, for `points_of`."""
    wanted = None if keys is None else set(keys.to_pylist())
    for file in part.of(HISTORY):
        if wanted is None or file.keys is None or wanted.intersection(file.keys):
            with translate_read_errors(location, file), _opened_history(location, file) as opened:
                yield from read_encoded(opened, keys)


def _opened_history(location: SnapshotLocation, file: File) -> Any:
    """Open a file of histories for reading. Large files are read in part; their pages have checksums."""
    if file.bytes <= _MAX_BYTES_VERIFIED_WHOLE:
        return pa.BufferReader(read_file(location, file))
    opened = location.open(file.file)
    if opened.size() != file.bytes:
        raise changed_file_error(location, file)
    return opened


@contextmanager
def translate_read_errors(location: SnapshotLocation, file: File) -> Iterator[None]:
    """Raise StoreUnreadable for anything that is wrong with a file of a snapshot."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreUnreadable(
            f"A file of the snapshot in {location.shown} is gone: {file.file}.",
            "If the snapshot has just been rewritten, read it again; else write it anew.",
        ) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreUnreadable(
            f"{file.file} of the snapshot in {location.shown} cannot be read.", "Write it anew."
        ) from error


def merge_parts(
    location: SnapshotLocation, parts: Sequence[Part], run_ids: Sequence[str], *, tracking_uri: str
) -> Part:
    """Merge these runs of several parts, oldest first, into a new part, without reading the store."""
    wanted = column(list(run_ids), schema.STRING)
    writer = PartWriter(location, durable=True)
    merged: dict[str, pa.Table] = {}
    for name, columns in TABLES.items():
        tables = [read_table(location, part.of(name), columns) for part in parts]
        if name != "experiment_tags":
            tables = [rows_of_runs(table, wanted, keep_null=name == "problems") for table in tables]
        merged[name] = pa.concat_tables(tables)
        if name == "experiment_tags":
            merged[name] = _latest_tags(tables)
    experiments = pc.unique(merged["runs"].column("experiment_id"))
    has_runs = pc.is_in(merged["experiment_tags"].column("experiment_id"), value_set=experiments)
    merged["experiment_tags"] = merged["experiment_tags"].filter(has_runs)
    writer.add_table_files(merged)
    writer.add_saved_artifacts(parts, set(merged[ARTIFACTS].column("file").to_pylist()))
    writer.add_history(batch for part in parts for batch in read_points(location, part, wanted))
    return writer.finish(tracking_uri=tracking_uri)


def _latest_tags(tables: Sequence[pa.Table]) -> pa.Table:
    """The tags of each experiment from the last table that has any."""
    latest: dict[str, list[dict[str, str]]] = {}
    for table in tables:
        by_experiment: dict[str, list[dict[str, str]]] = {}
        for row in table.to_pylist():
            by_experiment.setdefault(row["experiment_id"], []).append(row)
        latest |= by_experiment
    return table_of(schema.EXPERIMENT_TAGS, [row for rows in latest.values() for row in rows])


def rows_of_runs(table: pa.Table, run_ids: pa.Array, *, keep_null: bool = False) -> pa.Table:
    """The rows of these runs. `keep_null`: also rows without a run id."""
    mask = pc.is_in(table.column("run_id"), value_set=run_ids)
    if keep_null:
        mask = pc.or_(mask, pc.is_null(table.column("run_id")))
    return table.filter(mask)
