"""Told: runs as a server has told of them, in columns; and what a listing told, kept for the reading that follows."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column, column_of, filled, numbers_of
from qualia_lab.stores.http.rows import add_run, objects, run_id_of
from qualia_lab.stores.rows import Rows
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qualia_lab.tables import RunTables

    Json = dict[str, Any]

# For so long what a server said of a run need not be asked again, by the one reading that follows.
LATELY_SECONDS = 60
_MOST_BYTES = 64 << 20  # packed: some 60,000 runs with 50 values each
_OF_RUNS = ("runs", "params", "metrics", "tags", "datasets", "problems")
_OUTPUTS = pa.schema([("run_id", schema.STRING), ("model_id", schema.STRING)])


@dataclass(frozen=True)
class Told:
    """The tables of some runs, and which models each names among its outputs; the rows of a run stand together."""

    tables: Mapping[str, pa.Table]

    @classmethod
    def of(cls, runs: Iterable[Json]) -> Told:
        """Of MLflow's JSON of runs, each once."""
        rows, outputs = Rows(), []
        for run_id, run in {run_id_of(run): run for run in runs}.items():
            add_run(run, rows)
            named = dict.fromkeys(str(output.get("model_id")) for output in objects(run, "outputs", "model_outputs"))
            outputs += [{"run_id": run_id, "model_id": model_id} for model_id in named]
        tables = {name: table_of(schema.TABLES[name], rows.tables[name]) for name in _OF_RUNS}
        return cls({**tables, "outputs": table_of(_OUTPUTS, outputs)})

    @property
    def run_ids(self) -> list[str]:
        """The runs, in order."""
        return list(self.tables["runs"].column("run_id").to_pylist())

    @property
    def outputs(self) -> dict[str, set[str]]:
        """The ids of the models that runs name among their outputs."""
        named: dict[str, set[str]] = defaultdict(set)
        table = self.tables["outputs"]
        for run_id, model_id in zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True):
            named[run_id].add(model_id)
        return named

    def of_runs(self, run_ids: Sequence[str]) -> Told:
        """What is told of these, in this order."""
        wanted = list(dict.fromkeys(run_ids))
        if wanted == self.run_ids:
            return self
        order = column(wanted, schema.STRING)
        return Told({name: _by_run(table, order) for name, table in self.tables.items()})

    def completed(self, rows: Rows) -> RunTables:
        """RunTables, with what the rows hold beside the runs themselves."""
        others = rows.built()
        own = {name: self.tables[name] for name in _OF_RUNS}
        return replace(others, **{**own, "problems": pa.concat_tables([others.problems, own["problems"]])})


def joined(portions: Sequence[Told]) -> Told:
    """All of them in one; a run that two tell of, as pages do while runs are added, as the first tells it."""
    seen: set[str] = set()
    parts = []
    for portion in portions:
        new = [run_id for run_id in portion.run_ids if run_id not in seen]
        seen.update(new)
        parts.append(portion.of_runs(new))
    if not parts:
        return Told.of(())
    return Told({name: pa.concat_tables([part.tables[name] for part in parts]) for name in parts[0].tables})


class Kept:
    """What a listing told of its runs, packed, for the one reading that follows it soon.

    Each run is given once and then forgotten, as all are at the next listing: who asks again asks the server.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: list[tuple[dict[str, pa.Buffer], set[str]]] = []
        self._since = 0.0

    def keep(self, portions: Iterable[Told], run_ids: Iterable[str], since: float) -> None:
        """These runs, as far as there is room, in place of what was kept.  since: the moment they were asked for."""
        left, room = set(run_ids), _MOST_BYTES
        pages: list[tuple[dict[str, pa.Buffer], set[str]]] = []
        for portion in portions:
            if of_it := left.intersection(portion.run_ids):
                packed = {name: _packed(table) for name, table in portion.tables.items()}
                room -= sum(buffer.size for buffer in packed.values())
                if room < 0:
                    break
                pages.append((packed, of_it))
                left -= of_it
        with self._lock:
            self._pages, self._since = pages, since

    def take(self, run_ids: Iterable[str]) -> list[Told]:
        """What is still kept of these runs, and is not old."""
        wanted, taken = set(run_ids), []
        with self._lock:
            if time.monotonic() - self._since > LATELY_SECONDS:
                self._pages = []
            for packed, left in self._pages:
                if of_it := left & wanted:
                    left.difference_update(of_it)
                    taken.append((packed, of_it))
            self._pages = [page for page in self._pages if page[1]]
        return [_unpacked(packed, of_it) for packed, of_it in taken]


def _by_run(table: pa.Table, run_ids: pa.Array) -> pa.Table:
    """The rows of these runs, by run in this order and else as they stood."""
    places = numbers_of(filled(pc.index_in(table.column("run_id"), value_set=run_ids), -1))
    rows = np.argsort(places, kind="stable")
    rows = rows[np.count_nonzero(places < 0) :]
    return table.take(column_of(rows.astype(np.int64), pa.int64()))


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _unpacked(packed: Mapping[str, pa.Buffer], run_ids: set[str]) -> Told:
    whole = Told({name: pa.ipc.open_stream(buffer).read_all() for name, buffer in packed.items()})
    return whole.of_runs([run_id for run_id in whole.run_ids if run_id in run_ids])
