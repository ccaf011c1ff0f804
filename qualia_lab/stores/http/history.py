"""Histories: metric histories from a tracking server, and from a local cache for runs that have ended."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.columns import column
from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.history_cache import fingerprint_of
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import data_of, point_of, run_id_of
from qualia_lab.stores.http.search_page import FRESH_SECONDS
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from qualia_lab.stores.http.history_cache import HistoryCache
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]
    Find = Callable[[list[str], Callable[[list[Json]], object]], object]

API = "/api/2.0/mlflow"
_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
_RUNS_PER_REQUEST = 100
# get-history-bulk returns at most this many points in total, and silently omits the rest.
_MAX_POINTS = 25_000
# For up to this many metrics, requesting them for all runs is as fast as finding out which runs have them.
_FEW_KEYS = 3
_MAX_REMEMBERED = 10_000
# Histories of a hundred runs are buffered until they are complete, for the cache: some hundred megabytes at most.
_MAX_BUFFERED_POINTS = 2_000_000


@dataclass(frozen=True)
class _RunState:
    """The metrics of a run, and its fingerprint for the cache (None: its history must not be cached)."""

    keys: frozenset[str]
    fingerprint: str | None

    @classmethod
    def from_json(cls, run: Json) -> _RunState:
        keys = frozenset(str(metric.get("key")) for metric in data_of(run, "metrics"))
        return cls(keys, fingerprint_of(run))


class Histories:
    """Reads the metric histories of one server's runs.

    Args:
        client: sends the requests.
        cache: histories of ended runs; None for no cache.
        find: passes the runs with these ids, as MLflow's JSON, to a function, in batches and from any thread.
        in_bulk: whether to try get-history-bulk, which returns the histories of many runs at once.
    """

    def __init__(self, client: RestClient, cache: HistoryCache | None, *, find: Find, in_bulk: bool) -> None:
        self._client = client
        self._cache = cache
        self._find = find
        self._in_bulk = in_bulk
        self._remembered: dict[str, tuple[float, _RunState]] = {}

    def remember(self, runs: Iterable[Json]) -> None:
        """Remember the state of ended runs that the server has just returned: their histories are often read next."""
        now = time.monotonic()
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        for run in islice(runs, _MAX_REMEMBERED):
            state = _RunState.from_json(run)
            if state.fingerprint is not None:
                self._remembered[run_id_of(run)] = (now, state)

    def read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """The points of these metrics (None: all) of these runs; runs that do not exist are skipped."""
        states = self._run_states(list(dict.fromkeys(run_ids)), keys)
        only = None if keys is None else frozenset(keys)
        to_request: dict[str, frozenset[str]] = {}
        for run_id, state in states.items():
            wanted = state.keys if only is None else state.keys & only
            cached = self._cached(run_id, state) if wanted else None
            if cached is None:
                to_request[run_id] = wanted
            elif only is None:
                yield from cached.to_batches()
            else:
                is_wanted = pc.is_in(cached.column("key"), value_set=column(list(wanted), schema.STRING))
                yield from cached.filter(is_wanted).to_batches()
        for _, numbered_tables in groupby(self._requested(to_request), key=lambda numbered: numbered[0]):
            buffer = _PointBuffer()
            for _, table in numbered_tables:
                yield from table.to_batches()
                if only is None and self._cache is not None:
                    buffer.add(table)
            for run_id, points in buffer.histories():
                self._write_to_cache(run_id, states[run_id], points)

    def _cached(self, run_id: str, state: _RunState) -> pa.Table | None:
        return self._cache.read(run_id, state.fingerprint) if self._cache and state.fingerprint else None

    def _write_to_cache(self, run_id: str, state: _RunState, points: pa.Table) -> None:
        if self._cache and state.fingerprint:
            self._cache.write(run_id, state.fingerprint, points)

    def _run_states(self, run_ids: list[str], keys: Sequence[str] | None) -> dict[str, _RunState]:
        """The states of these runs, remembered or requested; for a few metrics, each run is assumed to have them.

        A remembered state is used once, so a history is as fresh as the tables that were read before it.
        """
        remembered = {run_id: self._remembered.pop(run_id, None) for run_id in run_ids}  # other threads may pop too
        since = time.monotonic() - FRESH_SECONDS
        states = {run_id: entry[1] for run_id, entry in remembered.items() if entry is not None and entry[0] >= since}
        others = [run_id for run_id in run_ids if run_id not in states]
        if keys is not None and len(keys) <= _FEW_KEYS:
            states |= dict.fromkeys(others, _RunState(frozenset(keys), None))
        elif others:
            self._find(others, lambda runs: states.update((run_id_of(run), _RunState.from_json(run)) for run in runs))
        return {run_id: states[run_id] for run_id in run_ids if run_id in states}

    def _requested(self, keys_by_run: Mapping[str, frozenset[str]]) -> Iterator[tuple[int, pa.Table]]:
        """The histories of these metrics, one table per request, with the number of its batch of a hundred runs."""
        requests: list[tuple[int, str, list[str]]] = []
        for number, hundred in enumerate(batches_of(list(keys_by_run), _RUNS_PER_REQUEST)):
            runs_by_key: dict[str, list[str]] = defaultdict(list)
            for run_id in hundred:
                for key in keys_by_run[run_id]:
                    runs_by_key[key].append(run_id)
            for key in sorted(runs_by_key):
                batches = batches_of(runs_by_key[key], _RUNS_PER_REQUEST if self._in_bulk else 1)
                requests += [(number, key, batch) for batch in batches]
        tables = in_parallel(lambda request: self._history(*request[1:]), requests)
        for (number, _, _), table in zip(requests, tables, strict=True):
            yield number, table

    def _history(self, key: str, run_ids: list[str]) -> pa.Table:
        """Every point of one metric of up to a hundred runs, ordered by run, step, timestamp and value."""
        histories: dict[str, list[Json]] = {}
        remaining = dict.fromkeys(run_ids)
        while remaining and self._in_bulk and (response := self._bulk(key, list(remaining))) is not None:
            valid = [point for point in response if isinstance(point, dict) and str(point.get("run_id")) in remaining]
            by_run = [(run_id, list(points)) for run_id, points in groupby(valid, lambda point: str(point["run_id"]))]
            if len(response) < _MAX_POINTS:
                remaining.clear()
            elif len(by_run) != len({run_id for run_id, _ in by_run}) or not by_run:
                break
            elif len(by_run) == 1:
                run_id = by_run[0][0]
                by_run = [(run_id, list(self._paged(key, run_id)))]
            else:
                by_run.pop()  # points come run by run, so only the last run of a truncated response is incomplete
            for run_id, points in by_run:
                histories.setdefault(run_id, []).extend(points)
                remaining.pop(run_id, None)
        for run_id in remaining:
            histories[run_id] = list(self._paged(key, run_id))
        rows = [
            {"run_id": run_id, "key": key, **value}
            for run_id, points in histories.items()
            for point in points
            if (value := point_of(point)) is not None
        ]
        order = ["run_id", "step", "timestamp", "value"]
        return table_of(schema.METRIC_HISTORY, rows).sort_by([(name, "ascending") for name in order])

    def _bulk(self, key: str, run_ids: list[str]) -> list[Any] | None:
        """The points of many runs in one response, at most _MAX_POINTS; None if the server does not support that."""
        parameters = [
            ("metric_key", key),
            ("max_results", str(_MAX_POINTS)),
            *(("run_id", run_id) for run_id in run_ids),
        ]
        try:
            points = self._client.request_json("GET", _BULK, parameters=parameters).get("metrics")
        except (RequestRejected, StoreUnreadable) as error:
            if not isinstance(error, RequestRejected) or error.status in (404, 405, 501):
                self._in_bulk = False  # an old MLflow, or a proxy that allows only documented endpoints
            return None
        return points if isinstance(points, list) else None

    def _paged(self, key: str, run_id: str) -> Iterator[Json]:
        """The points of one run, page by page; none if the run does not exist."""
        parameters = {"run_id": run_id, "metric_key": key, "max_results": str(_MAX_POINTS)}
        try:
            yield from read_pages(self._client, "GET", f"{API}/metrics/get-history", parameters, "metrics")
        except RequestRejected as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


class _PointBuffer:
    """Collects the points of a hundred runs for the cache, unless there are too many."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._points = 0

    def add(self, table: pa.Table) -> None:
        self._points += table.num_rows
        if self._points > _MAX_BUFFERED_POINTS:
            self._tables.clear()
        else:
            self._tables.append(table)

    def histories(self) -> Iterator[tuple[str, pa.Table]]:
        """(run id, all its points) for each run that has points; nothing if there were too many."""
        if self._points > _MAX_BUFFERED_POINTS:
            return
        by_run: dict[str, list[pa.Table]] = defaultdict(list)
        for table in self._tables:
            if table.num_rows:
                runs = pc.run_end_encode(table.column("run_id").combine_chunks())
                start = 0
                for run_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                    by_run[run_id].append(table.slice(start, end - start))
                    start = end
        for run_id, slices in by_run.items():
            yield run_id, pa.concat_tables(slices)


def batches_of(items: list[str], size: int) -> Iterator[list[str]]:
    """The items in lists of at most this many."""
    return (items[start : start + size] for start in range(0, len(items), size))
