"""SearchPage: a page of search results, kept for the read that follows."""

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

# For this long, a search result replaces a request for the same run, once.
FRESH_SECONDS = 60
_MAX_BYTES = 64 << 20  # compressed: some 60,000 runs with 50 values each
_RUN_TABLES = ("runs", "params", "metrics", "tags", "datasets", "problems")
_OUTPUTS = pa.schema([("run_id", schema.STRING), ("model_id", schema.STRING)])


@dataclass(frozen=True)
class SearchPage:
    """The tables of some runs and the models in their outputs, as a search returned them.

    Attributes:
        tables: the tables of RunTables that belong to runs, and `outputs` (run_id, model_id). The rows of a run are
            consecutive.
        without_id: the number of runs without an id, which are in no table.
    """

    tables: Mapping[str, pa.Table]
    without_id: int = 0

    @classmethod
    def from_json(cls, runs: Sequence[Json]) -> SearchPage:
        """A page from MLflow's JSON of runs; of duplicates, the last one counts."""
        rows, outputs = Rows(), []
        with_id = [run for run in runs if run_id_of(run)]
        for run_id, run in {run_id_of(run): run for run in with_id}.items():
            add_run(run, rows)
            model_ids = dict.fromkeys(
                str(output.get("model_id")) for output in objects(run, "outputs", "model_outputs")
            )
            outputs += [{"run_id": run_id, "model_id": model_id} for model_id in model_ids]
        tables = {name: table_of(schema.TABLES[name], rows.tables[name]) for name in _RUN_TABLES}
        return cls({**tables, "outputs": table_of(_OUTPUTS, outputs)}, len(runs) - len(with_id))

    @property
    def run_ids(self) -> list[str]:
        """The ids of the runs, in order."""
        return list(self.tables["runs"].column("run_id").to_pylist())

    @property
    def outputs(self) -> dict[str, set[str]]:
        """The ids of the models in the outputs of each run."""
        model_ids: dict[str, set[str]] = defaultdict(set)
        table = self.tables["outputs"]
        for run_id, model_id in zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True):
            model_ids[run_id].add(model_id)
        return model_ids

    def for_runs(self, run_ids: Sequence[str]) -> SearchPage:
        """A page of only these runs, in this order."""
        wanted = list(dict.fromkeys(run_ids))
        if wanted == self.run_ids:
            return self
        order = column(wanted, schema.STRING)
        return replace(self, tables={name: _by_run(table, order) for name, table in self.tables.items()})

    def to_run_tables(self, rows: Rows) -> RunTables:
        """RunTables of these runs, with the other tables (experiments, models, missing runs) from the rows."""
        others = rows.to_tables()
        own = {name: self.tables[name] for name in _RUN_TABLES}
        return replace(others, **{**own, "problems": pa.concat_tables([others.problems, own["problems"]])})


def merge_pages(pages: Sequence[SearchPage]) -> SearchPage:
    """All pages in one. If runs are added during a search, a run can be on two pages; the first one counts."""
    seen: set[str] = set()
    distinct = []
    for page in pages:
        new = [run_id for run_id in page.run_ids if run_id not in seen]
        seen.update(new)
        distinct.append(page.for_runs(new))
    if not distinct:
        return SearchPage.from_json(())
    tables = {name: pa.concat_tables([page.tables[name] for page in distinct]) for name in distinct[0].tables}
    return SearchPage(tables, sum(page.without_id for page in pages))


class SearchResultCache:
    """The pages of the last search, compressed, for the one read that follows it.

    Each run is returned once and then dropped, and a new search replaces all: a second read sends new requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: list[tuple[dict[str, pa.Buffer], set[str]]] = []
        self._since = 0.0

    def store(self, pages: Iterable[SearchPage], run_ids: Iterable[str], since: float) -> None:
        """Replace the cached pages with these, as far as they fit.

        Args:
            pages: the results of a search.
            run_ids: the runs that may be taken later.
            since: the time.monotonic() at which the search began.
        """
        remaining, free = set(run_ids), _MAX_BYTES
        cached: list[tuple[dict[str, pa.Buffer], set[str]]] = []
        for page in pages:
            if on_page := remaining.intersection(page.run_ids):
                compressed = {name: _compress(table) for name, table in page.tables.items()}
                free -= sum(buffer.size for buffer in compressed.values())
                if free < 0:
                    break
                cached.append((compressed, on_page))
                remaining -= on_page
        with self._lock:
            self._pages, self._since = cached, since

    def take(self, run_ids: Iterable[str]) -> list[SearchPage]:
        """Remove these runs from the cache and return them, as far as they are cached and not too old."""
        wanted, taken = set(run_ids), []
        with self._lock:
            if time.monotonic() - self._since > FRESH_SECONDS:
                self._pages = []
            for compressed, remaining in self._pages:
                if on_page := remaining & wanted:
                    remaining.difference_update(on_page)
                    taken.append((compressed, on_page))
            self._pages = [page for page in self._pages if page[1]]
        return [_decompress(compressed, on_page) for compressed, on_page in taken]


def _by_run(table: pa.Table, run_ids: pa.Array) -> pa.Table:
    """The rows of these runs, in the order of the runs; the order of the rows within a run is kept."""
    positions = numbers_of(filled(pc.index_in(table.column("run_id"), value_set=run_ids), -1))
    rows = np.argsort(positions, kind="stable")
    rows = rows[np.count_nonzero(positions < 0) :]
    return table.take(column_of(rows.astype(np.int64), pa.int64()))


def _compress(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if pa.Codec.is_available("lz4") else None)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _decompress(compressed: Mapping[str, pa.Buffer], run_ids: set[str]) -> SearchPage:
    page = SearchPage({name: pa.ipc.open_stream(buffer).read_all() for name, buffer in compressed.items()})
    return page.for_runs([run_id for run_id in page.run_ids if run_id in run_ids])
