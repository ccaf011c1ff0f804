"""Reads the logged models of a server, and the registry on the same server."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.errors import StoreError
from qualia_lab.genai_tables import ModelTables
from qualia_lab.stores.genai_rows import GenAIRows, order_of_points
from qualia_lab.stores.http.endpoints import API2, is_absent
from qualia_lab.stores.http.history import batches_of
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import info_of, model_row, objects, pairs, point_of, run_id_of
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.model_sources import model_id_of
from qualia_lab.stores.parallel import in_parallel
from qualia_lab.stores.rows import Fields
from qualia_lab.stores.values import integer, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

_PER_PAGE = 100
_EXPERIMENTS_PER_REQUEST = 10
_CONCURRENCY = 4
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


def search_models(client: RestClient, experiment_ids: Sequence[str]) -> Iterator[Json]:
    """The logged models of these experiments as MLflow's JSON. Raises as RestClient; before MLflow 3 it is absent."""
    budget = Budget(client.uri.safe, "models")

    def search(batch: list[str]) -> list[Json]:
        body = {"experiment_ids": batch, "max_results": _PER_PAGE}
        models = read_pages(client, "POST", f"{API2}/logged-models/search", body, "models", budget=budget)
        return [model for model in models if info_of(model).get("model_id")]

    batches = batches_of(list(experiment_ids), _EXPERIMENTS_PER_REQUEST)
    for found in in_parallel(search, batches, _CONCURRENCY):
        yield from found


class ServerModels:
    """The logged models and the registry of one server."""

    def __init__(
        self,
        client: RestClient,
        runs_of: Callable[[Sequence[str]], list[Json]],
        find_runs: Callable[[Sequence[str]], list[Json]],
        history: Callable[[Sequence[str], Sequence[str]], Iterator[pa.RecordBatch]],
    ) -> None:
        """Remember how to ask.

        Args:
            client: sends the requests.
            runs_of: gives the runs of some experiments as MLflow's JSON, also deleted ones.
            find_runs: gives the runs with these ids, as far as they exist.
            history: gives the histories of these metrics of these runs.
        """
        self._client = client
        self._runs_of = runs_of
        self._find_runs = find_runs
        self._history = history

    def read(self, experiment_ids: Sequence[str], run_ids: Sequence[str], *, everything: bool) -> ModelTables:
        """Logged models and versions.

        Args:
            experiment_ids: the experiments whose models to read; with `everything`, all of the server.
            run_ids: also the models that these runs created or list as outputs, and the versions of these runs.
            everything: whether all versions are wanted.
        """
        rows = GenAIRows(schema.MODEL_TABLES)
        runs = {run_id_of(run): run for run in self._find_runs(run_ids)} if run_ids else {}
        of_runs = list(dict.fromkeys(str(info_of(run).get("experiment_id")) for run in runs.values()))
        others = [experiment_id for experiment_id in of_runs if experiment_id not in experiment_ids]
        models = self._models([*experiment_ids, *others], rows)
        of_experiments = set(experiment_ids)
        listed = {model_id for run in runs.values() for model_id, _ in _outputs(run)}
        wanted = {
            model_id: model
            for model_id, model in models.items()
            if info_of(model).get("experiment_id") in of_experiments
            or model_id in listed
            or info_of(model).get("source_run_id") in runs
        }
        wanted |= self._by_id([model_id for model_id in listed if model_id not in models], rows)
        for model in sorted(wanted.values(), key=_order_of_models):
            _add_model(model, rows)
        self._restore_nans(rows)
        if wanted:
            runs |= self._runs_with_outputs(wanted.values(), runs)
        for run_id in sorted(runs):
            rows.tables["outputs"] += [
                (text(run_id), model_id, step) for model_id, step in _outputs(runs[run_id]) if model_id in wanted
            ]
        self._add_versions(None if everything else (wanted.keys(), run_ids), experiment_ids, rows)
        return ModelTables(**rows.to_tables())

    # Logged models

    def _models(self, experiment_ids: Sequence[str], rows: GenAIRows) -> dict[str, Json]:
        """The logged models of these experiments as {id: MLflow's JSON}; servers before MLflow 3 have none."""
        try:
            return {str(info_of(model)["model_id"]): model for model in search_models(self._client, experiment_ids)}
        except StoreError as error:  # also permissions, limits and timeouts: the registry can be read without them
            if not is_absent(error):
                rows.add_problem(None, "logged models", error.message)
            return {}

    def _restore_nans(self, rows: GenAIRows) -> None:
        """Make NaN of the points that a database stores as 0 for a model; only the histories of the runs tell."""
        zeros = [point for point in rows.tables["metrics"] if point[3] == 0 and point[1]]
        if not zeros:
            return
        run_ids, keys = (sorted({point[place] for point in zeros}) for place in (1, 2))
        try:
            nans = {
                (row["run_id"], row["key"], row["step"], row["timestamp"])
                for batch in self._history(run_ids, keys)
                for row in batch.filter(pc.is_nan(batch.column("value"))).to_pylist()
            }
        except StoreError as error:
            rows.add_problem(None, "metrics of logged models", f"values of 0 may be NaN: {error.message}")
            return
        rows.tables["metrics"] = [
            (*point[:3], math.nan, *point[4:]) if point[3] == 0 and (*point[1:3], *point[4:6]) in nans else point
            for point in rows.tables["metrics"]
        ]

    def _by_id(self, model_ids: Sequence[str], rows: GenAIRows) -> dict[str, Json]:
        """The logged models with these ids, as far as they exist."""

        def read(model_id: str) -> Json | None:
            try:
                model = self._client.request_json("GET", f"{API2}/logged-models/{model_id}").get("model")
            except RequestRejected as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST" and not is_absent(error):
                    rows.add_problem(f"logged model {model_id}", "", error.message)
                return None
            return model if isinstance(model, dict) and info_of(model).get("model_id") == model_id else None

        valid = [model_id for model_id in model_ids if _ID.match(model_id)]
        return {
            model_id: model
            for model_id, model in zip(valid, in_parallel(read, valid, _CONCURRENCY), strict=True)
            if model is not None
        }

    def _runs_with_outputs(self, models: Iterable[Json], known: Collection[str]) -> dict[str, Json]:
        """Runs that may list one of these models: those of their experiments, and those that logged metrics of them."""
        models = list(models)
        experiments = dict.fromkeys(str(info_of(model).get("experiment_id")) for model in models)
        found = {run_id_of(run): run for run in self._runs_of(list(experiments)) if run_id_of(run)}
        logged = {str(point.get("run_id") or "") for model in models for point in objects(model, "data", "metrics")}
        others = sorted(logged - {""} - found.keys() - set(known))
        return found | {run_id_of(run): run for run in (self._find_runs(others) if others else ())}

    # The registry

    def _add_versions(
        self, of: tuple[Collection[str], Collection[str]] | None, experiment_ids: Sequence[str], rows: GenAIRows
    ) -> None:
        """Add the versions of registered models, and the aliases of those models.

        Args:
            of: only the versions of these models, of these runs or of runs of these experiments; None for all.
            experiment_ids: the experiments.
            rows: the rows are added to these.
        """
        try:
            versions = list(self._registry("model-versions/search", "model_versions"))
            models = list(self._registry("registered-models/search", "registered_models")) if versions else []
        except StoreError as error:
            if not is_absent(error):
                rows.add_problem(None, "registered models", error.message)
            return
        if of is not None and versions and experiment_ids:
            of = (of[0], {*of[1], *map(run_id_of, self._runs_of(experiment_ids))})
        kept = set()
        for version in sorted(versions, key=_order_of_versions):
            row, tags = _version(version, rows)
            if of is None or row[3] in of[0] or row[2] in of[1]:
                kept.add(row[0])
                rows.tables["versions"].append(row)
                rows.add_values("version_tags", row[:2], tags)
        for model in models:
            name = text(str(model.get("name")))
            for alias in objects(model, "aliases") if name in kept else ():
                fields = Fields(alias, rows, f"alias of {name}")
                rows.tables["aliases"].append((name, fields.text("alias"), fields.integer("version")))
        rows.tables["aliases"].sort(key=lambda alias: (alias[0], alias[1] or ""))

    def _registry(self, endpoint: str, field: str) -> Iterator[Json]:
        return read_pages(self._client, "GET", f"{API2}/{endpoint}", {"max_results": _PER_PAGE}, field)


def _outputs(run: Json) -> Iterator[tuple[str, int | None]]:
    """(model id, step) of the models that a run lists as outputs."""
    for output in objects(run, "outputs", "model_outputs"):
        try:
            yield text(output.get("model_id")) or "", integer(output.get("step")) or 0  # MLflow's JSON omits zeros
        except ValueError:
            continue


def _add_model(model: Json, rows: GenAIRows) -> None:
    """Add a logged model with its params, tags and metrics."""
    info = info_of(model)
    model_id = str(info.get("model_id"))
    of = f"logged model {model_id}"
    rows.tables["models"].append(tuple(model_row(info, rows, of).values()))
    rows.add_values("params", (model_id,), pairs(objects(model, "data", "params"), "param", of, rows))
    rows.add_values("tags", (model_id,), pairs(objects(info, "tags"), "tag", of, rows))
    points = []
    for metric in objects(model, "data", "metrics"):
        point, fields = point_of(metric), Fields(metric, rows, of)
        if point is None:
            rows.add_problem(of, f"metric {metric.get('key')}", "it is not a number")
            continue
        dataset, digest = fields.text("dataset_name") or None, fields.text("dataset_digest") or None
        key, run_id = fields.text("key"), fields.text("run_id") or None
        points.append((model_id, run_id, key, point["value"], point["step"], point["timestamp"], dataset, digest))
    rows.tables["metrics"] += sorted(points, key=order_of_points)


def _version(version: Json, rows: GenAIRows) -> tuple[tuple[Any, ...], dict[str, str]]:
    """A row of schema.MODEL_VERSIONS, and the tags of the version."""
    of = f"version {version.get('version')} of {version.get('name')}"
    fields = Fields(version, rows, of)
    source = fields.text("source") or None
    row = (
        fields.text("name"),
        fields.integer("version"),
        fields.text("run_id") or None,
        fields.text("model_id") or model_id_of(source),
        source,
        fields.text("current_stage") or None,
        fields.text("status") or None,
        fields.text("status_message") or None,
        fields.text("user_id") or None,
        fields.text("description") or None,
        fields.integer("creation_timestamp"),
        fields.integer("last_updated_timestamp"),
    )
    return row, dict(pairs(objects(version, "tags"), "tag", of, rows))


def _order_of_models(model: Json) -> tuple[int, str]:
    info = info_of(model)
    time = str(info.get("creation_timestamp_ms"))
    return int(time) if time.isdecimal() and len(time) < 19 else 0, str(info.get("model_id"))


def _order_of_versions(version: Json) -> tuple[str, int]:
    number = str(version.get("version"))
    return str(version.get("name")), int(number) if number.isdecimal() and len(number) < 19 else 0
