"""HttpStore: an `mlflow server` or Databricks, read through MLflow's REST API; nothing there is changed."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from qualia_lab import schema
from qualia_lab.closing import Closing
from qualia_lab.counts import counted
from qualia_lab.errors import StoreError, StoreUnreachable, StoreUnreadable
from qualia_lab.escaping import one_line
from qualia_lab.stores.http.counts import count_runs
from qualia_lab.stores.http.history import API, Histories, portions_of
from qualia_lab.stores.http.history_cache import open_cache
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected, RestClient
from qualia_lab.stores.http.rows import add_experiment, add_models, experiment_row, info_of, run_id_of
from qualia_lab.stores.http.told import LATELY_SECONDS, Kept, Told, joined
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.orphans import in_known_experiments
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.rows import Rows, latest_first
from qualia_lab.tables import table_of
from qualia_lab.times import possible_runs, with_possible_times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.query import Condition, Order
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.uri import TrackingUri
    from qualia_lab.tables import RunTables

    Json = dict[str, Any]
    Take = Callable[[list[Json]], object]

_VIEWS = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_PAGE = 1000
_MODELS_PER_PAGE = 100
_EXPERIMENTS_PER_QUESTION = 100
_RUNS_PER_QUESTION = 100


@dataclass(frozen=True)
class _Answer:
    """What a server gave for a query: the runs, and what is still to be evaluated (None: nothing).

    experiments: filled where they are needed for that.  sent: the filter that the server evaluated.
    is_ordered, is_limited: whether it did that too.
    """

    portions: list[Told]
    experiments: Rows
    rest: Condition | None
    sent: str = ""
    is_ordered: bool = False
    is_limited: bool = False


class HttpStore(Closing):
    """A tracking server: TrackingStore over its REST API, paged to the end, a few questions at once.

    Conditions and orders are evaluated by the server as far as every server means the same by them, else here.
    """

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri.safe
        self._client = RestClient(uri)
        self._is_databricks = uri.full.partition(":")[0] == "databricks"
        self._histories = Histories(
            self._client,
            open_cache(f"{uri.safe} {self._client.access.base}"),
            find=lambda run_ids, take: self._find(run_ids, list(self._experiments("all")), take),
            in_bulk=not self._is_databricks,
        )
        self._kept = Kept()
        self._listed: tuple[float, dict[str, Json]] = (-LATELY_SECONDS, {})
        self._no_artifacts: tuple[float, StoreUnreachable | None] = (0.0, None)
        self._without_id = 0  # runs of the last listing that cannot be asked for

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first."""
        experiments = self._experiments(view)
        counts = count_runs(self._client, _side_by_side(list(experiments)), _VIEWS[view])
        rows, ignored = [], Rows()
        for experiment_id, experiment in experiments.items():
            count, last = counts[experiment_id]
            rows.append({**experiment_row(experiment, ignored), "run_count": count, "last_activity": last})
        rows.sort(key=lambda row: (latest_first(row["last_activity"]), row["experiment_id"]))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def find_experiments(self, view: View = "active") -> pa.Table:
        """See CountsByAsking."""
        ignored = Rows()
        return table_of(
            schema.EXPERIMENT_LIST, [experiment_row(one, ignored) for one in self._experiments(view).values()]
        )

    def read_experiment_tags(self, experiment_ids: Sequence[str]) -> pa.Table:
        """The tags of these experiments (schema.EXPERIMENT_TAGS)."""
        rows, listed = Rows(), self._experiments("all")
        for experiment_id in dict.fromkeys(experiment_ids):
            if experiment_id in listed:
                add_experiment(listed[experiment_id], rows)
        return rows.built().experiment_tags

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order."""
        from qualia_lab.query import parse_filter, parse_order_by, select_runs

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        if query.limit == 0:
            return table_of(schema.RUNS, [])
        since = time.monotonic()
        self._without_id = 0
        found = self._answered(query, condition, orders)
        told = joined(found.portions)
        tables = told.completed(found.experiments)
        matching = select_runs(found.rest, orders, tables, self.read_metric_history)[: query.limit]
        self._kept.keep(found.portions, matching, since)
        return possible_runs(told.of_runs(matching).tables["runs"])

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        from qualia_lab.query import parse_filter, parse_order_by
        from qualia_lab.query.explanation import Explanation, Part, choice_part, order_parts, parts_here

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        found = self._answered(query, condition, orders)
        tables = joined(found.portions).completed(found.experiments)
        count = tables.runs.num_rows
        parts = [choice_part(query, "server", None if found.sent else count)]
        if found.sent:
            parts.append(Part("server", found.sent, count, "as sent"))
        parts += parts_here(found.rest, tables, self.read_metric_history)
        parts += order_parts(orders, None, "server" if found.is_ordered else "here")
        return Explanation((*parts, *order_parts((), query.limit, "server" if found.is_limited else "here")))

    def _answered(self, query: Query, condition: Condition | None, orders: Sequence[Order]) -> _Answer:
        """What the server gives for as much of the query as it understands, and what is still to be evaluated."""
        from qualia_lab.query import needed_tables, order_to_mlflow, to_mlflow

        names_experiments = "experiments" in needed_tables(condition, orders)
        known: dict[str, Json] = {}
        if names_experiments or query.run_ids or not query.experiment_ids:
            is_active = query.view == "active" and not query.run_ids and not query.experiment_ids
            known = self._experiments("active" if is_active else "all")
        rows = Rows()
        if names_experiments:
            for experiment in known.values():
                add_experiment(experiment, rows)
        if query.run_ids:
            portions, _ = self._find_told(query.run_ids, list(known))
            told = joined(portions)
            wanted = [run["run_id"] for run in told.tables["runs"].to_pylist() if _is_asked_for(run, query)]
            return _Answer([told.of_runs(wanted)], rows, condition)
        sent, rest = to_mlflow(condition)
        order = order_to_mlflow(orders)
        limit = query.limit if rest is None and order is not None else None
        experiment_ids = query.experiment_ids or tuple(known)
        try:
            found = self._search_all(experiment_ids, query.view, sent, order or [], limit)
        except RequestRejected as error:
            if error.status != 400 or not (sent or order):
                raise
            # An older server knows less of the grammar: it gives everything, and all is evaluated here.
            sent, rest, order, limit = "", condition, None, None
            found = self._search_all(experiment_ids, query.view, "", [], None)
        return _Answer(found, rows, rest, sent, is_ordered=order is not None, is_limited=limit is not None)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs but histories and artifacts; missing ones are named."""
        rows = Rows()
        portions = self._kept.take(run_ids)
        kept = {run_id for portion in portions for run_id in portion.run_ids}
        others = [run_id for run_id in run_ids if run_id not in kept]
        listed = self._lately_listed()
        if others:
            listed = self._experiments("all")
            found, missing = self._find_told(others, list(listed))
            portions += found
            for run_id in dict.fromkeys(others):
                if run_id in missing:
                    rows.missing(run_id, missing[run_id])
        told = joined(portions).of_runs(run_ids)
        experiment_ids = list(dict.fromkeys(map(str, told.tables["runs"].column("experiment_id").to_pylist())))
        if not others and not listed.keys() >= set(experiment_ids):
            listed = self._experiments("all")
        known = [experiment_id for experiment_id in experiment_ids if experiment_id in listed]
        for experiment_id in known:
            add_experiment(listed[experiment_id], rows)
        add_models(told.run_ids, told.outputs, self._models(known, rows), rows)
        if self._without_id:
            count = counted(self._without_id, "run")
            rows.problem(None, "the list of runs", f"{count} came without an id and cannot be shown")
        return in_known_experiments(with_possible_times(told.completed(rows)))

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, batch by batch; of ended runs from this machine, if they were kept."""
        yield from self._histories.read([run_id for run_id in run_ids if _RUN_ID.match(run_id)], keys)

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """The artifacts of this run, as the server lists and serves them."""
        from qualia_lab.stores.places import artifact_place

        return artifact_place(run_id, artifact_uri, http=self)

    def list_artifacts(self, run_id: str, path: str) -> Iterator[Json]:
        """One folder of a run's artifacts as MLflow's `{path, is_dir, file_size}`."""
        parameters = [("run_id", run_id), *([("path", path)] if path else [])]
        with self._artifacts_answer():
            yield from read_pages(self._client, "GET", f"{API}/artifacts/list", dict(parameters), "files")

    def read_artifact(self, run_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one file of a run."""
        parameters = [("run_uuid", run_id), ("path", path)]
        return self._client.fetch("GET", "/get-artifact", parameters=parameters, limit=limit, seconds=seconds)[:limit]

    @contextmanager
    def _artifacts_answer(self) -> Iterator[None]:
        """Once the server has not said which artifacts a run has, it is not asked about other runs for a minute.

        Raises StoreUnreachable, at once where that was so lately.
        """
        when, error = self._no_artifacts
        if error is not None and time.monotonic() - when < LATELY_SECONDS:
            raise error
        try:
            yield
        except StoreUnreachable as unreachable:
            self._no_artifacts = (time.monotonic(), unreachable)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Questions.

    def _experiments(self, view: View) -> dict[str, Json]:
        """The experiments of a view as {id: MLflow's JSON}."""
        body = {"max_results": _PAGE, "view_type": _VIEWS[view]}
        found = {
            str(item["experiment_id"]): item
            for item in read_pages(self._client, "POST", f"{API}/experiments/search", body, "experiments")
            if item.get("experiment_id") is not None
        }
        if not found and not self._is_databricks:
            self._check_that_it_is_mlflow()
        self._listed = (time.monotonic(), found)
        return found

    def _lately_listed(self) -> dict[str, Json]:
        """The experiments that have just been asked for, once: who reads again gets those of then."""
        (since, found), self._listed = self._listed, (-LATELY_SECONDS, {})
        return found if time.monotonic() - since < LATELY_SECONDS else {}

    def _check_that_it_is_mlflow(self) -> None:
        """A server without experiments is rare; one that says `{}` to everything is not."""
        version = self._client.fetch("GET", "/version", limit=100)
        if not re.match(rb"\d+\.\d", version):
            raise StoreUnreadable(
                f"{self.uri} lists no experiment, and does not answer as MLflow does.",
                "Check that the address is that of an MLflow tracking server.",
            )

    def _search(
        self,
        experiment_ids: Sequence[str],
        view: View,
        condition: str = "",
        order_by: Sequence[str] = (),
        *,
        limit: int | None = None,
        budget: Budget | None = None,
    ) -> Iterator[Json]:
        """The runs of some experiments, page by page, up to the limit."""
        page = _PAGE if limit is None else min(_PAGE, limit)
        body: Json = {"experiment_ids": list(experiment_ids), "run_view_type": _VIEWS[view], "max_results": page}
        if condition:
            body["filter"] = condition
        if order_by:
            body["order_by"] = list(order_by)
        yield from islice(read_pages(self._client, "POST", f"{API}/runs/search", body, "runs", budget=budget), limit)

    def _search_all(
        self, experiment_ids: Sequence[str], view: View, condition: str, order_by: Sequence[str], limit: int | None
    ) -> list[Told]:
        """The runs of any number of experiments; of each portion of them no more than the limit."""
        budget = Budget(self.uri, "runs")

        def ask(portion: list[str]) -> list[Told]:
            # Each page is made into columns while the server is at the next: as JSON, runs take ten times the memory.
            runs = self._search(portion, view, condition, order_by, limit=limit, budget=budget)
            return [self._told(page) for page in iter(lambda: list(islice(runs, _PAGE)), [])]

        ids = list(experiment_ids)
        portions = _side_by_side(ids) if limit is None else portions_of(ids, _EXPERIMENTS_PER_QUESTION)
        return [told for found in in_parallel(ask, portions, 4) for told in found]

    def _told(self, runs: list[Json]) -> Told:
        named = [run for run in runs if run_id_of(run)]
        self._without_id += len(runs) - len(named)
        self._histories.saw(named)
        return Told.of(named)

    def _find_told(self, run_ids: Sequence[str], experiment_ids: list[str]) -> tuple[list[Told], dict[str, str]]:
        """What the server tells of these runs, in any order, and why the others are missing."""
        portions: list[Told] = []
        missing = self._find(run_ids, experiment_ids, lambda runs: portions.append(self._told(runs)))
        return portions, missing

    def _find(self, run_ids: Sequence[str], experiment_ids: list[str], take: Take) -> dict[str, str]:
        """Hand these runs to `take`, some at a time, in any order and from any thread; why the others are missing.

        experiment_ids: those of all experiments there are.
        """
        wanted = list(dict.fromkeys(run_ids))
        missing = {run_id: "this is no run id" for run_id in wanted if not _RUN_ID.match(run_id)}
        found = self._search_by_id([run_id for run_id in wanted if run_id not in missing], experiment_ids, take)
        others = [run_id for run_id in wanted if run_id not in found and run_id not in missing]
        alone: list[Json] = []
        for run_id, answer in zip(others, in_parallel(self._ask_for, others), strict=True):
            if isinstance(answer, dict):
                alone.append(answer)
            else:
                missing[run_id] = answer
            if len(alone) == _PAGE:
                take(alone)
                alone = []
        take(alone)
        return missing

    def _search_by_id(self, run_ids: list[str], experiment_ids: list[str], take: Take) -> set[str]:
        """Those of these runs that one search in all experiments finds: far faster than one question for each."""
        if len(experiment_ids) > _EXPERIMENTS_PER_QUESTION:
            return set()

        def ask(portion: list[str]) -> list[str]:
            listed = ", ".join(f"'{run_id}'" for run_id in portion)
            wanted = set(portion)
            answer = self._search(experiment_ids, "all", f"attributes.run_id IN ({listed})", limit=_PAGE)
            runs = [run for run in answer if run_id_of(run) in wanted]
            take(runs)
            return [run_id_of(run) for run in runs]

        found: set[str] = set()
        try:
            for run_ids_found in in_parallel(ask, portions_of(run_ids, _RUNS_PER_QUESTION), 4):
                found.update(run_ids_found)
        except RequestRejected:
            pass  # an older grammar, or a run that the server itself cannot read: the others one by one, then
        return found

    def _ask_for(self, run_id: str) -> Json | str:
        """One run, or why it cannot be had."""
        try:
            run = self._client.ask("GET", f"{API}/runs/get", parameters=[("run_id", run_id)]).get("run")
        except RequestRejected as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "the server has no run of this id"
            return error.message
        if not isinstance(run, dict) or not run_id_of(run):
            return "the server gave no run"
        return run if run_id_of(run) == run_id else f"the server gave another run, {one_line(run_id_of(run), 40)}"

    def _models(self, experiment_ids: list[str], rows: Rows) -> dict[str, Json]:
        """The logged models of these experiments as {id: MLflow's JSON}; a server before MLflow 3 has none."""

        def ask(portion: list[str]) -> list[Json]:
            body = {"experiment_ids": portion, "max_results": _MODELS_PER_PAGE}
            models = read_pages(self._client, "POST", f"{API}/logged-models/search", body, "models", budget=budget)
            return [{"info": info_of(model)} for model in models if info_of(model).get("model_id")]

        budget = Budget(self.uri, "models")
        try:
            models = [model for found in in_parallel(ask, portions_of(experiment_ids, 10), 4) for model in found]
        except StoreError as error:  # also of rights, pages and time: the runs are there without them
            if not isinstance(error, RequestRejected) or error.status not in (404, 405, 501):
                rows.problem(None, "logged models", error.message)
            return {}
        return {str(info_of(model).get("model_id")): model for model in models}


def _side_by_side(experiment_ids: list[str]) -> Iterator[list[str]]:
    """Small portions, because the pages of one question can only be asked for one after the other."""
    return portions_of(experiment_ids, max(1, min(_EXPERIMENTS_PER_QUESTION, len(experiment_ids) // 8)))


def _is_asked_for(run: Json, query: Query) -> bool:
    """Whether a run that was found by its id, a row of schema.RUNS, meets the query's other simple conditions."""
    deleted = run["lifecycle_stage"] == "deleted"
    return (query.view == "all" or deleted == (query.view == "deleted")) and (
        not query.experiment_ids or run["experiment_id"] in query.experiment_ids
    )
