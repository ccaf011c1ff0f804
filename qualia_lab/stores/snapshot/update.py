"""update_snapshot: make a snapshot of a store, or bring one up to date by reading only what is new."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import EmptyStore, OutputExists, StoreNotFound, StoreUnreadable
from qualia_lab.masking.tables import KEYED, marked_rows, masked_keys
from qualia_lab.masking.text import MARK, MASK
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.places import on_this_machine
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.snapshot.manifest import MANIFEST, SCHEMA_VERSION, Manifest, Part, part_of_json, read_manifest
from qualia_lab.stores.snapshot.parts import MARKS, MARKS_SCHEMA, PartWriter, merge_parts, read_table, write_file
from qualia_lab.stores.snapshot.place import PARTS
from qualia_lab.stores.snapshot.portions import ENDED, compacted, portions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.place import SnapshotPlace


@dataclass(frozen=True)
class Update:
    """What became of a snapshot.

    counts: its rows by table.  size: its bytes.  read, kept, removed: of its runs how many were read now, stayed as
    they were, and were taken out.  missing: runs that are listed and could not be read, each with why.
    masked: what looked like a secret in what was read now.
    """

    counts: dict[str, int]
    size: int
    read: int
    kept: int
    removed: int
    missing: dict[str, str]
    masked: tuple[str, ...]


_COUNTED = (
    *("experiments", "runs", "params", "metrics", "metric_history", "tags", "datasets", "logged_models"),
    "artifact_starts",
)


def old_snapshot(place: SnapshotPlace, tracking_uri: str, choice: dict[str, Any], *, force: bool) -> Manifest | None:
    """What is to be brought up to date there, None where nothing is; the store need not have been read yet.

    choice: words for which runs, {} for all there are; they have to be those of the last time.
    force: also take the place of a snapshot of another store or other runs, and of one that cannot be read.
    Raises OutputExists when something else is there, and OutputNotWritable, StoreUnreadable or StoreUnreachable.
    """
    place.check_writable()
    try:
        old = read_manifest(place)
    except StoreNotFound:
        if place.holds_others():
            raise OutputExists(
                f"{place.shown} is not empty, and holds no snapshot.", "Choose a folder of its own for the snapshot."
            ) from None
        return None
    except StoreUnreadable:
        if force:
            return None
        raise
    if force:
        return old
    hint = "Choose another place, or pass --force to make it this one."
    if old.tracking_uri != tracking_uri:
        raise OutputExists(f"The snapshot in {place.shown} is of {old.tracking_uri}.", hint)
    if old.choice != choice:
        raise OutputExists(f"The snapshot in {place.shown} was made of other runs: {_said(old.choice)}.", hint)
    return old


def update_snapshot(
    store: TrackingStore,
    place: SnapshotPlace,
    listed: pa.Table,
    *,
    old: Manifest | None,
    choice: dict[str, Any],
    artifacts: bool = False,
    again: bool = False,
    on_runs: Callable[[int, int], None] | None = None,
) -> Update:
    """Make the snapshot hold these runs of the store, and every experiment of theirs.

    A run is read when it is not there yet, when it had not ended by the last time, or when the store lists it
    differently: its name, status, start, end, user, lifecycle stage, artifact URI, parent or experiment. A run that is
    not listed any more is taken out. Until the manifest is replaced, which is the last thing but for removing what it
    does not name, the snapshot is the old one; parts that were finished by a call that was killed are used.

    listed: the runs, as `read_runs` gives them.  old, choice: see `old_snapshot`.  artifacts: keep the starts of
    artifacts.  again: read every run.  on_runs: called with (runs read, runs to read).
    Raises EmptyStore, OutputNotWritable, or what reading the store raises.
    """
    if not listed.num_rows:
        raise EmptyStore(f"There are no such runs in {store.uri}.", "List them with: qualia runs")
    wanted = {row["run_id"]: row for row in listed.to_pylist()}
    marks = {run_id: _mark(row) for run_id, row in wanted.items()}
    with place.writing():
        there = _parts_there(place, old, store.uri)
        known = _known_marks(place, there)
        keeps = {} if again else _keeps([part for part in there if part.name in known], known, marks, artifacts)
        kept = {run_id for run_ids in keeps.values() for run_id in run_ids}
        reader = _Reader(store, place, wanted, marks, artifacts=artifacts)
        to_read = [run_id for run_id in wanted if run_id not in kept]
        if to_read and isinstance(store, MaskedStore):
            store.remember(_masked_before(place, [part for part in there if keeps.get(part.name)]))
        reader.read(to_read, on_runs or (lambda _done, _all: None))
        parts = []
        runs_of = dict(reader.runs_of)
        for part in there:
            if run_ids := keeps.get(part.name):
                whole = len(run_ids) == part.runs
                parts.append(part if whole else merge_parts(place, [part], run_ids, tracking_uri=store.uri))
                runs_of[parts[-1].name] = run_ids
        manifest = Manifest(
            tracking_uri=store.uri,
            beside=_beside(store),
            choice=choice,
            tables=_own_tables(store, place, wanted, everything=not choice),
            parts=tuple(compacted(place, [*parts, *reader.parts], runs_of, wanted, tracking_uri=store.uri)),
        )
        were_there = {part.name for part in old.parts} if old is not None else set()
        gone = {run_id for name in were_there for run_id in known.get(name, ())} - wanted.keys()
        publish(place, manifest)
    counts = manifest.counts()
    return Update(
        counts={name: counts.get(name, 0) for name in _COUNTED},
        size=sum(file.bytes for file in manifest.files()),
        read=sum(part.runs for part in reader.parts),
        kept=len(kept),
        removed=len(gone),
        missing=reader.missing,
        masked=tuple(reader.masked),
    )


def publish(place: SnapshotPlace, manifest: Manifest) -> None:
    """Make the manifest the one that counts, and remove what it does not name."""
    place.replace(MANIFEST, manifest.to_json())
    place.remove_all_but({file.file for file in manifest.files()})


def _said(choice: dict[str, Any] | None) -> str:
    if choice is None:
        return "those of one notebook"
    return ", ".join(f"{name} {value}" for name, value in choice.items()) or "all there were"


def _mark(row: dict[str, Any]) -> str:
    """What a run looks like in a listing, in short."""
    # The number of a mask counts what was met before; the same run has another one in another listing.
    return hashlib.sha256(MARK.sub(MASK, json.dumps(row, sort_keys=True, ensure_ascii=False)).encode()).hexdigest()[:32]


def _parts_there(place: SnapshotPlace, old: Manifest | None, tracking_uri: str) -> list[Part]:
    """The parts of this store whose files are all there in full length, older ones first.

    Also those that a call has finished that never came to its manifest.
    """
    sizes = place.sizes()
    parts = list(old.parts) if old is not None and old.tracking_uri == tracking_uri else []
    for name in sorted(sizes):
        if name.endswith(".json"):
            part = _left_part(place, name, tracking_uri)
            if part is not None and part.name not in {one.name for one in parts}:
                parts.append(part)
    return [part for part in parts if all(sizes.get(file.file) == file.bytes for file in part.files)]


def _left_part(place: SnapshotPlace, name: str, tracking_uri: str) -> Part | None:
    try:
        found = json.loads(place.read_bytes(name))
        if (found["schema_version"], found["tracking_uri"]) == (SCHEMA_VERSION, tracking_uri):
            return part_of_json(found["part"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _known_marks(place: SnapshotPlace, parts: list[Part]) -> dict[str, dict[str, str]]:
    """{name of a part: {run id: what it looked like}}, of the parts that can be read."""
    known = {}
    for part in parts:
        with suppress(StoreUnreadable):  # a damaged part is read anew
            columns = read_table(place, part.of(MARKS), MARKS_SCHEMA).to_pydict()
            known[part.name] = dict(zip(columns["run_id"], columns["mark"], strict=True))
    return known


def _keeps(
    parts: list[Part], known: dict[str, dict[str, str]], marks: dict[str, str], artifacts: bool
) -> dict[str, list[str]]:
    """The runs of each part, by its name, that had ended and are as the store lists them, each of them once."""
    keeps: dict[str, list[str]] = {}
    taken: set[str] = set()
    for part in reversed(parts):  # of a run that is there twice, the younger one counts
        if part.finished and (part.artifacts or not artifacts):
            same = [run_id for run_id, mark in known[part.name].items() if marks.get(run_id) == mark]
            keeps[part.name] = [run_id for run_id in same if run_id not in taken]
            taken.update(same)
    return keeps


def _masked_before(place: SnapshotPlace, parts: list[Part]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of these parts whose values are masked, by table: what is read now goes on with their numbers."""
    return {
        name: [row for part in parts for row in marked_rows(read_table(place, part.of(name), schema.TABLES[name]))]
        for name in KEYED
    }


class _Reader:
    """Reads runs of a store into parts of their own."""

    def __init__(
        self,
        store: TrackingStore,
        place: SnapshotPlace,
        rows: dict[str, dict[str, Any]],
        marks: dict[str, str],
        *,
        artifacts: bool,
    ) -> None:
        self.parts: list[Part] = []
        self.runs_of: dict[str, Sequence[str]] = {}
        self.missing: dict[str, str] = {}
        self.masked: dict[str, None] = {}
        self._store = store
        self._place = place
        self._rows = rows
        self._marks = marks
        self._artifacts = artifacts

    def read(self, run_ids: list[str], on_runs: Callable[[int, int], None]) -> None:
        """Read these runs, part by part; `on_runs` is called with (runs read, runs to read)."""
        done = 0
        for portion in portions(run_ids, self._rows):
            on_runs(done, len(run_ids))
            self._read_part(portion, lambda more, done=done: on_runs(done + more, len(run_ids)))  # type: ignore[misc]
            done += len(portion)
        if done:
            on_runs(done, done)

    def _read_part(self, run_ids: list[str], on_runs: Callable[[int], None]) -> None:
        tables = self._store.read(run_ids)
        self.missing |= {row["run_id"]: row["reason"] for row in tables.missing.to_pylist()}
        self.masked |= dict.fromkeys(masked_keys(tables))
        if not tables.run_ids:
            return
        writer = PartWriter(self._place, lasting=True)
        writer.add_tables(tables, self._marks)
        writer.add_history(_counted(self._store.read_metric_history(tables.run_ids), on_runs))
        if self._artifacts:
            uris = zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True)
            places = {run_id: self._store.artifact_place(run_id, uri or "") for run_id, uri in uris}
            writer.add_artifacts(places, local=True)
        ended = all(self._rows[run_id]["status"] in ENDED for run_id in run_ids)
        part = writer.finish(tracking_uri=self._store.uri, finished=ended)
        self.parts.append(part)
        self.runs_of[part.name] = tables.run_ids


def _counted(batches: Iterable[pa.RecordBatch], on_runs: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    """The batches; `on_runs` is called with the number of runs that were met in them."""
    seen: set[str] = set()
    for batch in batches:
        yield batch
        seen.update(pc.unique(batch.column("run_id")).to_pylist())
        on_runs(len(seen))


def _own_tables(
    store: TrackingStore, place: SnapshotPlace, runs: dict[str, Any], *, everything: bool
) -> tuple[Any, ...]:
    """The experiments: all of them, or those of the runs."""
    table = find_experiments(store, "all").select(schema.EXPERIMENTS.names)
    if not everything:
        ids = column(sorted({row["experiment_id"] for row in runs.values()}), schema.STRING)
        table = table.filter(pc.is_in(table.column("experiment_id"), value_set=ids))
    if not table.num_rows:
        return ()
    return (write_file(place, "experiments", f"{PARTS}/{uuid4().hex}-0.parquet", [table]),)


def _beside(store: TrackingStore) -> str | None:
    """Where a store on this machine looks for artifacts that are not where they were recorded."""
    anywhere = on_this_machine(store.artifact_place("", ""))
    return str(anywhere.beside) if anywhere is not None and anywhere.beside is not None else None
