"""update_snapshot: make a snapshot of a store, or bring one up to date by reading only what is new."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import EmptyStore, OutputExists, StoreNotFound
from qualia_lab.stores.places import LocalPlace
from qualia_lab.stores.snapshot_manifest import (
    MANIFEST,
    SCHEMA_VERSION,
    Manifest,
    Part,
    part_of_json,
    read_manifest,
)
from qualia_lab.stores.snapshot_parts import (
    MARKS,
    MARKS_SCHEMA,
    PartWriter,
    merge_parts,
    read_table,
    write_file,
)
from qualia_lab.stores.snapshot_place import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qualia_lab.selection import Query
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot_place import SnapshotPlace

RUNS_PER_PART = 1000
# An experiment with more small parts than this gets one in their place.
_SMALL_PARTS = 16
_ENDED = ("FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True)
class Update:
    """What became of a snapshot: all it holds by table, and of its runs how many were read, kept and taken out."""

    counts: dict[str, int]
    size: int
    read: int
    kept: int
    removed: int


def update_snapshot(
    store: TrackingStore,
    place: SnapshotPlace,
    query: Query,
    *,
    choice: dict[str, Any],
    artifacts: bool = False,
    again: bool = False,
    force: bool = False,
    on_runs: Callable[[int, int], None] | None = None,
) -> Update:
    """Make the snapshot hold the runs that match, and every experiment of theirs.

    A run is read when it is not there yet, when it had not ended by the last time, or when the store lists it
    differently: its name, status, start, end, user, lifecycle stage, artifact URI, parent or experiment. A run that
    does not match any more is taken out. Until the manifest is replaced, which is the last thing but for removing what
    it does not name, the snapshot is the old one; parts that were finished by a call that was killed are used.

    choice: words for the query, {} for all there is; another call has to say the same, or `force`.
    artifacts: keep the starts of artifacts.  again: read every run.  on_runs: called with (runs read, runs to read).
    Raises EmptyStore, OutputExists, OutputNotWritable, or what reading the store raises.
    """
    old = _check(place, store.uri, choice, force=force)
    listed = store.read_runs(query)
    if not listed.num_rows:
        raise EmptyStore(f"There are no such runs in {store.uri}.", "List them with: qualia runs")
    wanted = {row["run_id"]: row for row in listed.to_pylist()}
    marks = {run_id: _mark(row) for run_id, row in wanted.items()}
    with place.writing():
        there = _parts_there(place, old, store.uri)
        known = _known_marks(place, there)
        keeps = {} if again else _keeps(there, known, marks, artifacts=artifacts)
        kept = {run_id for run_ids in keeps.values() for run_id in run_ids}
        to_read = [run_id for run_id in wanted if run_id not in kept]
        new = []
        done = 0
        for run_ids in _portions(to_read, wanted):
            if on_runs is not None:
                on_runs(done, len(to_read))
            part = _read_part(store, place, run_ids, wanted, marks, artifacts=artifacts)
            if part.runs:
                new.append(part)
            done += len(run_ids)
        if on_runs is not None and to_read:
            on_runs(done, len(to_read))
        parts = [
            part if len(run_ids) == part.runs else merge_parts(place, [part], run_ids, tracking_uri=store.uri)
            for part in there
            if (run_ids := keeps.get(part.name, []))
        ]
        manifest = Manifest(
            tracking_uri=store.uri,
            beside=_beside(store),
            choice=choice,
            tables=_own_tables(store, place, wanted, everything=not choice),
            parts=tuple(_compacted(place, [*parts, *new], store.uri)),
        )
        were_there = {part.name for part in old.parts} if old is not None else set()
        gone = {run_id for name in were_there for run_id in known.get(name, ())} - wanted.keys()
        publish(place, manifest)
    counts = manifest.counts()
    return Update(
        counts={name: counts.get(name, 0) for name in ("experiments", "runs", *_COUNTED)},
        size=sum(file.bytes for file in manifest.files()),
        read=sum(part.runs for part in new),
        kept=len(kept),
        removed=len(gone),
    )


_COUNTED = ("params", "metrics", "metric_history", "tags", "datasets", "logged_models", "artifact_starts")


def publish(place: SnapshotPlace, manifest: Manifest) -> None:
    """Make the manifest the one that counts, and remove what it does not name."""
    place.replace(MANIFEST, manifest.to_json())
    named = {file.file for file in manifest.files()}
    place.remove(name for name in place.sizes() if name not in named)


def _check(place: SnapshotPlace, tracking_uri: str, choice: dict[str, Any], *, force: bool) -> Manifest | None:
    """The manifest that is there, if any. Raises OutputExists when something else is."""
    try:
        old = read_manifest(place)
    except StoreNotFound:
        if place.sizes() or place.is_empty():
            return None
        raise OutputExists(
            f"{place.shown} is not empty, and holds no snapshot.", "Choose a folder of its own for the snapshot."
        ) from None
    if force:
        return old
    hint = "Choose another place, or pass --force to make it this one."
    if old.tracking_uri != tracking_uri:
        raise OutputExists(f"The snapshot in {place.shown} is of {old.tracking_uri}.", hint)
    if old.choice != choice:
        raise OutputExists(f"The snapshot in {place.shown} was made of other runs: {_said(old.choice)}.", hint)
    return old


def _said(choice: dict[str, Any] | None) -> str:
    if choice is None:
        return "those of one notebook"
    return ", ".join(f"{name} {value}" for name, value in choice.items()) or "all there were"


def _mark(row: dict[str, Any]) -> str:
    """What a run looks like in a listing, in short."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]


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
    """{name of a part: {run id: what it looked like}}."""
    tables = {part.name: read_table(place, part.of(MARKS), MARKS_SCHEMA) for part in parts}
    columns = {name: [table.column(one).to_pylist() for one in MARKS_SCHEMA.names] for name, table in tables.items()}
    return {name: dict(zip(*both, strict=True)) for name, both in columns.items()}


def _keeps(
    parts: list[Part], known: dict[str, dict[str, str]], marks: dict[str, str], *, artifacts: bool
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


def _portions(run_ids: list[str], rows: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """Runs that make a part: of one experiment, and all of them ended or none."""
    portions: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for run_id in run_ids:
        portions[rows[run_id]["experiment_id"], rows[run_id]["status"] in _ENDED].append(run_id)
    for portion in portions.values():
        for first in range(0, len(portion), RUNS_PER_PART):
            yield portion[first : first + RUNS_PER_PART]


def _read_part(
    store: TrackingStore,
    place: SnapshotPlace,
    run_ids: list[str],
    rows: dict[str, dict[str, Any]],
    marks: dict[str, str],
    *,
    artifacts: bool,
) -> Part:
    """Read these runs into a part of their own."""
    tables = store.read(run_ids)
    writer = PartWriter(place, lasting=True)
    writer.add_tables(tables, marks)
    writer.add_history(store.read_metric_history(tables.run_ids))
    if artifacts:
        uris = zip(tables.run_ids, tables.runs.column("artifact_uri").to_pylist(), strict=True)
        writer.add_artifacts({run_id: store.artifact_place(run_id, uri or "") for run_id, uri in uris}, local=True)
    ended = all(rows[run_id]["status"] in _ENDED for run_id in run_ids)
    return writer.finish(tracking_uri=store.uri, finished=ended)


def _own_tables(
    store: TrackingStore, place: SnapshotPlace, runs: dict[str, Any], *, everything: bool
) -> tuple[Any, ...]:
    """The experiments: all of them, or those of the runs."""
    table = store.read_experiments("all").select(schema.EXPERIMENTS.names)
    if not everything:
        ids = column(sorted({row["experiment_id"] for row in runs.values()}), schema.STRING)
        table = table.filter(pc.is_in(table.column("experiment_id"), value_set=ids))
    if not table.num_rows:
        return ()
    return (write_file(place, "experiments", f"{PARTS}/{uuid4().hex}-0.parquet", [table]),)


def _beside(store: TrackingStore) -> str | None:
    """Where a store on this machine looks for artifacts that are not where they were recorded."""
    anywhere = store.artifact_place("", "")
    return str(anywhere.beside) if isinstance(anywhere, LocalPlace) and anywhere.beside is not None else None


def _compacted(place: SnapshotPlace, parts: list[Part], tracking_uri: str) -> Iterator[Part]:
    """The parts, but for experiments with many small ones, which are joined."""
    small: dict[tuple[str, ...], list[Part]] = defaultdict(list)
    for part in parts:
        if part.finished and part.runs < RUNS_PER_PART // 2:
            small[part.experiments].append(part)
    joined: set[str] = set()
    for of_experiment in small.values():
        if len(of_experiment) > _SMALL_PARTS:
            joined |= {part.name for part in of_experiment}
    yield from (part for part in parts if part.name not in joined)
    for of_experiment in small.values():
        for some in _joinable([part for part in of_experiment if part.name in joined]):
            run_ids = [
                run_id
                for part in some
                for run_id in read_table(place, part.of(MARKS), MARKS_SCHEMA).column("run_id").to_pylist()
            ]
            yield merge_parts(place, some, run_ids, tracking_uri=tracking_uri)


def _joinable(parts: list[Part]) -> Iterator[list[Part]]:
    """Parts in order, as many together as make one of the usual size."""
    some: list[Part] = []
    for part in parts:
        if some and sum(one.runs for one in some) + part.runs > RUNS_PER_PART:
            yield some
            some = []
        some.append(part)
    if some:
        yield some
