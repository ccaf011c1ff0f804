"""update_snapshot: creates a snapshot of a store, or updates one by reading only what has changed."""

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
from qualia_lab.masking.keys import DEFAULT_RULES
from qualia_lab.masking.tables import KEYED, masked_keys, masked_rows
from qualia_lab.masking.text import MASK, MASK_PATTERN
from qualia_lab.query.secret_values import masked_filter, masked_where
from qualia_lab.stores.artifact_places import as_local_place
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.masked import MaskedStore
from qualia_lab.stores.protocol import find_experiments
from qualia_lab.stores.snapshot.genai import write_genai
from qualia_lab.stores.snapshot.grouping import batches_for_parts, compacted
from qualia_lab.stores.snapshot.location import PARTS
from qualia_lab.stores.snapshot.manifest import MANIFEST, SCHEMA_VERSION, Manifest, Part, part_from_json, read_manifest
from qualia_lab.stores.snapshot.parts import MARKS, MARKS_SCHEMA, PartWriter, merge_parts, read_table, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.genai import GenAIChoice
    from qualia_lab.stores.snapshot.location import SnapshotLocation


@dataclass(frozen=True)
class Update:
    """The result of an update.

    Attributes:
        counts: the number of rows by table.
        size: the size of the snapshot in bytes.
        read: the number of runs that were read.
        kept: the number of runs that were reused unchanged.
        removed: the number of runs that were removed.
        missing: {run id: reason} for runs that are listed by the store but could not be read.
        masked: the names of what was masked in the runs that were read, such as `param db_password`.
    """

    counts: dict[str, int]
    size: int
    read: int
    kept: int
    removed: int
    missing: dict[str, str]
    masked: tuple[str, ...]


# What a choice says of people's words, see `Privacy.as_data`; the other keys choose runs.
_PRIVACY = {"redact", "content"}

# What `Update.counts` counts, and in which table.
_COUNTED = {
    **{
        name: name
        for name in (
            *("experiments", "runs", "params", "metrics", "metric_history", "tags", "datasets", "logged_models"),
            "artifact_starts",
        )
    },
    "traces": "trace_traces",
    "assessments": "trace_assessments",
    "spans": "spans",
    "model_versions": "model_versions",
}


def old_snapshot(
    location: SnapshotLocation, tracking_uri: str, choice: dict[str, Any], *, force: bool
) -> Manifest | None:
    """The existing snapshot that an update starts from; None if there is none. The store is not read.

    Args:
        location: where the snapshot is or will be.
        tracking_uri: the store, without secrets.
        choice: the conditions by which the runs are chosen, {} for all runs.
        force: also replace a snapshot of another store or with other conditions, or one that cannot be read.

    Raises:
        OutputExists: the location has other files, or a snapshot of another store or with other conditions.
        OutputNotWritable: nothing can be written there.
        StoreUnreadable: the existing snapshot is damaged.
        StoreUnreachable: the location cannot be read.
    """
    location.check_writable()
    try:
        old = read_manifest(location)
    except StoreNotFound:
        if location.has_other_files():
            raise OutputExists(
                f"{location.shown} is not empty, and holds no snapshot.", "Choose an empty folder for the snapshot."
            ) from None
        return None
    except StoreUnreadable:
        if force:
            return None
        raise
    if force:
        return old
    hint = "Choose another location, or pass --force to replace it."
    if old.tracking_uri != tracking_uri:
        raise OutputExists(f"The snapshot in {location.shown} is of {old.tracking_uri}.", hint)
    if old.choice != choice:
        raise OutputExists(
            f"The snapshot in {location.shown} was made with a different choice of runs: {_choice_text(old.choice)}.",
            hint,
        )
    return old


def update_snapshot(
    store: TrackingStore,
    location: SnapshotLocation,
    listed: pa.Table,
    *,
    old: Manifest | None,
    choice: dict[str, Any],
    artifacts: bool = False,
    genai: GenAIChoice | None = None,
    again: bool = False,
    on_runs: Callable[[int, int], None] | None = None,
) -> Update:
    """Create or update a snapshot, so that it holds these runs of the store and their experiments.

    A run is read if it is new, if it had not ended at the last update, or if the store lists it differently: its name,
    status, start, end, user, lifecycle stage, artifact URI, parent or experiment. A run that is no longer listed is
    removed. The snapshot is the old one until the manifest is replaced; after that, files that are no longer used are
    removed. Parts that were finished by an update that was killed are reused.

    Args:
        store: the store.
        location: where the snapshot is or will be.
        listed: the runs, as `read_runs` returns them.
        old: the existing snapshot, see `old_snapshot`.
        choice: the conditions by which the runs were chosen, and what of people's words is left out; {} for all runs.
        artifacts: save the first bytes of artifacts too.
        genai: which models, traces and evaluation datasets are saved; None for none.
        again: read every run, also unchanged ones.
        on_runs: called with (runs read, runs to read) to report progress.

    Raises:
        EmptyStore: `listed` is empty.
        OutputNotWritable: the snapshot cannot be written, or another command is writing it.
        StoreError: the store cannot be read.
    """
    if not listed.num_rows:
        raise EmptyStore(f"There are no such runs in {store.uri}.", "List them with: qualia runs")
    before = old.choice if old is not None and old.choice is not None else {}
    # The numbers of what is left out begin anew with each command, and what was left out may be wanted now.
    again = again or bool(_PRIVACY & (choice.keys() | before.keys()))
    wanted = {row["run_id"]: row for row in listed.to_pylist()}
    digests = {run_id: _digest(row) for run_id, row in wanted.items()}
    with location.writing():
        existing = _complete_parts(location, old, store.uri)
        old_digests = _read_digests(location, existing)
        readable = [part for part in existing if part.name in old_digests]
        reusable = {} if again else _reusable_runs(readable, old_digests, digests, artifacts)
        reused = {run_id for run_ids in reusable.values() for run_id in run_ids}
        reader = _Reader(store, location, wanted, digests, artifacts=artifacts)
        to_read = [run_id for run_id in wanted if run_id not in reused]
        if to_read and isinstance(store, MaskedStore):
            store.remember(_masked_rows_by_table(location, [part for part in existing if reusable.get(part.name)]))
        reader.read(to_read, on_runs or (lambda _done, _all: None))
        parts = []
        runs_of = dict(reader.runs_of)
        for part in existing:
            if run_ids := reusable.get(part.name):
                is_complete = len(run_ids) == part.runs
                parts.append(part if is_complete else merge_parts(location, [part], run_ids, tracking_uri=store.uri))
                runs_of[parts[-1].name] = run_ids
        manifest = Manifest(
            tracking_uri=store.uri,
            beside=_beside(store),
            choice=choice,
            tables=(
                *_write_experiments(store, location, wanted, everything=choice.keys() <= _PRIVACY),
                *(() if genai is None else write_genai(location, store, genai, old=None if again else old)),
            ),
            parts=tuple(compacted(location, [*parts, *reader.parts], runs_of, wanted, tracking_uri=store.uri)),
        )
        old_names = {part.name for part in old.parts} if old is not None else set()
        removed = {run_id for name in old_names for run_id in old_digests.get(name, ())} - wanted.keys()
        publish(location, manifest)
    counts = manifest.counts()
    return Update(
        counts={name: counts.get(table, 0) for name, table in _COUNTED.items()},
        size=sum(file.bytes for file in manifest.files()),
        read=sum(part.runs for part in reader.parts),
        kept=len(reused),
        removed=len(removed),
        missing=reader.missing,
        masked=tuple(reader.masked),
    )


def publish(location: SnapshotLocation, manifest: Manifest) -> None:
    """Replace the manifest, and remove the files that it does not list."""
    location.replace(MANIFEST, manifest.to_json())
    location.remove_all_but({file.file for file in manifest.files()})


def _choice_text(choice: dict[str, Any] | None) -> str:
    if choice is None:
        return "those of one notebook"
    shown = dict(choice)
    if "filter" in choice:  # as it was typed, where an earlier version wrote it
        shown["filter"] = masked_filter(str(choice["filter"]), DEFAULT_RULES)
    if isinstance(choice.get("where"), list):
        shown["where"] = [masked_where(str(one), DEFAULT_RULES) for one in choice["where"]]
    return ", ".join(f"{name} {value}" for name, value in shown.items()) or "all runs"


def _digest(row: dict[str, Any]) -> str:
    """A digest of a run as the store lists it."""
    # Numbers of masks are removed: they depend on what was masked before, and differ between listings.
    return hashlib.sha256(
        MASK_PATTERN.sub(MASK, json.dumps(row, sort_keys=True, ensure_ascii=False)).encode()
    ).hexdigest()[:32]


def _complete_parts(location: SnapshotLocation, old: Manifest | None, tracking_uri: str) -> list[Part]:
    """The parts of this store all of whose files exist in full length, oldest first.

    This includes parts that were finished by an update that was killed before it wrote its manifest.
    """
    sizes = location.sizes()
    parts = list(old.parts) if old is not None and old.tracking_uri == tracking_uri else []
    for name in sorted(sizes):
        if name.endswith(".json"):
            part = _unpublished_part(location, name, tracking_uri)
            if part is not None and part.name not in {other.name for other in parts}:
                parts.append(part)
    return [part for part in parts if all(sizes.get(file.file) == file.bytes for file in part.files)]


def _unpublished_part(location: SnapshotLocation, name: str, tracking_uri: str) -> Part | None:
    try:
        content = json.loads(location.read_bytes(name))
        if (content["schema_version"], content["tracking_uri"]) == (SCHEMA_VERSION, tracking_uri):
            return part_from_json(content["part"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    return None


def _read_digests(location: SnapshotLocation, parts: list[Part]) -> dict[str, dict[str, str]]:
    """{name of a part: {run id: digest}} for the parts that can be read."""
    digests = {}
    for part in parts:
        with suppress(StoreUnreadable):  # the runs of a damaged part are read again
            columns = read_table(location, part.of(MARKS), MARKS_SCHEMA).to_pydict()
            digests[part.name] = dict(zip(columns["run_id"], columns["mark"], strict=True))
    return digests


def _reusable_runs(
    parts: list[Part], old_digests: dict[str, dict[str, str]], digests: dict[str, str], artifacts: bool
) -> dict[str, list[str]]:
    """{name of a part: runs} that had ended and have not changed since; each run occurs once."""
    reusable: dict[str, list[str]] = {}
    seen: set[str] = set()
    for part in reversed(parts):  # if a run is in two parts, the newer one counts
        if part.finished and (part.artifacts or not artifacts):
            same = [run_id for run_id, digest in old_digests[part.name].items() if digests.get(run_id) == digest]
            reusable[part.name] = [run_id for run_id in same if run_id not in seen]
            seen.update(same)
    return reusable


def _masked_rows_by_table(location: SnapshotLocation, parts: list[Part]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of these parts whose values are masked; new runs continue their numbering."""
    return {
        name: [row for part in parts for row in masked_rows(read_table(location, part.of(name), schema.TABLES[name]))]
        for name in KEYED
    }


class _Reader:
    """Reads runs from a store into new parts."""

    def __init__(
        self,
        store: TrackingStore,
        location: SnapshotLocation,
        rows: dict[str, dict[str, Any]],
        digests: dict[str, str],
        *,
        artifacts: bool,
    ) -> None:
        self.parts: list[Part] = []
        self.runs_of: dict[str, Sequence[str]] = {}
        self.missing: dict[str, str] = {}
        self.masked: dict[str, None] = {}
        self._store = store
        self._location = location
        self._rows = rows
        self._digests = digests
        self._artifacts = artifacts

    def read(self, run_ids: list[str], on_runs: Callable[[int, int], None]) -> None:
        """Read these runs, one part at a time. `on_runs`: called with (runs read, runs to read)."""
        done = 0
        for batch in batches_for_parts(run_ids, self._rows):
            on_runs(done, len(run_ids))
            self._read_part(batch, lambda more, done=done: on_runs(done + more, len(run_ids)))  # type: ignore[misc]
            done += len(batch)
        if done:
            on_runs(done, done)

    def _read_part(self, run_ids: list[str], on_runs: Callable[[int], None]) -> None:
        tables = self._store.read(run_ids)
        self.missing |= {row["run_id"]: row["reason"] for row in tables.missing.to_pylist()}
        self.masked |= dict.fromkeys(masked_keys(tables))
        if not tables.run_ids:
            return
        writer = PartWriter(self._location, durable=True)
        writer.add_tables(tables, self._digests)
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
    """The batches; `on_runs` is called with the number of runs that have occurred in them so far."""
    seen: set[str] = set()
    for batch in batches:
        yield batch
        seen.update(pc.unique(batch.column("run_id")).to_pylist())
        on_runs(len(seen))


def _write_experiments(
    store: TrackingStore, location: SnapshotLocation, runs: dict[str, Any], *, everything: bool
) -> tuple[Any, ...]:
    """Write the table of experiments: all of them, or only those of the runs."""
    table = find_experiments(store, "all").select(schema.EXPERIMENTS.names)
    if not everything:
        ids = column(sorted({row["experiment_id"] for row in runs.values()}), schema.STRING)
        table = table.filter(pc.is_in(table.column("experiment_id"), value_set=ids))
    if not table.num_rows:
        return ()
    return (write_file(location, "experiments", f"{PARTS}/{uuid4().hex}-0.parquet", [table]),)


def _beside(store: TrackingStore) -> str | None:
    """The folder in which a store on this machine searches for artifacts that are not where they were recorded."""
    place = as_local_place(store.artifact_place("", ""))
    return str(place.beside) if place is not None and place.beside is not None else None
