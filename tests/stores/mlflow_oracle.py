"""MlflowOracle: the contents of a store as read by MLflow's own client, in the form of our tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import ViewType

from qualia_lab import schema
from qualia_lab.tables import RunTables, run_tables, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

VIEWS = {"active": ViewType.ACTIVE_ONLY, "deleted": ViewType.DELETED_ONLY, "all": ViewType.ALL}


class MlflowOracle:
    """Reads any store that MLflow's client can open. MLflow may migrate it, so use a copy or a current schema."""

    def __init__(self, tracking_uri: str) -> None:
        self.client = mlflow.MlflowClient(tracking_uri)

    def experiments(self, view: str = "active") -> pa.Table:
        """schema.EXPERIMENT_LIST, in arbitrary order."""
        rows = []
        for experiment in self._search_experiments(view):
            infos = [run.info for run in self._search([experiment.experiment_id], view)]
            moments = [time for info in infos for time in (info.start_time, info.end_time) if time]
            rows.append(
                {
                    **_experiment_row(experiment),
                    "run_count": len(infos),
                    "last_activity": max(moments, default=None),
                }
            )
        return table_of(schema.EXPERIMENT_LIST, rows)

    def runs(
        self,
        view: str = "active",
        experiment_ids: Sequence[str] = (),
        filter_string: str = "",
    ) -> pa.Table:
        """schema.RUNS in MLflow's order. Without ids: of active experiments, or of all if deleted runs are included."""
        ids = list(experiment_ids) or [
            experiment.experiment_id for experiment in self._search_experiments("active" if view == "active" else "all")
        ]
        return table_of(schema.RUNS, map(_run_row, self._search(ids, view, filter_string)))

    def read(self, run_ids: Sequence[str]) -> RunTables:
        """Everything about these runs; runs that MLflow does not find are omitted."""
        found = [run for run in map(self._run, run_ids) if run]
        experiments = {run.info.experiment_id: self.client.get_experiment(run.info.experiment_id) for run in found}
        params, metrics, tags, datasets = [], [], [], []
        for run in found:
            run_id = run.info.run_id
            params += [{"run_id": run_id, "key": key, "value": value} for key, value in run.data.params.items()]
            tags += [{"run_id": run_id, "key": key, "value": value} for key, value in run.data.tags.items()]
            metrics += [{"run_id": run_id, **_point(metric)} for metric in run.data._metric_objs]
            datasets += [_dataset_row(run_id, given) for given in (run.inputs.dataset_inputs if run.inputs else [])]
        return run_tables(
            experiments=table_of(schema.EXPERIMENTS, map(_experiment_row, experiments.values())),
            experiment_tags=table_of(
                schema.EXPERIMENT_TAGS,
                [
                    {"experiment_id": experiment_id, "key": key, "value": value}
                    for experiment_id, experiment in experiments.items()
                    for key, value in experiment.tags.items()
                ],
            ),
            runs=table_of(schema.RUNS, map(_run_row, found)),
            params=table_of(schema.PARAMS, params),
            metrics=table_of(schema.METRICS, metrics),
            tags=table_of(schema.TAGS, tags),
            datasets=table_of(schema.DATASETS, datasets),
            logged_models=table_of(schema.LOGGED_MODELS, self._logged_models(found)),
        )

    def history(self, run_ids: Sequence[str], keys: Sequence[str] | None = None) -> pa.Table:
        """schema.METRIC_HISTORY, read with one call for each run and key."""
        return table_of(
            schema.METRIC_HISTORY,
            [
                {"run_id": run_id, **_point(point)}
                for run_id in run_ids
                for key in sorted(self._run(run_id).data.metrics)
                if keys is None or key in keys
                for point in self.client.get_metric_history(run_id, key)
            ],
        )

    def _logged_models(self, runs) -> list[dict]:
        """The models that a run created, or that are in its outputs."""
        if not runs:
            return []
        models = {model.model_id: model for model in self._search_models({run.info.experiment_id for run in runs})}
        rows = []
        for run in runs:
            made = {model.model_id for model in models.values() if model.source_run_id == run.info.run_id}
            named = {output.model_id for output in (run.outputs.model_outputs if run.outputs else [])}
            rows += [_model_row(run.info.run_id, models[model_id]) for model_id in made | named if model_id in models]
        return rows

    def _search_models(self, experiment_ids):
        return _all_pages(
            lambda token: self.client.search_logged_models(sorted(experiment_ids), max_results=50, page_token=token)
        )

    def _search_experiments(self, view):
        return _all_pages(
            lambda token: self.client.search_experiments(view_type=VIEWS[view], max_results=100, page_token=token)
        )

    def _search(self, experiment_ids, view, filter_string=""):
        return _all_pages(
            lambda token: self.client.search_runs(experiment_ids, filter_string, VIEWS[view], 1000, page_token=token)
        )

    def _run(self, run_id):
        try:
            return self.client.get_run(run_id)
        except mlflow.MlflowException:
            return None


def _all_pages(search) -> list:
    found, token = [], None
    while True:
        page = search(token)
        found += page
        token = page.token
        if not token:
            return found


def _experiment_row(experiment) -> dict:
    return {name: getattr(experiment, name) for name in schema.EXPERIMENTS.names}


def _run_row(run) -> dict:
    row = {name: getattr(run.info, name) for name in schema.RUNS.names if name != "parent_run_id"}
    return row | {"parent_run_id": run.data.tags.get("mlflow.parentRunId")}


def _point(metric) -> dict:
    return {"key": metric.key, "step": metric.step, "timestamp": metric.timestamp, "value": metric.value}


def _dataset_row(run_id, given) -> dict:
    row = {name: getattr(given.dataset, name) for name in schema.DATASETS.names if name not in ("run_id", "context")}
    contexts = [tag.value for tag in given.tags if tag.key == "mlflow.data.context"]
    return row | {"run_id": run_id, "context": contexts[0] if contexts else None}


def _model_row(run_id, model) -> dict:
    row = {"run_id": run_id, "status": str(model.status), "creation_time": model.creation_timestamp}
    row["last_updated_time"] = model.last_updated_timestamp
    row["model_type"] = model.model_type or None  # a server returns "" for none
    return row | {name: getattr(model, name) for name in schema.LOGGED_MODELS.names if name not in row}
