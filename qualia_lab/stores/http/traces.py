"""Reads the traces of a server: by traces/search of MLflow 3, or of MLflow 2.14 and later."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.counts import counted
from qualia_lab.genai_tables import TraceTables, trace_tables
from qualia_lab.stores.genai_rows import GenAIRows
from qualia_lab.stores.http.endpoints import API2, API3, is_absent
from qualia_lab.stores.http.history import batches_of
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import objects
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.trace_choice import ALL_PARTS, chosen_ids, in_order, parts_to_choose
from qualia_lab.stores.trace_rows import add_assessments, add_trace, experiment_of, trace_id_of
from qualia_lab.stores.values import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qualia_lab.genai_tables import TracePart, TraceQuery
    from qualia_lab.query.traces import ReadSpans
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

_PAGE_SIZE = 500  # the most that MLflow allows
_EXPERIMENTS_PER_REQUEST = 50
_TRACES_PER_REQUEST = 100
_CONCURRENCY = 4
_MOST_LINKING_RUNS = 50
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_LATEST_FIRST = "timestamp_ms DESC"
NO_TRACES = "the server has no endpoint for them: MLflow before 2.14 stores none"


class ServerTraces:
    """The traces of one server, without their spans."""

    def __init__(self, client: RestClient) -> None:
        self._client = client
        self._has_version_3 = True  # until it says otherwise

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
                pages = self._of_runs(query.run_ids, experiment_ids, needed, links)
            else:
                pages = self._of_experiments(query, experiment_ids, needed)
        except RequestRejected as error:
            if not is_absent(error):
                raise
            if query.experiment_ids or query.run_ids or query.trace_ids:
                rows.add_problem(None, "traces", NO_TRACES)
            return trace_tables(problems=rows.to_tables()["problems"])
        tables = _merged(pages)
        if "links" in needed and tables.traces.num_rows:
            if not query.run_ids or "links" in wanted:
                self._add_links(experiment_ids, runs, links, rows)
            tables = _with_links(tables, links, rows)
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
            pages = self._search(experiment_ids, "", limit=_PAGE_SIZE)
            few = [experiment_of(info) or "" for info in pages]
            if len(few) < _PAGE_SIZE:
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
            return sum(1 for _ in self._search([experiment_id], ""))

    # Requests

    def _of_experiments(
        self, query: TraceQuery, experiment_ids: Sequence[str], parts: frozenset[TracePart]
    ) -> list[TraceTables]:
        """Pages of the traces of some experiments; the latest ones if that is all that is asked for."""
        limit = None if query.filter or query.order_by else query.limit
        budget = Budget(self._client.uri.safe, "traces")

        def search(batch: list[str]) -> list[TraceTables]:
            order = _LATEST_FIRST if limit is not None else ""
            return _pages(self._search(batch, "", order=order, limit=limit, budget=budget), parts)

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
            return _pages(self._of_run(run_id, experiment_ids, budget), parts)

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

    def _linked(self, run_id: str, experiment_ids: Sequence[str], budget: Budget) -> list[Json]:
        """The traces that are linked to a run and were not made in it; also its own if the server cannot tell."""
        source = "request_metadata.`mlflow.sourceRun`"
        conditions = [f"attributes.run_id = '{run_id}' AND {source} {other}" for other in (f"!= '{run_id}'", "IS NULL")]
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
            return [trace_id_of(info) for info in self._linked(run_id, experiment_ids, budget)]

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
            return _pages(infos, parts)

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


def _pages(infos: Iterable[Json], parts: frozenset[TracePart]) -> list[TraceTables]:
    """The tables of these traces in pages, each converted to columns before the next is requested."""
    remaining = iter(infos)
    return [_tables(page, parts) for page in iter(lambda: list(islice(remaining, _PAGE_SIZE)), [])]


def _tables(infos: Iterable[Json], parts: frozenset[TracePart]) -> TraceTables:
    rows = GenAIRows(schema.TRACE_TABLES)
    for info in infos:
        trace_id = trace_id_of(info)
        if not trace_id:
            rows.add_problem(None, "the list of traces", "one came without an id")
            continue
        tags = _texts(info.get("tags"), trace_id, rows)
        metadata = _texts(info.get("trace_metadata", info.get("request_metadata")), trace_id, rows)
        add_trace(info, tags, metadata, rows)
        if "tags" in parts:
            rows.add_values("tags", (trace_id,), tags)
        if "metadata" in parts:
            rows.add_values("metadata", (trace_id,), metadata)
        if "assessments" in parts:
            add_assessments(trace_id, objects(info, "assessments"), rows)
    return TraceTables(**rows.to_tables())


def _texts(given: Any, trace_id: str, rows: GenAIRows) -> dict[str, str]:
    """{key: value} of tags or metadata, which are an object in MLflow 3 and a list of keys and values in MLflow 2."""
    items = given.items() if isinstance(given, dict) else ((one.get("key"), one.get("value")) for one in _list(given))
    values = {}
    for key, value in items:
        try:
            values[text(key) or ""] = text(value) or ""
        except ValueError as error:
            rows.add_problem(f"trace {trace_id}", f"value of {key}", error)
    return values


def _list(given: Any) -> list[Json]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _merged(pages: Sequence[TraceTables]) -> TraceTables:
    """All pages in one. A trace can be on two pages, as traces may be added during a search; the first one counts."""
    seen: set[str] = set()
    distinct = []
    for page in pages:
        new = [trace_id for trace_id in page.traces.column("trace_id").to_pylist() if trace_id not in seen]
        new = list(dict.fromkeys(new))
        seen.update(new)
        distinct.append(page if len(new) == page.traces.num_rows else in_order(page, new, ALL_PARTS))
    if not distinct:
        return trace_tables()
    return TraceTables(
        **{name: pa.concat_tables([getattr(page, name) for page in distinct]) for name in schema.TRACE_TABLES}
    )


def _with_links(tables: TraceTables, links: dict[str, dict[str, None]], rows: GenAIRows) -> TraceTables:
    """The tables with links to the runs other than the source run, and with the problems of these rows."""
    source = zip(*(tables.traces.column(name).to_pylist() for name in ("trace_id", "run_id")), strict=True)
    for trace_id, source_run in source:
        linked = (run_id for run_id in links.get(trace_id, ()) if run_id != source_run)
        rows.tables["links"] += [(trace_id, run_id) for run_id in sorted(linked)]
    added = rows.to_tables()
    own = {name: getattr(tables, name) for name in schema.TRACE_TABLES}
    problems = pa.concat_tables([tables.problems, added["problems"]])
    return TraceTables(**{**own, "links": added["links"], "problems": problems})
