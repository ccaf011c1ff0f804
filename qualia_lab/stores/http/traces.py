"""Reads the traces of a server: by traces/search of MLflow 3, or of MLflow 2.14 and later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.counts import counted
from qualia_lab.genai_tables import TraceTables, trace_tables
from qualia_lab.stores.genai_rows import GenAIRows
from qualia_lab.stores.http.endpoints import API2, API3, is_absent
from qualia_lab.stores.http.history import batches_of
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import objects
from qualia_lab.stores.http.trace_pages import merged, pages_of, with_links
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.trace_choice import ALL_PARTS, chosen_ids, in_order, parts_to_choose
from qualia_lab.stores.trace_rows import experiment_of, trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.query.traces import ReadSpans
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

_PAGE_SIZE = 500  # the most that MLflow allows
# So many traces are listed to see whether an experiment has more, which the server then counts: listing 500 of them
# takes half a second.
_FEW = 20
_EXPERIMENTS_PER_REQUEST = 50
_TRACES_PER_REQUEST = 100
_CONCURRENCY = 4
_MOST_LINKING_RUNS = 100
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_LATEST_FIRST = "timestamp_ms DESC"
_TIME = "attributes.timestamp_ms"
_STATES, _ORDERED = ("OK", "ERROR", "IN_PROGRESS"), ("<", "<=", ">", ">=")
NO_TRACES = "the server has no endpoint for them: MLflow before 2.14 stores none"


@dataclass(frozen=True)
class _Found:
    """Traces whose links are asked for.

    Attributes:
        sources: the runs that they were made in; None for those that were made in none.
        times: a further condition that all of them meet, on when they were requested.
    """

    sources: frozenset[str | None]
    times: str


def _found(traces: pa.Table) -> _Found:
    """What these traces (schema.TRACES) have in common."""
    times = traces.column("request_time").to_pylist()
    between = "" if None in times else f" AND {_TIME} >= {min(times)} AND {_TIME} < {max(times) + 1}"
    return _Found(frozenset(traces.column("run_id").to_pylist()), between)


class ServerTraces:
    """The traces of one server, without their spans."""

    def __init__(self, client: RestClient) -> None:
        self._client = client
        self._has_version_3 = self._counts = True  # until it says otherwise

    def read(
        self,
        query: TraceQuery,
        parts: Sequence[TracePart] | None,
        experiment_ids: Sequence[str],
        runs: Callable[[int], list[str]],
        read_spans: ReadSpans,
    ) -> TraceTables:
        """The traces that match.

        Args:
            query: which traces.
            parts: the tables to read, None for all.
            experiment_ids: the experiments to search; those of the query, or all active ones.
            runs: gives the ids of some runs of these experiments, at most so many.
            read_spans: see ReadsGenAI.
        """
        wanted: frozenset[TracePart] = frozenset(ALL_PARTS if parts is None else parts) | {"traces"}
        needed = parts_to_choose(query) | wanted
        rows = GenAIRows(schema.TRACE_TABLES)
        links: dict[str, dict[str, None]] = {}
        try:
            if query.trace_ids:
                pages = self._by_id(query, needed, set(experiment_ids) if query.experiment_ids else None)
            elif query.run_ids:
                # A server gives the traces of runs run by run; most have none at all, as one request tells.
                has_any = any(
                    True
                    for batch in batches_of(list(experiment_ids), _EXPERIMENTS_PER_REQUEST)
                    for _ in self._search(batch, "", order=_LATEST_FIRST, limit=1)
                )
                pages = self._of_runs(query.run_ids, experiment_ids, needed, links) if has_any else []
            else:
                pages = self._of_experiments(query, experiment_ids, needed)
        except RequestRejected as error:
            if not is_absent(error):
                raise
            if query.experiment_ids or query.run_ids or query.trace_ids:
                rows.add_problem(None, "traces", NO_TRACES)
            return trace_tables(problems=rows.to_tables()["problems"])
        tables = merged(pages)
        if "links" in needed and tables.traces.num_rows:
            if not query.run_ids or "links" in wanted:
                self._add_links(experiment_ids, runs, _found(tables.traces), links, rows)
            tables = with_links(tables, links, rows)
        return in_order(tables, chosen_ids(query, tables, read_spans), wanted)

    def latest(self, experiment_ids: Sequence[str], limit: int) -> list[Json]:
        """The last traces of some experiments as MLflow's JSON; none if the server has no traces."""
        try:
            return list(self._search(experiment_ids, "", order=_LATEST_FIRST, limit=limit))
        except RequestRejected as error:
            if not is_absent(error):
                raise
            return []

    def count(self, batches: Iterable[list[str]]) -> dict[str, int]:
        """The number of traces of each of these experiments that has any; each batch is requested together."""

        def count(experiment_ids: list[str]) -> dict[str, int]:
            most = _FEW if self._counts else _PAGE_SIZE
            few = [experiment_of(info) or "" for info in self._search(experiment_ids, "", limit=most)]
            if len(few) < most:
                return {experiment_id: few.count(experiment_id) for experiment_id in set(few)}
            if len(experiment_ids) > 1:
                halves = batches_of(experiment_ids, -(-len(experiment_ids) // 2))
                return {key: value for half in halves for key, value in count(half).items()}
            return {experiment_ids[0]: self._count_many(experiment_ids[0])}

        try:
            counts = list(in_parallel(count, batches, _CONCURRENCY))
        except RequestRejected as error:
            if not is_absent(error):
                raise
            return {}
        return {key: value for one in counts for key, value in one.items()}

    def _count_many(self, experiment_id: str) -> int:
        """The number of traces of an experiment with many: as the server counts them, or by listing all."""
        body = {
            "experiment_ids": [experiment_id],
            "view_type": "TRACES",
            "metric_name": "trace_count",
            "aggregations": [{"aggregation_type": "COUNT"}],
        }
        try:
            [answer] = objects(self._client.request_json("POST", f"{API3}/traces/metrics", body=body), "data_points")
            return int(answer["values"]["COUNT"])
        except (RequestRejected, ValueError, TypeError, KeyError):  # an older server, or something that is no count
            self._counts = False
            return sum(1 for _ in self._search([experiment_id], ""))

    # Requests

    def _of_experiments(
        self, query: TraceQuery, experiment_ids: Sequence[str], parts: frozenset[TracePart]
    ) -> list[TraceTables]:
        """Pages of the traces of some experiments, at least those that match, or the latest of these."""
        condition, is_whole = _sent(query.filter)
        limit = query.limit if is_whole and not query.order_by else None
        budget = Budget(self._client.uri.safe, "traces")

        def search(batch: list[str]) -> list[TraceTables]:
            order = _LATEST_FIRST if limit is not None else ""
            return pages_of(self._search(batch, condition, order=order, limit=limit, budget=budget), parts)

        size = max(1, min(_EXPERIMENTS_PER_REQUEST, len(experiment_ids) // 8 if limit is None else len(experiment_ids)))
        batches = batches_of(list(experiment_ids), size)
        return [page for pages in in_parallel(search, batches, _CONCURRENCY) for page in pages]

    def _of_runs(
        self,
        run_ids: Sequence[str],
        experiment_ids: Sequence[str],
        parts: frozenset[TracePart],
        links: dict[str, dict[str, None]],
    ) -> list[TraceTables]:
        """Pages of the traces that were made in these runs or are linked to one; adds to {trace id: its runs}."""
        budget = Budget(self._client.uri.safe, "traces")

        def search(run_id: str) -> list[TraceTables]:
            return pages_of(self._of_run(run_id, experiment_ids, budget), parts)

        valid = [run_id for run_id in dict.fromkeys(run_ids) if _ID.match(run_id)]
        found = list(in_parallel(search, valid, _CONCURRENCY))
        for run_id, pages in zip(valid, found, strict=True):
            for page in pages:
                for trace_id in page.traces.column("trace_id").to_pylist():
                    links.setdefault(trace_id, {})[run_id] = None
        return [page for pages in found for page in pages]

    def _of_run(self, run_id: str, experiment_ids: Sequence[str], budget: Budget) -> Iterator[Json]:
        """The traces that were made in a run or are linked to it."""
        for batch in batches_of(list(experiment_ids), _EXPERIMENTS_PER_REQUEST):
            try:
                yield from self._search(batch, f"attributes.run_id = '{run_id}'", budget=budget)
            except RequestRejected as error:
                if error.status != 400:
                    raise
                # Before MLflow had links.
                yield from self._search(batch, f"request_metadata.`mlflow.sourceRun` = '{run_id}'", budget=budget)

    def _linked(self, run_id: str, experiment_ids: Sequence[str], found: _Found, budget: Budget) -> list[Json]:
        """The traces that are linked to a run and were not made in it; also its own if the server cannot tell.

        Only those are asked for that can be among the traces found.
        """
        source = "request_metadata.`mlflow.sourceRun`"
        others = [f"!= '{run_id}'"] if found.sources - {None, run_id} else []
        others += ["IS NULL"] if None in found.sources else []
        conditions = [f"attributes.run_id = '{run_id}' AND {source} {other}{found.times}" for other in others]
        try:
            return [
                info
                for batch in batches_of(list(experiment_ids), _EXPERIMENTS_PER_REQUEST)
                for condition in conditions
                for info in self._search(batch, condition, budget=budget)
            ]
        except RequestRejected as error:
            if error.status != 400:
                raise
            return list(self._of_run(run_id, experiment_ids, budget))

    def _add_links(
        self,
        experiment_ids: Sequence[str],
        runs: Callable[[int], list[str]],
        found: _Found,
        links: dict[str, dict[str, None]],
        rows: GenAIRows,
    ) -> None:
        """Add to {trace id: its runs}. Servers list links run by run only, so there is a limit."""
        known = {run_id for linked in links.values() for run_id in linked}
        others = [run_id for run_id in runs(_MOST_LINKING_RUNS + 1) if run_id not in known]
        if len(others) > _MOST_LINKING_RUNS:
            rows.add_problem(
                None,
                "links of traces to runs",
                f"a server gives them run by run, and there are more than {counted(_MOST_LINKING_RUNS, 'run')}",
            )
            return
        budget = Budget(self._client.uri.safe, "traces")

        def search(run_id: str) -> list[str]:
            return [trace_id_of(info) for info in self._linked(run_id, experiment_ids, found, budget)]

        for run_id, trace_ids in zip(others, in_parallel(search, others, _CONCURRENCY), strict=True):
            for trace_id in trace_ids:
                links.setdefault(trace_id, {})[run_id] = None

    def _by_id(
        self, query: TraceQuery, parts: frozenset[TracePart], experiment_ids: set[str] | None
    ) -> list[TraceTables]:
        """Pages of the traces with the ids of the query, in these experiments; None for all."""
        wanted = [trace_id for trace_id in dict.fromkeys(query.trace_ids) if _ID.match(trace_id)]
        batches = batches_of(wanted, _TRACES_PER_REQUEST)

        def read(batch: list[str]) -> list[TraceTables]:
            infos = [
                info for info in self._infos(batch) if experiment_ids is None or experiment_of(info) in experiment_ids
            ]
            return pages_of(infos, parts)

        return [page for pages in in_parallel(read, batches, _CONCURRENCY) for page in pages]

    def _infos(self, trace_ids: list[str]) -> list[Json]:
        """The traces with these ids, as far as they exist: together if the server can, else one by one."""
        try:
            answer = self._client.request_json("POST", f"{API3}/traces/batchGetInfos", body={"trace_ids": trace_ids})
            return objects(answer, "trace_infos")
        except RequestRejected:
            pass
        infos = in_parallel(self._info, trace_ids, _CONCURRENCY)
        return [info for info in infos if info]

    def _info(self, trace_id: str) -> Json | None:
        """One trace; None if the server has none of this id."""
        missing = None
        for path in (f"{API3}/traces/{trace_id}", f"{API2}/traces/{trace_id}/info"):
            try:
                answer = self._client.request_json("GET", path)
            except RequestRejected as error:
                missing = error
                continue
            trace = answer.get("trace")
            info = trace.get("trace_info") if isinstance(trace, dict) else answer.get("trace_info")
            return info if isinstance(info, dict) else None
        if missing is not None and is_absent(missing):
            raise missing
        return None

    def _search(
        self,
        experiment_ids: Sequence[str],
        condition: str,
        *,
        order: str = "",
        limit: int | None = None,
        budget: Budget | None = None,
    ) -> Iterator[Json]:
        """The traces of some experiments as MLflow's JSON, of its version 3 or 2, up to the limit."""
        parameters: Json = {"max_results": _PAGE_SIZE if limit is None else max(1, min(_PAGE_SIZE, limit))}
        parameters |= {"filter": condition} if condition else {}
        parameters |= {"order_by": [order]} if order else {}
        if self._has_version_3:
            locations = [
                {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
                for experiment_id in experiment_ids
            ]
            body = {"locations": locations, **parameters}
            try:
                yield from islice(
                    read_pages(self._client, "POST", f"{API3}/traces/search", body, "traces", budget=budget), limit
                )
            except RequestRejected as error:
                if not is_absent(error):
                    raise
                self._has_version_3 = False
            else:
                return
        old = {"experiment_ids": list(experiment_ids), **parameters}
        yield from islice(read_pages(self._client, "GET", f"{API2}/traces", old, "traces", budget=budget), limit)


def _sent(text: str) -> tuple[str, bool]:
    """The part of a filter on which this program and all versions of MLflow agree, and whether that is all of it."""
    if not text:
        return "", True
    from qualia_lab.query.conditions import Comparison, conjuncts
    from qualia_lab.query.traces import parse_trace_filter

    parts = conjuncts(parse_trace_filter(text))
    sent = []
    for part in parts:
        if not isinstance(part, Comparison) or part.field.kind != "attribute":
            continue
        if part.field.key == "state" and part.operator == "=" and part.value in _STATES:
            sent.append(f"attributes.status = '{part.value}'")
        elif part.field.key == "request_time" and part.operator in _ORDERED and type(part.value) is int:
            sent.append(f"{_TIME} {part.operator} {part.value}")
    return " AND ".join(sent), len(sent) == len(parts)
