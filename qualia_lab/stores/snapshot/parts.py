"""The parts of a snapshot: some runs and all that belongs to them, written once and never changed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.snapshot.artifacts import KEPT_ARTIFACTS, keep_artifacts
from qualia_lab.stores.snapshot.history import read_history, write_history
from qualia_lab.stores.snapshot.manifest import HISTORY, File, Part, part_to_json
from qualia_lab.stores.snapshot.place import PARTS
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.snapshot.place import SnapshotPlace
    from qualia_lab.tables import RunTables

# What a run looked like when it was listed: while it looks the same and had ended, it is not read again.
MARKS = "marks"
MARKS_SCHEMA = pa.schema([("run_id", schema.STRING), ("mark", schema.STRING)])

ARTIFACTS = "artifacts"
_ARTIFACT_STARTS = "artifact_starts"

# The tables of a part, by name; `experiments` and `missing` are the snapshot's own.
TABLES: dict[str, pa.Schema] = {
    **{name: columns for name, columns in schema.TABLES.items() if name not in ("experiments", "missing")},
    ARTIFACTS: KEPT_ARTIFACTS,
    MARKS: MARKS_SCHEMA,
}

# More metrics than this are not named in the manifest.
_KEYS_NAMED = 1000


class PartWriter:
    """Writes one part; it counts only when `finish` has returned.

    lasting: whether it is to survive a power cut, and to be found by a later call if this one is killed.
    """

    def __init__(self, place: SnapshotPlace, *, lasting: bool) -> None:
        self.name = uuid4().hex
        self._place = place
        self._lasting = lasting
        self._files: list[File] = []
        self._runs = 0
        self._experiments: tuple[str, ...] = ()
        self._artifacts = False

    def add_tables(self, tables: RunTables, marks: Mapping[str, str] | None = None) -> None:
        """Everything about these runs but histories and artifacts. marks: what they looked like when listed."""
        self.add_table_files({name: getattr(tables, name) for name in schema.TABLES if name in TABLES})
        if marks is not None:
            rows = [{"run_id": run_id, "mark": marks[run_id]} for run_id in tables.run_ids]
            self.add_table_files({MARKS: table_of(MARKS_SCHEMA, rows)})

    def add_table_files(self, tables: Mapping[str, pa.Table]) -> None:
        """Tables by name, a file each; an empty one has none."""
        for name, table in tables.items():
            if name == "runs":
                self._runs = table.num_rows
                self._experiments = tuple(pc.unique(table.column("experiment_id")).to_pylist())
            if table.num_rows:
                self._write(name, [table])

    def add_history(self, batches: Iterable[pa.RecordBatch]) -> None:
        """The histories of these runs, streamed."""
        write_history(batches, lambda groups: self._write(HISTORY, groups))

    def add_artifacts(self, places: Mapping[str, ArtifactPlace], *, local: bool) -> None:
        """The starts of the artifacts of these runs. local: also of files that are on this machine."""
        self._artifacts = True
        kept = in_parallel(
            lambda one: list(keep_artifacts(one[0], one[1], self._keep, local=local)), list(places.items())
        )
        rows = [row for of_run in kept for row in of_run]
        self.add_table_files({ARTIFACTS: table_of(KEPT_ARTIFACTS, rows)})

    def add_kept_artifacts(self, parts: Sequence[Part], numbers: set[str]) -> None:
        """The starts of artifacts that are kept in other parts already, by their numbers."""
        self._artifacts = all(part.artifacts for part in parts)
        self._files += [file for part in parts for file in part.of(_ARTIFACT_STARTS) if file.file in numbers]

    def finish(self, *, tracking_uri: str, finished: bool = True) -> Part:
        """The part, whole."""
        part = Part(self.name, self._experiments, self._runs, finished, self._artifacts, tuple(self._files))
        if self._lasting:
            self._place.replace(f"{PARTS}/{self.name}.json", part_to_json(part, tracking_uri))
        return part

    def _keep(self, data: bytes) -> str:
        name = f"{PARTS}/{uuid4().hex}"
        with self._place.create(name, lasting=self._lasting) as file:
            file.write(data)
        self._files.append(File(_ARTIFACT_STARTS, name, 1, file.size, file.sha256))
        return name

    def _write(self, table: str, groups: Iterable[pa.Table]) -> None:
        name = f"{PARTS}/{self.name}-{len(self._files)}.parquet"
        self._files.append(write_file(self._place, table, name, groups, lasting=self._lasting))


def write_file(
    place: SnapshotPlace, table: str, name: str, groups: Iterable[pa.Table], *, lasting: bool = True
) -> File:
    """One Parquet file of these row groups, of which there is one at least."""
    columns = schema.METRIC_HISTORY if table == HISTORY else None
    rows = 0
    keys: set[str] = set()
    with place.create(name, lasting=lasting) as file:
        writer = None
        for group in groups:
            if writer is None:
                dictionaries = ["run_id", "key"] if columns is not None else True
                sink = pa.PythonFile(file, mode="w")
                writer = pq.ParquetWriter(sink, group.schema, compression="zstd", use_dictionary=dictionaries)
            writer.write_table(group, row_group_size=max(group.num_rows, 1))
            rows += group.num_rows
            if columns is not None and len(keys) <= _KEYS_NAMED:
                keys.update(pc.unique(group.column("key")).to_pylist())
        if writer is not None:
            writer.close()
    named = tuple(sorted(keys)) if columns is not None and len(keys) <= _KEYS_NAMED else None
    return File(table, name, rows, file.size, file.sha256, named)


def read_table(place: SnapshotPlace, files: Iterable[File], columns: pa.Schema) -> pa.Table:
    """These files as one table. Raises StoreUnreadable when one is gone, damaged or of other columns."""
    tables = [_read_file(place, file, columns) for file in files]
    # An empty table beside them would be a second chunk of every column, and taking rows of chunks copies them all.
    return pa.concat_tables(tables) if tables else table_of(columns, [])


def _read_file(place: SnapshotPlace, file: File, columns: pa.Schema) -> pa.Table:
    with reading(place, file), place.open(file.file) as opened:
        table = pq.ParquetFile(opened).read()
        if not table.schema.equals(columns) or table.num_rows != file.rows:
            raise ValueError("other columns or rows than the manifest says")
    return table


def read_points(
    place: SnapshotPlace, part: Part, run_ids: pa.Array | None = None, keys: pa.Array | None = None
) -> Iterator[pa.RecordBatch]:
    """The histories of these runs and metrics (None: of all) in a part, a file after the other."""
    wanted = None if keys is None else set(keys.to_pylist())
    for file in part.of(HISTORY):
        if wanted is None or file.keys is None or wanted.intersection(file.keys):
            with reading(place, file), place.open(file.file) as opened:
                yield from read_history(opened, run_ids, keys)


@contextmanager
def reading(place: SnapshotPlace, file: File) -> Iterator[None]:
    """What can be wrong with a file of a snapshot becomes a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreUnreadable(
            f"A file of the snapshot in {place.shown} is gone: {file.file}.",
            "If it was written anew meanwhile, read it again; else write it anew.",
        ) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreUnreadable(
            f"{file.file} of the snapshot in {place.shown} cannot be read.", "Write it anew."
        ) from error


def merge_parts(place: SnapshotPlace, parts: Sequence[Part], run_ids: Sequence[str], *, tracking_uri: str) -> Part:
    """One part of these runs out of others, the last read of which is the last, without asking the store."""
    wanted = column(list(run_ids), schema.STRING)
    writer = PartWriter(place, lasting=True)
    merged: dict[str, pa.Table] = {}
    for name, columns in TABLES.items():
        tables = [read_table(place, part.of(name), columns) for part in parts]
        if name != "experiment_tags":
            tables = [chosen_rows(table, wanted, keep_null=name == "problems") for table in tables]
        merged[name] = pa.concat_tables(tables)
        if name == "experiment_tags":
            merged[name] = _read_last(tables)
    experiments = pc.unique(merged["runs"].column("experiment_id"))
    of_runs = pc.is_in(merged["experiment_tags"].column("experiment_id"), value_set=experiments)
    merged["experiment_tags"] = merged["experiment_tags"].filter(of_runs)
    writer.add_table_files(merged)
    writer.add_kept_artifacts(parts, set(merged[ARTIFACTS].column("file").to_pylist()))
    writer.add_history(batch for part in parts for batch in read_points(place, part, wanted))
    return writer.finish(tracking_uri=tracking_uri)


def _read_last(tables: Sequence[pa.Table]) -> pa.Table:
    """The tags of experiments, of each those of the last table that has some of it."""
    found: dict[str, list[dict[str, str]]] = {}
    for table in tables:
        of_table: dict[str, list[dict[str, str]]] = {}
        for row in table.to_pylist():
            of_table.setdefault(row["experiment_id"], []).append(row)
        found |= of_table
    return table_of(schema.EXPERIMENT_TAGS, [row for rows in found.values() for row in rows])


def chosen_rows(table: pa.Table, run_ids: pa.Array, *, keep_null: bool = False) -> pa.Table:
    """The rows of these runs. keep_null: also those that belong to no single run."""
    mask = pc.is_in(table.column("run_id"), value_set=run_ids)
    if keep_null:
        mask = pc.or_(mask, pc.is_null(table.column("run_id")))
    return table.filter(mask)
