"""MaskedStore: wraps a store and masks the secrets in everything that is read from it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.closing import Closing
from qualia_lab.masking.keys import NO_MASKING
from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.masking.private_files import private_bytes
from qualia_lab.masking.private_tables import redacted_table, table_without_content
from qualia_lab.masking.tables import KEYED, mask_keyed, mask_tables, mask_texts
from qualia_lab.masking.text import MASK_PATTERN
from qualia_lab.query.explanation import Explanation
from qualia_lab.query.secret_values import masked_filter
from qualia_lab.schema import TABLES
from qualia_lab.stores.protocol import find_experiments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.masking.redactor import Redactor
    from qualia_lab.masking.tables import Masker
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables

_NO_SQL = "-- not shown, since it holds a value that looks like a secret"
_BYTES_INSPECTED = 4096  # a file with a control character in its first bytes is binary
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UTF16 = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class MaskedStore(Closing):
    """A TrackingStore that masks the secrets of another one, and leaves out people's words where that is wanted.

    Filters and orders are evaluated on the stored values.
    """

    def __init__(
        self, store: TrackingStore, masker: Masker, *, tables: bool = True, redactor: Redactor | None = None
    ) -> None:
        """Wrap a store.

        Args:
            store: the store with its secrets.
            masker: masks, with consistent numbers over all reads.
            tables: False if the tables were written masked: `read` then masks nothing in them.
            redactor: leaves out people's words after secrets were masked; None shows them.
        """
        self.stored = store
        self.uri = store.uri
        self.masker = masker
        self.redactor = redactor
        self._tables = tables
        self._artifact_uris: dict[str, str] = {}

    @property
    def source_uri(self) -> str | None:
        """The tracking URI of the store that a snapshot was taken from; None for other stores."""
        return getattr(self.stored, "source_uri", None)

    @property
    def as_of(self) -> int | None:
        """The time in ms up to which unfinished runs last, if the store is a copy as of that time."""
        return getattr(self.stored, "as_of", None)

    @property
    def privacy(self) -> Privacy:
        """What of people's words is left out, here and when the snapshot was written that is read."""
        written: Privacy = getattr(self.stored, "privacy", EVERYTHING_SHOWN)
        return written if self.redactor is None else self.redactor.privacy.and_of(written.as_data())

    def read_experiments(self, view: View = "active") -> pa.Table:
        """See TrackingStore."""
        return mask_texts(self.stored.read_experiments(view), "experiments", self.masker)

    def find_experiments(self, view: View = "active") -> pa.Table:
        """See ListsWithoutCounts."""
        return mask_texts(find_experiments(self.stored, view), "experiments", self.masker)

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """See TrackingStore."""
        tags = self.stored.read_experiment_tags(experiment_ids)
        return self._private("experiment_tags", mask_keyed(tags, KEYED["experiment_tags"], self.masker))

    def read_runs(self, query: Query) -> pa.Table:
        """See TrackingStore."""
        return self._runs(self.stored.read_runs(query))

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore. The values of secrets that the query compares with are masked in it."""
        found, rules = self.stored.explain(query), self.masker.rules
        if masked_filter(query.filter, rules) == query.filter:
            return found
        parts = tuple(replace(part, text=masked_filter(part.text, rules)) for part in found.parts)
        return Explanation(parts, _NO_SQL if found.sql else "")

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """See TrackingStore."""
        tables = self.stored.read(run_ids)
        shown = mask_tables(tables, self.masker) if self._tables else tables
        self._remember_artifact_uris(tables.runs, shown.runs)
        if self.redactor is None:
            return shown
        return replace(shown, **{name: self._private(name, getattr(shown, name)) for name in TABLES})

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See TrackingStore."""
        return self.stored.read_metric_history(run_ids, keys)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """See TrackingStore."""
        recorded = self._artifact_uris.get(run_id, artifact_uri) if MASK_PATTERN.search(artifact_uri) else artifact_uri
        return MaskedPlace(self.stored.artifact_place(run_id, recorded), self.masker, self.redactor)

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """See TrackingStore."""
        return self.stored.change_token(experiment_ids)

    def close(self) -> None:
        """See TrackingStore."""
        self.stored.close()

    def remember(self, shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Continue the numbering of tables that were masked earlier; one run for each masked value is read again.

        Args:
            shown: masked rows of params, tags and experiment tags, by table.
        """
        first_rows: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for name, rows in shown.items():
            for row in rows:
                first_rows.setdefault((name, row["key"], row["value"]), row)
                self.masker.reserve(f"{KEYED[name]} {row['key']}", row["value"])
        run_ids = {row["run_id"] for row in first_rows.values() if "run_id" in row}
        if not run_ids:
            return
        tables = self.stored.read(sorted(run_ids))
        stored = {
            (name, row["run_id"], row["key"]): row["value"]
            for name in ("params", "tags")
            for row in getattr(tables, name).to_pylist()
        }
        for (name, key, value), row in first_rows.items():
            stored_value = stored.get((name, row.get("run_id"), key))
            if stored_value is not None:
                self.masker.remember(KEYED[name], key, stored_value, value)

    def _runs(self, runs: pa.Table) -> pa.Table:
        """The runs, masked."""
        shown = mask_texts(runs, "runs", self.masker)
        self._remember_artifact_uris(runs, shown)
        return self._private("runs", shown)

    def _private(self, name: str, table: pa.Table) -> pa.Table:
        """The table without people's words, as far as that is wanted. `name`: see `masking.private_tables`."""
        if self.redactor is None:
            return table
        if not self.redactor.privacy.content:
            table = table_without_content(name, table, self.redactor)
        return redacted_table(name, table, self.redactor) if self.redactor.privacy.redact else table

    def _remember_artifact_uris(self, runs: pa.Table, shown: pa.Table) -> None:
        """Remember the artifact URIs that were masked, for `artifact_place`."""
        if shown is not runs:
            columns = (table.column("artifact_uri").to_pylist() for table in (runs, shown))
            for run_id, stored, masked in zip(runs.column("run_id").to_pylist(), *columns, strict=True):
                if stored != masked:
                    self._artifact_uris[run_id] = stored


def rules_of(store: TrackingStore) -> MaskRules:
    """The rules by which what is read from this store is masked."""
    masker: Masker | None = getattr(store, "masker", None)
    return NO_MASKING if masker is None else masker.rules


def left_out_of(store: TrackingStore) -> tuple[str, ...]:
    """Sentences on people's words that were left out of all that was read from this store so far."""
    if not isinstance(store, MaskedStore):
        return ()
    if store.redactor is not None:
        return store.redactor.left_out()
    return tuple(
        f"{store.uri} was written with {flag}"
        for flag, is_used in (("--redact", store.privacy.redact), ("--no-content", not store.privacy.content))
        if is_used
    )


def privacy_of(store: TrackingStore) -> Privacy:
    """What of people's words this store shows."""
    privacy: Privacy = getattr(store, "privacy", EVERYTHING_SHOWN)
    return privacy


class MaskedPlace:
    """The artifacts of a run, with secrets masked in text files, and people's words left out where that is wanted."""

    def __init__(self, place: ArtifactPlace, masker: Masker, redactor: Redactor | None = None) -> None:
        self.stored = place
        self._masker = masker
        self._redactor = redactor
        self.recorded_uri = masker.text("artifact URI", place.recorded_uri)
        self.note = masker.text("artifact note", place.note)

    def list_files(self) -> Iterator[ArtifactFile]:
        """See ArtifactPlace."""
        yield from self.stored.list_files()
        self.note = self._masker.text("artifact note", self.stored.note)  # complete once the files were listed

    def read_bytes(self, path: str, limit: int) -> bytes:
        """See ArtifactPlace."""
        data = self.stored.read_bytes(path, limit)
        shown = mask_bytes(data, f"artifact {path}", self._masker)
        if self._redactor is not None:
            shown = private_bytes(path, shown, self._redactor, is_whole=len(data) < limit, change=_with_text)
        # Readers recognize a truncated file by its length, so the masked bytes are padded to the limit.
        return shown[:limit].ljust(limit) if len(data) >= limit else shown


def mask_bytes(data: bytes, scope: str, masker: Masker) -> bytes:
    """The start of a file with its secrets masked; binary files are returned unchanged."""
    return _with_text(data, lambda text: masker.text(scope, text))


def _with_text(data: bytes, change: Callable[[str], str]) -> bytes:
    """The start of a file with its text changed; binary files are returned unchanged."""
    for mark, encoding in _UTF16:
        if data.startswith(mark):
            text = data[2 : len(data) // 2 * 2].decode(encoding, "surrogatepass" if len(data) % 2 == 0 else "ignore")
            shown = change(text)
            return data if shown == text else mark + shown.encode(encoding, "surrogatepass")
    if _CONTROL.search(data, 0, _BYTES_INSPECTED):
        return data
    # Bytes that are not UTF-8 survive the round trip unchanged.
    text = data.decode("utf-8", "surrogateescape")
    shown = change(text)
    return data if shown == text else shown.encode("utf-8", "surrogateescape")
