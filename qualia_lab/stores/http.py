"""HttpStore: an `mlflow server` or Databricks, read through MLflow's REST API; nothing there is changed."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab import schema
from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.rest import RequestRejected, RestClient
from qualia_lab.stores.rows import Fields, Rows
from qualia_lab.stores.values import MODEL_STATUSES, RUN_STATUSES, integer, number, status, text
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qualia_lab.query import Condition, Order
    from qualia_lab.query.explanation import Explanation
    from qualia_lab.selection import Query, View
    from qualia_lab.stores.protocol import ArtifactPlace
    from qualia_lab.stores.uri import TrackingUri
    from qualia_lab.tables import RunTables

    Json = dict[str, Any]

_API = "/api/2.0/mlflow"
_VIEWS = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_PAGE = 1000
_MODELS_PER_PAGE = 100
_EXPERIMENTS_PER_QUESTION = 100
_RUNS_PER_QUESTION = 100
# get-history-bulk gives no more than this many points in all, leaves out the rest and does not say so.
_MOST_POINTS = 25_000


@dataclass(frozen=True)
class _Answer:
    """What a server gave for a query: the runs, and what is still to be evaluated (None: nothing).

    sent: the filter that it evaluated.  is_ordered, is_limited: whether it did that too.
    """

    rows: Rows
    rest: Condition | None
    sent: str = ""
    is_ordered: bool = False
    is_limited: bool = False


class HttpStore:
    """A tracking server: TrackingStore over its REST API, paged to the end, a few questions at once.

    Conditions and orders are evaluated by the server as far as every server means the same by them, else here.
    """

    def __init__(self, uri: TrackingUri) -> None:
        self.uri = uri.safe
        self._client = RestClient(uri)
        self._is_databricks = uri.full.partition(":")[0] == "databricks"
        self._has_bulk_history = not self._is_databricks

    def read_experiments(self, view: View = "active") -> pa.Table:
        """Experiments with run counts and last activity, latest activity first; counts by paging through the runs."""
        experiments = self._experiments(view)
        times: dict[str, list[int | None]] = defaultdict(list)

        def count(experiment_ids: list[str]) -> list[tuple[str, int | None]]:
            return [_last_moment(run) for run in self._search(experiment_ids, view)]

        # Small portions, because the pages of one question can only be asked for one after the other.
        portions = _portions(list(experiments), max(1, min(_EXPERIMENTS_PER_QUESTION, len(experiments) // 8)))
        for counted in in_parallel(count, portions):
            for experiment_id, moment in counted:
                times[experiment_id].append(moment)
        rows, ignored = [], Rows()
        for experiment_id, experiment in experiments.items():
            moments = times[experiment_id]
            last = max((moment for moment in moments if moment is not None), default=None)
            row = _experiment_row(experiment, ignored)
            rows.append({**row, "run_count": len(moments), "last_activity": last})
        rows.sort(key=lambda row: (row["last_activity"] is None, -(row["last_activity"] or 0), row["experiment_id"]))
        return table_of(schema.EXPERIMENT_LIST, rows)

    def read_runs(self, query: Query) -> pa.Table:
        """The runs that match, in the query's order."""
        from qualia_lab.query import parse_filter, parse_order_by, select_runs

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        if query.limit == 0:
            return table_of(schema.RUNS, [])
        found = self._answered(query, condition, orders)
        by_id = {row["run_id"]: row for row in found.rows.tables["runs"]}
        matching = select_runs(found.rest, orders, found.rows.built(), self.read_metric_history)[: query.limit]
        return table_of(schema.RUNS, [by_id[run_id] for run_id in matching])

    def explain(self, query: Query) -> Explanation:
        """See TrackingStore."""
        from qualia_lab.query import parse_filter, parse_order_by
        from qualia_lab.query.explanation import Explanation, Part, choice_part, order_parts, parts_here

        condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
        found = self._answered(query, condition, orders)
        count = len(found.rows.tables["runs"])
        parts = [choice_part(query, "server", None if found.sent else count)]
        if found.sent:
            parts.append(Part("server", found.sent, count, "as sent"))
        parts += parts_here(found.rest, found.rows.built(), self.read_metric_history)
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
                _add_experiment(experiment, rows)
        if query.run_ids:
            runs, _ = self._find(query.run_ids, list(known))
            for run in runs.values():
                if _is_asked_for(run, query):
                    _add_run(run, rows)
            return _Answer(rows, condition)
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
        for run in found:
            _add_run(run, rows)
        return _Answer(rows, rest, sent, is_ordered=order is not None, is_limited=limit is not None)

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs but histories and artifacts; missing ones are named."""
        rows = Rows()
        experiments = self._experiments("all") if run_ids else {}
        runs, missing = self._find(run_ids, list(experiments))
        experiment_ids = list(dict.fromkeys(str(_info(run).get("experiment_id")) for run in runs.values()))
        for experiment_id in experiment_ids:
            _add_experiment(experiments.get(experiment_id, {"experiment_id": experiment_id}), rows)
        models = self._models(experiment_ids, rows)
        for run_id in dict.fromkeys(run_ids):
            if run_id in runs:
                _add_run(runs[run_id], rows)
                _add_models(run_id, runs[run_id], models, rows)
            else:
                rows.missing(run_id, missing[run_id])
        return rows.built()

    def read_metric_history(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every recorded point of these metrics, batch by batch."""
        runs_by_key: dict[str, list[str]] = defaultdict(list)
        runs, _ = self._find(run_ids, list(self._experiments("all")) if run_ids else [])
        for run_id, run in runs.items():
            for metric in _data(run, "metrics"):
                if keys is None or metric.get("key") in keys:
                    runs_by_key[str(metric.get("key"))].append(run_id)
        questions = [
            (key, portion) for key, found in runs_by_key.items() for portion in _portions(found, _RUNS_PER_QUESTION)
        ]
        for table in in_parallel(lambda question: self._history(*question), questions):
            yield from table.to_batches()

    def artifact_place(self, run_id: str, artifact_uri: str) -> ArtifactPlace:
        """The artifacts of this run, as the server lists and serves them."""
        from qualia_lab.stores.places import artifact_place

        return artifact_place(run_id, artifact_uri, http=self)

    def list_artifacts(self, run_id: str, path: str) -> Iterator[Json]:
        """One folder of a run's artifacts as MLflow's `{path, is_dir, file_size}`."""
        parameters = [("run_id", run_id), *([("path", path)] if path else [])]
        yield from self._pages("GET", "artifacts/list", dict(parameters), "files")

    def read_artifact(self, run_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one file of a run."""
        parameters = [("run_uuid", run_id), ("path", path)]
        return self._client.fetch("GET", "/get-artifact", parameters=parameters, limit=limit, seconds=seconds)[:limit]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    # Questions.

    def _pages(self, method: str, path: str, body: Json, field: str) -> Iterator[Json]:
        """Every item of every page of one question; an item that is no object is left out.

        Raises StoreUnreadable when a server names the same page twice, which would never end.
        """
        seen: set[str] = set()
        token = ""
        while True:
            asked = {**body, "page_token": token} if token else body
            if method == "GET":
                answer = self._client.ask("GET", f"{_API}/{path}", parameters=list(asked.items()))
            else:
                answer = self._client.ask(method, f"{_API}/{path}", body=asked)
            items = answer.get(field) or []
            if not isinstance(items, list):
                raise StoreUnreadable(f"{self.uri} gave something else than a list of {field}.", "Is it MLflow's?")
            yield from (item for item in items if isinstance(item, dict))
            token = answer.get("next_page_token") or ""
            if not token:
                return
            if token in seen:
                raise StoreUnreadable(
                    f"{self.uri} gives the same page of {field} again and again.", "Look at the server's log."
                )
            seen.add(token)

    def _experiments(self, view: View) -> dict[str, Json]:
        """The experiments of a view as {id: MLflow's JSON}."""
        body = {"max_results": _PAGE, "view_type": _VIEWS[view]}
        found = {
            str(item.get("experiment_id")): item
            for item in self._pages("POST", "experiments/search", body, "experiments")
        }
        if not found and not self._is_databricks:
            self._check_that_it_is_mlflow()
        return found

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
        limit: int | None = None,
    ) -> Iterator[Json]:
        """The runs of some experiments, page by page, up to the limit."""
        page = _PAGE if limit is None else min(_PAGE, limit)
        body: Json = {"experiment_ids": list(experiment_ids), "run_view_type": _VIEWS[view], "max_results": page}
        if condition:
            body["filter"] = condition
        if order_by:
            body["order_by"] = list(order_by)
        yield from islice(self._pages("POST", "runs/search", body, "runs"), limit)

    def _search_all(
        self, experiment_ids: Sequence[str], view: View, condition: str, order_by: Sequence[str], limit: int | None
    ) -> list[Json]:
        """The runs of any number of experiments; of each portion of them no more than the limit."""

        def ask(portion: list[str]) -> list[Json]:
            return list(self._search(portion, view, condition, order_by, limit))

        portions = _portions(list(experiment_ids), _EXPERIMENTS_PER_QUESTION)
        return [run for found in in_parallel(ask, portions, 4) for run in found]

    def _find(self, run_ids: Sequence[str], experiment_ids: list[str]) -> tuple[dict[str, Json], dict[str, str]]:
        """These runs as {id: MLflow's JSON} in this order, and why the others are missing.

        experiment_ids: those of all experiments there are.
        """
        wanted = list(dict.fromkeys(run_ids))
        found = self._search_by_id([run_id for run_id in wanted if _RUN_ID.match(run_id)], experiment_ids)
        missing = {run_id: "this is no run id" for run_id in wanted if not _RUN_ID.match(run_id)}
        others = [run_id for run_id in wanted if run_id not in found and run_id not in missing]
        for run_id, answer in zip(others, in_parallel(self._ask_for, others), strict=True):
            if isinstance(answer, dict):
                found[run_id] = answer
            else:
                missing[run_id] = answer
        return {run_id: found[run_id] for run_id in wanted if run_id in found}, missing

    def _search_by_id(self, run_ids: list[str], experiment_ids: list[str]) -> dict[str, Json]:
        """As many of these runs as one search in all experiments finds: far faster than one question for each."""
        if len(experiment_ids) > _EXPERIMENTS_PER_QUESTION:
            return {}

        def ask(portion: list[str]) -> list[Json]:
            listed = ", ".join(f"'{run_id}'" for run_id in portion)
            return list(self._search(experiment_ids, "all", f"attributes.run_id IN ({listed})"))

        try:
            runs = [run for found in in_parallel(ask, _portions(run_ids, _RUNS_PER_QUESTION), 4) for run in found]
        except RequestRejected:
            return {}  # an older grammar, or a run that the server itself cannot read: one by one, then
        return {_run_id(run): run for run in runs}

    def _ask_for(self, run_id: str) -> Json | str:
        """One run, or why it cannot be had."""
        try:
            run = self._client.ask("GET", f"{_API}/runs/get", parameters=[("run_id", run_id)]).get("run")
        except RequestRejected as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "the server has no run of this id"
            return error.message
        return run if isinstance(run, dict) else "the server gave no run"

    def _models(self, experiment_ids: list[str], rows: Rows) -> dict[str, Json]:
        """The logged models of these experiments as {id: MLflow's JSON}; a server before MLflow 3 has none."""

        def ask(portion: list[str]) -> list[Json]:
            body = {"experiment_ids": portion, "max_results": _MODELS_PER_PAGE}
            return list(self._pages("POST", "logged-models/search", body, "models"))

        try:
            models = [model for found in in_parallel(ask, _portions(experiment_ids, 10), 4) for model in found]
        except RequestRejected as error:
            if error.status not in (404, 405, 501):
                rows.problem(None, "logged models", error.message)
            return {}
        return {str(_info(model).get("model_id")): model for model in models}

    def _history(self, key: str, run_ids: list[str]) -> pa.Table:
        """Every point of one metric of up to 100 runs, run by run, in order of step, timestamp, value."""
        points = self._bulk_history(key, run_ids)
        if points is None and len(run_ids) > 1:
            half = len(run_ids) // 2
            return pa.concat_tables([self._history(key, run_ids[:half]), self._history(key, run_ids[half:])])
        if points is None:
            body = {"run_id": run_ids[0], "metric_key": key, "max_results": str(_MOST_POINTS)}
            points = [
                {**point, "run_id": run_ids[0]} for point in self._pages("GET", "metrics/get-history", body, "metrics")
            ]
        rows = [
            {"run_id": point.get("run_id"), "key": key, **value}
            for point in points
            if (value := _point(point)) is not None
        ]
        order = ["run_id", "step", "timestamp", "value"]
        return table_of(schema.METRIC_HISTORY, rows).sort_by([(name, "ascending") for name in order])

    def _bulk_history(self, key: str, run_ids: list[str]) -> list[Json] | None:
        """The points of many runs in one answer; None where the server cannot, or may have left some out."""
        if not self._has_bulk_history:
            return None
        parameters = [("metric_key", key), ("max_results", str(_MOST_POINTS)), *(("run_id", one) for one in run_ids)]
        try:
            answer = self._client.ask("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", parameters=parameters)
        except (RequestRejected, StoreUnreadable):
            self._has_bulk_history = False
            return None
        points = answer.get("metrics")
        if not isinstance(points, list) or len(points) >= _MOST_POINTS:
            return None
        return [point for point in points if isinstance(point, dict)]


def _portions(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _info(item: Json) -> Json:
    """The `info` of a run or logged model."""
    info = item.get("info")
    return info if isinstance(info, dict) else {}


def _run_id(run: Json) -> str:
    """The id of a run; servers before MLflow 1.0 called it run_uuid."""
    return str(_info(run).get("run_id") or _info(run).get("run_uuid") or "")


def _objects(holder: Any, *path: str) -> list[Json]:
    """The objects of a list somewhere below, whatever is there instead."""
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return [item for item in holder if isinstance(item, dict)] if isinstance(holder, list) else []


def _data(run: Json, name: str) -> list[Json]:
    return _objects(run, "data", name)


def _last_moment(run: Json) -> tuple[str, int | None]:
    """The experiment of a run, and its latest start or end in ms."""
    moments = []
    for name in ("start_time", "end_time"):
        try:
            moments.append(integer(_info(run).get(name)))
        except ValueError:
            continue
    return str(_info(run).get("experiment_id")), max((time for time in moments if time is not None), default=None)


def _is_asked_for(run: Json, query: Query) -> bool:
    """Whether a run that was found by its id meets the query's other simple conditions."""
    deleted = _info(run).get("lifecycle_stage") == "deleted"
    return (query.view == "all" or deleted == (query.view == "deleted")) and (
        not query.experiment_ids or str(_info(run).get("experiment_id")) in query.experiment_ids
    )


def _point(point: Json) -> Json | None:
    """Step, timestamp and value of a metric; None when one of them is no number."""
    try:
        return {
            "step": integer(point.get("step")) or 0,  # MLflow's JSON leaves out zeros
            "timestamp": integer(point.get("timestamp")) or 0,
            "value": number(point.get("value", 0.0)),
        }
    except ValueError:
        return None


def _pairs(items: Iterable[Json], subject: str, run_id: str | None, rows: Rows) -> Mapping[str, str]:
    """{key: value} of MLflow's lists of params and tags."""
    values = {}
    for item in items:
        try:
            values[text(item.get("key")) or ""] = text(item.get("value")) or ""
        except ValueError as error:
            rows.problem(run_id, subject, error)
    return values


def _experiment_row(experiment: Json, rows: Rows) -> Json:
    fields = Fields(experiment, rows)
    return {
        "experiment_id": fields.text("experiment_id"),
        "name": fields.text("name"),
        "artifact_location": fields.text("artifact_location"),
        "lifecycle_stage": fields.text("lifecycle_stage"),
        "creation_time": fields.integer("creation_time"),
        "last_update_time": fields.integer("last_update_time"),
    }


def _add_experiment(experiment: Json, rows: Rows) -> None:
    """An experiment and its tags, into the rows."""
    row = _experiment_row(experiment, rows)
    rows.tables["experiments"].append(row)
    tags = _pairs(_objects(experiment, "tags"), "experiment tag", None, rows)
    rows.add_values("experiment_tags", {"experiment_id": row["experiment_id"]}, tags)


def _add_run(run: Json, rows: Rows) -> None:
    """One run, its tags, params, latest metrics and datasets, into the rows."""
    run_id = _run_id(run)
    fields = Fields(_info(run), rows, run_id)
    tags = _pairs(_data(run, "tags"), "tag", run_id, rows)
    rows.tables["runs"].append(
        {
            "run_id": run_id,
            "experiment_id": fields.text("experiment_id"),
            "run_name": fields.text("run_name") or tags.get("mlflow.runName"),
            "status": status(fields.text("status"), RUN_STATUSES),
            "start_time": fields.integer("start_time"),
            "end_time": fields.integer("end_time"),
            "user_id": fields.text("user_id"),
            "lifecycle_stage": fields.text("lifecycle_stage"),
            "artifact_uri": fields.text("artifact_uri"),
            "parent_run_id": tags.get("mlflow.parentRunId"),
        }
    )
    rows.add_values("tags", {"run_id": run_id}, tags)
    rows.add_values("params", {"run_id": run_id}, _pairs(_data(run, "params"), "param", run_id, rows))
    for metric in sorted(_data(run, "metrics"), key=lambda metric: str(metric.get("key"))):
        key, point = text(str(metric.get("key"))), _point(metric)
        if point is None:
            rows.problem(run_id, f"metric {key}", "it is no number")
        else:
            rows.tables["metrics"].append({"run_id": run_id, "key": key, **point})
    for given in _objects(run, "inputs", "dataset_inputs"):
        dataset = given.get("dataset")
        of = Fields(dataset if isinstance(dataset, dict) else {}, rows, run_id)
        columns = {name: of.text(name) for name in ("name", "digest", "source_type", "source", "schema", "profile")}
        context = _pairs(_objects(given, "tags"), "dataset", run_id, rows).get("mlflow.data.context")
        rows.tables["datasets"].append({"run_id": run_id, **columns, "context": context})


def _add_models(run_id: str, run: Json, models: Mapping[str, Json], rows: Rows) -> None:
    """The logged models of a run: those it made, and those it names among its outputs."""
    named = {str(output.get("model_id")) for output in _objects(run, "outputs", "model_outputs")}
    for model_id, model in models.items():
        fields = Fields(_info(model), rows, run_id)
        if model_id not in named and fields.text("source_run_id") != run_id:
            continue
        rows.tables["logged_models"].append(
            {
                "run_id": run_id,
                "model_id": model_id,
                "experiment_id": fields.text("experiment_id"),
                "name": fields.text("name"),
                "model_type": fields.text("model_type") or None,
                "status": status(fields.text("status"), MODEL_STATUSES),
                "artifact_location": fields.text("artifact_uri"),
                "creation_time": fields.integer("creation_timestamp_ms"),
                "last_updated_time": fields.integer("last_updated_timestamp_ms"),
            }
        )
