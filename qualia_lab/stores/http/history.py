"""Histories: the points of metrics as a tracking server gives them, and as they were kept of runs that have ended."""

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
from qualia_lab.stores.http.told import LATELY_SECONDS
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
_RUNS_PER_QUESTION = 100
# get-history-bulk gives no more than this many points in all, leaves out the rest and does not say so.
_MOST_POINTS = 25_000
# Until so many metrics, asking for them of all runs takes a server no longer than saying which runs have them.
_FEW_KEYS = 3
_MOST_SEEN = 10_000
# Histories of a hundred runs are held until they are whole, to be kept: some hundred megabytes at most.
_MOST_HELD = 2_000_000


@dataclass(frozen=True)
class _Run:
    """What has to be known of a run to ask for its history: which metrics it has, and whether that may be kept."""

    keys: frozenset[str]
    fingerprint: str | None

    @classmethod
    def of(cls, run: Json) -> _Run:
        keys = frozenset(str(metric.get("key")) for metric in data_of(run, "metrics"))
        return cls(keys, fingerprint_of(run))


class Histories:
    """The histories of one server's runs.

    find: hands the runs of these ids, as MLflow's JSON, to a function that any thread may call.
    in_bulk: whether many runs can be asked for at once, as far as that is known.
    """

    def __init__(self, client: RestClient, cache: HistoryCache | None, *, find: Find, in_bulk: bool) -> None:
        self._client = client
        self._cache = cache
        self._find = find
        self._in_bulk = in_bulk
        self._seen: dict[str, tuple[float, _Run]] = {}

    def saw(self, runs: Iterable[Json]) -> None:
        """Remember what the server has just said of runs that have ended: their histories are often read next."""
        now = time.monotonic()
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        for answer in islice(runs, _MOST_SEEN):
            run = _Run.of(answer)
            if run.fingerprint is not None:
                self._seen[run_id_of(answer)] = (now, run)

    def read(self, run_ids: Sequence[str], keys: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """The points of these metrics (None: of all) of these runs; what is not there is left out."""
        runs = self._known(list(dict.fromkeys(run_ids)), keys)
        only = None if keys is None else frozenset(keys)
        asked: dict[str, frozenset[str]] = {}
        for run_id, run in runs.items():
            wanted = run.keys if only is None else run.keys & only
            kept = self._kept(run_id, run) if wanted else None
            if kept is None:
                asked[run_id] = wanted
            elif only is None:
                yield from kept.to_batches()
            else:
                chosen = pc.is_in(kept.column("key"), value_set=column(list(wanted), schema.STRING))
                yield from kept.filter(chosen).to_batches()
        for _, answers in groupby(self._answers(asked), key=lambda answer: answer[0]):
            held = _Held()
            for _, table in answers:
                yield from table.to_batches()
                if only is None and self._cache is not None:
                    held.add(table)
            for run_id, points in held.whole():
                self._keep(run_id, runs[run_id], points)

    def _kept(self, run_id: str, run: _Run) -> pa.Table | None:
        return self._cache.read(run_id, run.fingerprint) if self._cache and run.fingerprint else None

    def _keep(self, run_id: str, run: _Run, points: pa.Table) -> None:
        if self._cache and run.fingerprint:
            self._cache.write(run_id, run.fingerprint, points)

    def _known(self, run_ids: list[str], keys: Sequence[str] | None) -> dict[str, _Run]:
        """What is known of these runs: what the server has just said or says now; of few metrics, that each has them.

        What it said serves one reading, which is then as fresh as the tables that were read before it.
        """
        seen = {run_id: self._seen.pop(run_id, None) for run_id in run_ids}  # another thread may have taken it
        since = time.monotonic() - LATELY_SECONDS
        known = {run_id: said[1] for run_id, said in seen.items() if said is not None and said[0] >= since}
        others = [run_id for run_id in run_ids if run_id not in known]
        if keys is not None and len(keys) <= _FEW_KEYS:
            known |= dict.fromkeys(others, _Run(frozenset(keys), None))
        elif others:
            self._find(others, lambda runs: known.update((run_id_of(run), _Run.of(run)) for run in runs))
        return {run_id: known[run_id] for run_id in run_ids if run_id in known}

    def _answers(self, keys_by_run: Mapping[str, frozenset[str]]) -> Iterator[tuple[int, pa.Table]]:
        """The histories of these metrics, a hundred runs after the other: which hundred, and one question's answer."""
        questions: list[tuple[int, str, list[str]]] = []
        for place, hundred in enumerate(portions_of(list(keys_by_run), _RUNS_PER_QUESTION)):
            runs_by_key: dict[str, list[str]] = defaultdict(list)
            for run_id in hundred:
                for key in keys_by_run[run_id]:
                    runs_by_key[key].append(run_id)
            for key in sorted(runs_by_key):
                portions = portions_of(runs_by_key[key], _RUNS_PER_QUESTION if self._in_bulk else 1)
                questions += [(place, key, portion) for portion in portions]
        tables = in_parallel(lambda question: self._history(*question[1:]), questions)
        for (place, _, _), table in zip(questions, tables, strict=True):
            yield place, table

    def _history(self, key: str, run_ids: list[str]) -> pa.Table:
        """Every point of one metric of up to a hundred runs, run by run, in order of step, timestamp, value."""
        whole: dict[str, list[Json]] = {}
        left = dict.fromkeys(run_ids)
        while left and self._in_bulk and (answer := self._bulk(key, list(left))) is not None:
            found = [point for point in answer if isinstance(point, dict) and str(point.get("run_id")) in left]
            stretches = [(run_id, list(points)) for run_id, points in groupby(found, lambda one: str(one["run_id"]))]
            if len(answer) < _MOST_POINTS:
                left.clear()
            elif len(stretches) != len({run_id for run_id, _ in stretches}) or not stretches:
                break
            elif len(stretches) == 1:
                run_id = stretches[0][0]
                stretches = [(run_id, list(self._paged(key, run_id)))]
            else:
                stretches.pop()  # run after run: only the last that came may lack points, and those that did not come
            for run_id, points in stretches:
                whole.setdefault(run_id, []).extend(points)
                left.pop(run_id, None)
        for run_id in left:
            whole[run_id] = list(self._paged(key, run_id))
        rows = [
            {"run_id": run_id, "key": key, **value}
            for run_id, points in whole.items()
            for point in points
            if (value := point_of(point)) is not None
        ]
        order = ["run_id", "step", "timestamp", "value"]
        return table_of(schema.METRIC_HISTORY, rows).sort_by([(name, "ascending") for name in order])

    def _bulk(self, key: str, run_ids: list[str]) -> list[Any] | None:
        """The points of many runs in one answer, no more than _MOST_POINTS; None where the server gives none."""
        parameters = [("metric_key", key), ("max_results", str(_MOST_POINTS)), *(("run_id", one) for one in run_ids)]
        try:
            points = self._client.ask("GET", _BULK, parameters=parameters).get("metrics")
        except (RequestRejected, StoreUnreadable) as error:
            if not isinstance(error, RequestRejected) or error.status in (404, 405, 501):
                self._in_bulk = False  # an old MLflow, or a proxy that lets through what is documented
            return None
        return points if isinstance(points, list) else None

    def _paged(self, key: str, run_id: str) -> Iterator[Json]:
        """The points of one run, page by page; none where there is no such run."""
        question = {"run_id": run_id, "metric_key": key, "max_results": str(_MOST_POINTS)}
        try:
            yield from read_pages(self._client, "GET", f"{API}/metrics/get-history", question, "metrics")
        except RequestRejected as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


class _Held:
    """The answers about a hundred runs until they are whole, or become too much to hold."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._points = 0

    def add(self, table: pa.Table) -> None:
        self._points += table.num_rows
        if self._points > _MOST_HELD:
            self._tables.clear()
        else:
            self._tables.append(table)

    def whole(self) -> Iterator[tuple[str, pa.Table]]:
        """Each run that has points, with all of them."""
        if self._points > _MOST_HELD:
            return
        by_run: dict[str, list[pa.Table]] = defaultdict(list)
        for table in self._tables:
            if table.num_rows:
                runs = pc.run_end_encode(table.column("run_id").combine_chunks())
                start = 0
                for run_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                    by_run[run_id].append(table.slice(start, end - start))
                    start = end
        for run_id, pieces in by_run.items():
            yield run_id, pa.concat_tables(pieces)


def portions_of(items: list[str], size: int) -> Iterator[list[str]]:
    """The items in lists of no more than this many."""
    return (items[start : start + size] for start in range(0, len(items), size))
