"""HttpStore: reads an `mlflow server` or Databricks through MLflow's REST API, and changes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.counts import counted
from qualia_lab.errors import StoreError
from qualia_lab.stores.http.artifacts import ServerArtifacts
from qualia_lab.stores.http.changes import Changes
from qualia_lab.stores.http.counts import count_runs
from qualia_lab.stores.http.endpoints import is_absent
from qualia_lab.stores.http.evaluation import read_evaluation_datasets
from qualia_lab.stores.http.experiments import VIEW_TYPES, ServerExperiments
from qualia_lab.stores.http.history import Histories, batches_of
from qualia_lab.stores.http.history_cache import open_cache
from qualia_lab.stores.http.models import ServerModels, search_models
from qualia_lab.stores.http.rest import RequestRejected, RestClient
from qualia_lab.stores.http.rows import add_experiment, add_models, experiment_row, info_of, run_id_of
from qualia_lab.stores.http.runs import EXPERIMENTS_PER_REQUEST, PAGE_SIZE, RUN_ID, ServerRuns, concurrent_batches
from qualia_lab.stores.http.search_page import SearchPage, SearchResultCache, merge_pages
from qualia_lab.stores.http.spans import ServerSpans
from qualia_lab.stores.http.traces import ServerTraces
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.orphans import in_known_experiments
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.rows import Rows, latest_first
from qualia_lab.tables import table_of
from qualia_lab.times import possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.genai_tables import EvaluationTables, ModelTables, TracePart, TraceQuery, TraceTables
    from qualia_lab.query import Condition, Order
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.uri import TrackingUri
    from qualia_lab.tables import RunTables

    Json = dict[str, Any]


@dataclass(frozen=True)
class _SearchResult:
    """The runs that a server returned for a query, and the condition that remains to be evaluated locally.

    Attributes:
        pages: the runs.
        experiments: rows of experiments, if the remaining condition needs them.
        condition: the remaining condition; None if there is none.
        sent: the filter that the server evaluated.
        is_ordered: whether the server sorted the runs.
        is_limited: whether the server applied the limit.
    """

    pages: list[SearchPage]
    experiments: Rows
    condition: Condition | None
    sent: str = ""
    is_ordered: bool = False
    is_limited: bool = False


class HttpStore(Closing):
    """A tracking server: TrackingStore over its REST API, with a few concurrent requests.

    Conditions and orders are evaluated by the server where all versions of MLflow agree on their meaning, else locally.
    """

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri.safe
        self._client = RestClient(uri)
        is_databricks = uri.full.partition(":")[0] == "databricks"
        self._experiments = ServerExperiments(self._client, is_databricks=is_databricks)
        self._runs = ServerRuns(self._client)
        self._artifacts = ServerArtifacts(self._client)
        self._histories = Histories(
            self._client,
            open_cache(f"{uri.safe} {self._client.access.base}"),
            find=lambda run_ids, take: self._runs.find(run_ids, list(self._experiments.of_view("all")), take),
            in_bulk=not is_databricks,
        )
        self._traces = ServerTraces(self._client)
        self._spans = ServerSpans(self._client)
        self._changes = Changes(
            lambda: self._experiments.of_view("active"),
            lambda ids, question: self._runs.search(ids, "active", question[0], [question[1]], limit=question[2]),
            self._traces.latest,
        )
        self._recent_pages = SearchResultCache()
        self._without_id = 0  # the number of runs without an id in the last search, for the read that follows

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first."""
        experiments = self._experiments.of_view(view)
        counts = count_runs(self._client, concurrent_batches(list(experiments)), VIEW_TYPES[view])
        rows, ignored = [], Rows()
        for experiment_id, experiment in experiments.items():
            count, last = counts[experiment_id]
            rows.append({**experiment_row(experiment, ignored), "run_count": count, "last_activity": last})
        rows.sort(key=lambda row: (latest_first(row["last_activity"]), row["experiment_id"]))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def find_experiments(self, view: View = "active") -> pa.Table:
        """See ListsWithoutCounts."""
        ignored = Rows()
        return table_of(
            schema.EXPERIMENT_LIST, [experiment_row(item, ignored) for item in self._experiments.of_view(view).values()]
        )

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments (schema.EXPERIMENT_TAGS)."""
        rows, listed = Rows(), self._experiments.of_view("all")
        for experiment_id in dict.fromkeys(experiment_ids):
            if experiment_id in listed:
                add_experiment(listed[experiment_id], rows)
        return rows.to_tables().experiment_tags

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order."""
        from qualia_lab.query import parse_filter, parse_order_by, select_runs

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        if query.limit == 0:
            return table_of(schema.RUNS, [])
        since = time.monotonic()
        result = self._search_query(query, condition, orders)
        page = merge_pages(result.pages)
        self._without_id = page.without_id
        tables = page.to_run_tables(result.experiments)
        matching = select_runs(result.condition, orders, tables, self.read_metric_history)[: query.limit]
        self._recent_pages.store(result.pages, matching, since)
        return possible_runs(page.for_runs(matching).tables["runs"])

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        from qualia_lab.query import parse_filter, parse_order_by
        from qualia_lab.query.explanation import Explanation, Part, choice_part, order_parts, parts_here

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        result = self._search_query(query, condition, orders)
        tables = merge_pages(result.pages).to_run_tables(result.experiments)
        count = tables.runs.num_rows
        parts = [choice_part(query, "server", None if result.sent else count)]
        if result.sent:
            parts.append(Part("server", result.sent, count, "as sent"))
        parts += parts_here(result.condition, tables, self.read_metric_history)
        parts += order_parts(orders, None, "server" if result.is_ordered else "here")
        return Explanation((*parts, *order_parts((), query.limit, "server" if result.is_limited else "here")))

    def _search_query(self, query: Query, condition: Condition | None, orders: Sequence[Order]) -> _SearchResult:
        """Have the server evaluate as much of the query as it can, and return what remains to be evaluated locally."""
        from qualia_lab.query import needed_tables, order_to_mlflow, to_mlflow

        needs_experiments = "experiments" in needed_tables(condition, orders)
        known: dict[str, Json] = {}
        if needs_experiments or query.run_ids or not query.experiment_ids:
            is_active = query.view == "active" and not query.run_ids and not query.experiment_ids
            known = self._experiments.of_view("active" if is_active else "all")
        rows = Rows()
        if needs_experiments:
            for experiment in known.values():
                add_experiment(experiment, rows)
        if query.run_ids:
            pages, _ = self._find_pages(query.run_ids, list(known))
            page = merge_pages(pages)
            wanted = [run["run_id"] for run in page.tables["runs"].to_pylist() if _is_in_query(run, query)]
            return _SearchResult([page.for_runs(wanted)], rows, condition)
        sent, remaining = to_mlflow(condition)
        order = order_to_mlflow(orders)
        limit = query.limit if remaining is None and order is not None else None
        experiment_ids = query.experiment_ids or tuple(known)
        try:
            pages = self._search_all(experiment_ids, query.view, sent, order or [], limit)
        except RequestRejected as error:
            if error.status != 400 or not (sent or order):
                raise
            # An older server with a smaller grammar: it returns all runs, and everything is evaluated locally.
            sent, remaining, order, limit = "", condition, None, None
            pages = self._search_all(experiment_ids, query.view, "", [], None)
        return _SearchResult(pages, rows, remaining, sent, is_ordered=order is not None, is_limited=limit is not None)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs except histories and artifacts; missing runs are listed."""
        rows = Rows()
        pages = self._recent_pages.take(run_ids)
        cached = {run_id for page in pages for run_id in page.run_ids}
        others = [run_id for run_id in run_ids if run_id not in cached]
        listed = self._experiments.take_recent()
        if others:
            listed = self._experiments.of_view("all")
            new_pages, missing = self._find_pages(others, list(listed))
            pages += new_pages
            for run_id in dict.fromkeys(others):
                if run_id in missing:
                    rows.add_missing(run_id, missing[run_id])
        page = merge_pages(pages).for_runs(run_ids)
        experiment_ids = list(dict.fromkeys(map(str, page.tables["runs"].column("experiment_id").to_pylist())))
        if not others and not listed.keys() >= set(experiment_ids):
            listed = self._experiments.of_view("all")
        known = [experiment_id for experiment_id in experiment_ids if experiment_id in listed]
        for experiment_id in known:
            add_experiment(listed[experiment_id], rows)
        add_models(page.run_ids, page.outputs, self._models(known, rows), rows)
        if self._without_id:
            count = counted(self._without_id, "run")
            rows.add_problem(None, "the list of runs", f"{count} came without an id and cannot be shown")
        return in_known_experiments(with_possible_times(page.to_run_tables(rows)))

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, in batches; histories of ended runs may come from the cache."""
        yield from self._histories.read([run_id for run_id in run_ids if RUN_ID.match(run_id)], keys)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """The artifacts of this run or logged model, listed and served by the server."""
        from qualia_lab.stores.artifact_places import artifact_place

        return artifact_place(run_id, artifact_uri, http=self._artifacts.of(run_id))

    def change_token(self, experiment_ids: Sequence[str] = ()) -> str:
        """See TrackingStore. Most times it reads only the runs that have not ended."""
        return self._changes.token(experiment_ids)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _search_all(
        self, experiment_ids: Sequence[str], view: View, condition: str, order_by: Sequence[str], limit: int | None
    ) -> list[SearchPage]:
        """The runs of any number of experiments. The limit applies to each batch of experiments."""
        budget = Budget(self.uri, "runs")

        def search(batch: list[str]) -> list[SearchPage]:
            # Each page is converted to columns before the next is requested: as JSON, runs take ten times the memory.
            runs = self._runs.search(batch, view, condition, order_by, limit=limit, budget=budget)
            return [self._to_page(page) for page in iter(lambda: list(islice(runs, PAGE_SIZE)), [])]

        ids = list(experiment_ids)
        batches = concurrent_batches(ids) if limit is None else batches_of(ids, EXPERIMENTS_PER_REQUEST)
        return [page for pages in in_parallel(search, batches, 4) for page in pages]

    def _to_page(self, runs: list[Json]) -> SearchPage:
        self._histories.remember([run for run in runs if run_id_of(run)])
        return SearchPage.from_json(runs)

    def _find_pages(self, run_ids: Sequence[str], experiment_ids: list[str]) -> tuple[list[SearchPage], dict[str, str]]:
        """The runs with these ids, in any order, and the reasons why others are missing."""
        pages: list[SearchPage] = []
        missing = self._runs.find(run_ids, experiment_ids, lambda runs: pages.append(self._to_page(runs)))
        return pages, missing

    def _models(self, experiment_ids: list[str], rows: Rows) -> dict[str, Json]:
        """The logged models of these experiments as {id: MLflow's JSON}; servers before MLflow 3 have none."""
        try:
            return {
                str(info_of(model)["model_id"]): {"info": info_of(model)}
                for model in search_models(self._client, experiment_ids)
            }
        except StoreError as error:  # also permissions, limits and timeouts: the runs can be read without their models
            if not is_absent(error):
                rows.add_problem(None, "logged models", error.message)
            return {}

    # ReadsGenAI

    def read_models(self, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()) -> ModelTables:
        """Logged models with what was logged for them, and versions of registered models.

        A server lists the outputs of a run with the run only: they are read of the runs of the models' experiments, and
        of those that logged a metric of a model.
        """
        everything = not experiment_ids and not run_ids
        wanted = list(self._experiments.of_view("all")) if everything else list(dict.fromkeys(experiment_ids))
        return ServerModels(self._client, self._runs.outlines, self._find_outlines, self.read_metric_history).read(
            wanted, list(dict.fromkeys(run_ids)), everything=everything
        )

    def _find_outlines(self, run_ids: Sequence[str]) -> list[Json]:
        return self._runs.outlines_by_id(run_ids, list(self._experiments.of_view("all")))

    def read_traces(self, query: TraceQuery, parts: Sequence[TracePart] | None = None) -> TraceTables:
        """The traces that match, without spans. Links to runs are read for at most 100 runs, see `problems`."""
        experiment_ids = list(query.experiment_ids or self._experiments.of_view("active"))

        def runs(limit: int) -> list[str]:
            return [run_id_of(run) for run in self._runs.search(experiment_ids, "all", limit=limit)]

        return self._traces.read(query, parts, experiment_ids, runs, self.read_spans)

    def read_spans(self, trace_ids: Sequence[str], *, content: bool = True) -> Iterator[pa.RecordBatch]:
        """The spans of these traces, in batches."""
        yield from self._spans.read(trace_ids, content=content)

    def count_traces(self, experiment_ids: Sequence[str] = ()) -> dict[str, int]:
        """The number of traces of each of these experiments that has any, () for all experiments."""
        return self._traces.count(concurrent_batches(list(experiment_ids or self._experiments.of_view("all"))))

    def read_evaluation_datasets(self, experiment_ids: Sequence[str] = ()) -> EvaluationTables:
        """The evaluation datasets that these experiments use, with their records; () for all of the server."""
        return read_evaluation_datasets(self._client, experiment_ids)


def _is_in_query(run: Json, query: Query) -> bool:
    """Whether a run that was found by id, a row of schema.RUNS, is in the view and the experiments of the query."""
    deleted = run["lifecycle_stage"] == "deleted"
    return (query.view == "all" or deleted == (query.view == "deleted")) and (
        not query.experiment_ids or run["experiment_id"] in query.experiment_ids
    )
