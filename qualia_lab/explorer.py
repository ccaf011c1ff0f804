"""ArtifactExplorer: the experiments, runs and artifacts of a tracking store as DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.choosing import check_order, query_of
from qualia_lab.closing import Closing
from qualia_lab.errors import UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.no_runs import describe_unknown_keys
from qualia_lab.query import Comparison, Field
from qualia_lab.query.write import filter_text
from qualia_lab.selection import Conditions, Query
from qualia_lab.settings import open_given_store, read_settings
from qualia_lab.stores.experiment_filter import matching_experiments
from qualia_lab.study.known_keys import KeyedValues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from qualia_lab.selection import View
    from qualia_lab.tables import RunTables


@dataclass(frozen=True)
class RunDetails:
    """All data of one run.

    Attributes:
        run_id: the id of the run.
        run_name: its name.
        experiment_id: the id of its experiment.
        experiment: the name of its experiment.
        status: RUNNING, SCHEDULED, FINISHED, FAILED or KILLED.
        lifecycle_stage: active or deleted.
        user_id: the user who started it.
        start_time: its start as a datetime in UTC; None if there is none, or an impossible one.
        end_time: its end, likewise.
        duration: the time between them, if both are known.
        artifact_uri: the root of its artifacts.
        parent_run_id: its parent run, if any.
        child_run_ids: the runs of its experiment whose parent it is.
        params: {key: value}.
        metrics: {key: latest value}.
        tags: {key: value}.
        datasets: dicts with the columns of schema.DATASETS.
        logged_models: dicts with the columns of schema.LOGGED_MODELS.
        problems: what could not be read, with the reasons.
    """

    run_id: str
    run_name: str | None
    experiment_id: str
    experiment: str | None
    status: str | None
    lifecycle_stage: str | None
    user_id: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    artifact_uri: str | None
    parent_run_id: str | None
    child_run_ids: tuple[str, ...]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    datasets: tuple[Mapping[str, Any], ...]
    logged_models: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]


class ArtifactExplorer(Closing):
    """Explore the experiments, runs and artifacts of one tracking store, which is only read.

    Attributes:
        store: the open store.
        tracking_uri: the tracking URI of the store, without secrets.

    Example:
        >>> from qualia_lab import ArtifactExplorer
        >>> explorer = ArtifactExplorer("sqlite:///mlflow.db")
        >>> explorer.list_experiments()
        >>> best = explorer.search_runs(["churn"], filter="metrics.val_auc > 0.8", order_by=["metrics.val_auc DESC"])
        >>> explorer.read_run(best.run_id[0]).params
        >>> explorer.list_artifacts(best.run_id[0])
        >>> explorer.close()
    """

    def __init__(self, tracking_uri: str | Path | None = None, *, show_secrets: bool = False) -> None:
        """Open a store.

        Args:
            tracking_uri: the tracking URI or path of the store, as for `open_store`. None for MLFLOW_TRACKING_URI or,
                if that is not set, mlflow.db or mlruns in the current folder.
            show_secrets: return params, tags and URIs as stored, without masking those that look like secrets.

        Raises:
            StoreNotFound: there is no store at this place.
            SettingsError: [tool.qualia] in pyproject.toml is invalid.
        """
        self.store = open_given_store(tracking_uri, show_secrets=show_secrets)
        self.tracking_uri = self.store.uri

    def close(self) -> None:
        """Close the connections of the store, as the end of a `with` statement does; later use opens new ones."""
        self.store.close()

    def list_experiments(
        self,
        *,
        deleted: bool = False,
        view: View = "active",
        filter: str | None = None,  # noqa: A002  MLflow's word
    ) -> pd.DataFrame:
        """List the experiments, the latest activity first.

        Args:
            deleted: list deleted experiments; the same as `view="deleted"`.
            view: "active", "deleted" or "all"; run counts are of the same view.
            filter: a filter as for `mlflow.search_experiments`: `name LIKE 'churn%' AND tags.team = 'growth'`.

        Returns:
            One row for each experiment: `name`, `experiment_id`, `runs` (count), `last_activity`, `artifact_location`,
            `lifecycle_stage`, `creation_time` and `last_update_time`. Times are datetimes in UTC.

        Raises:
            FilterError: the filter is invalid.
            StoreError: the store cannot be read.

        Example:
            >>> explorer.list_experiments()[["name", "runs", "last_activity"]]
        """
        from qualia_lab.runs.frames import datetimes

        table = self.store.read_experiments("deleted" if deleted else view)
        if filter:
            table = matching_experiments(self.store, table, filter)
        frame: pd.DataFrame = table.to_pandas().rename(columns={"run_count": "runs"})
        for column in ("last_activity", "creation_time", "last_update_time"):
            frame[column] = datetimes(frame[column]).dt.as_unit("ms")
        first = ["name", "experiment_id", "runs", "last_activity"]
        return frame[[*first, *(column for column in frame.columns if column not in first)]]

    def search_runs(
        self,
        experiments: Sequence[str] = (),
        *,
        run_ids: Sequence[str] = (),
        filter: str = "",  # noqa: A002  MLflow's word
        where: Sequence[str] = (),
        since: str | None = None,
        status: Sequence[str] = (),
        order_by: Sequence[str] = (),
        by: str | None = None,
        top: int | None = None,
        limit: int | None = None,
        view: View | None = None,
    ) -> pd.DataFrame:
        """Search runs; all conditions must hold.

        Args:
            experiments: names, ids or globs such as `churn*`; empty for every active experiment.
            run_ids: only these runs; without another order, in this order.
            filter: a filter of the query language, such as `metrics.val_auc > 0.8 AND params.model = 'mlp'`.
            where: comparisons such as `lr=0.1` and `val_auc>0.8`, with a param, metric, tag or attribute by its name.
            since: a date (`2026-11-01`) or an age (`7d`, `12 hours ago`); runs that started at that time or later.
            status: one or several of RUNNING, SCHEDULED, FINISHED, FAILED and KILLED.
            order_by: sort keys such as `metrics.val_auc DESC`; by default the newest run is first.
            by: the metric to rank by, the best run first: `METRIC`, `METRIC:max` or `METRIC:min`.
            top: the maximum number of runs, in order.
            limit: the same as `top`; the smaller of the two applies.
            view: "active", "deleted" or "all"; by default "all" if run ids are given, otherwise "active".

        Returns:
            One row for each matching run, with the columns of `mlflow.search_runs`: `run_id`, `status`, `params.lr`
            (text), `metrics.val_auc` (the latest value), `tags.team` and so on, and also `run_name`, `experiment` and
            `parent_run_id`. Times are datetimes in UTC. `frame.attrs["problems"]` lists what could not be read;
            `frame.attrs["notes"]` tells how the filter was interpreted, and which of its keys no run has.

        Raises:
            UnknownExperiment: no experiment matches a name.
            FilterError: a filter, an order or a comparison is invalid.
            NoRunMatches: no run has a key to order by.
            SelectionError: `top` is given without a metric or an order, or the name of an experiment is ambiguous.
            StoreError: the store cannot be read.

        Example:
            >>> explorer.search_runs(["churn*"], filter="status = 'FAILED'", limit=20)
            >>> explorer.search_runs(["churn"], where=["model=mlp"], by="val_auc", top=5)
        """
        import pandas as pd

        from qualia_lab.runs.frames import datetimes

        conditions = Conditions.of(
            experiments=experiments,
            run_ids=run_ids,
            filter=filter,
            where=where,
            since=since,
            status=status,
            order_by=order_by,
            by=by,
            top=top,
            limit=limit,
            view=view,
        )
        query = query_of(self.store, conditions, read_settings().study)
        run_ids = self.store.read_runs(query).column("run_id").to_pylist()
        check_order(self.store, query, run_ids)
        tables = self.store.read(run_ids)
        frame: pd.DataFrame = tables.runs.to_pandas()
        names = dict(
            zip(*(tables.experiments.column(key).to_pylist() for key in ("experiment_id", "name")), strict=True)
        )
        frame.insert(2, "experiment", frame["experiment_id"].map(names))
        for column in ("start_time", "end_time"):
            frame[column] = datetimes(frame[column]).dt.as_unit("ms")
        frame = pd.concat([frame, *(_wide(tables, kind) for kind in ("metrics", "params", "tags"))], axis=1)
        frame.attrs["problems"] = tables.problems.to_pylist()
        unknown = describe_unknown_keys(self.store, query) if not run_ids else ""
        frame.attrs["notes"] = [*query.notes, *([unknown] if unknown else [])]
        return frame

    def read_run(self, run_id: str) -> RunDetails:
        """Read all data of one run, deleted or not.

        Args:
            run_id: the id of the run.

        Returns:
            The data of the run.

        Raises:
            UnknownRun: no run has this id.
            StoreError: the store cannot be read.

        Example:
            >>> run = explorer.read_run("1f0c5d6be7a54f0f8a3a6d5d2f6a9b1e")
            >>> run.status, run.params["lr"], run.metrics["val_auc"], run.parent_run_id
        """
        tables = self._read_one(run_id)
        run = tables.runs.to_pylist()[0]
        start, end = _moment(run["start_time"]), _moment(run["end_time"])
        return RunDetails(
            run_id=run_id,
            run_name=run["run_name"],
            experiment_id=run["experiment_id"],
            experiment=next(iter(tables.experiments.column("name").to_pylist()), None),
            status=run["status"],
            lifecycle_stage=run["lifecycle_stage"],
            user_id=run["user_id"],
            start_time=start,
            end_time=end,
            duration=end - start if start and end else None,
            artifact_uri=run["artifact_uri"],
            parent_run_id=run["parent_run_id"],
            child_run_ids=self._children(run_id, run["experiment_id"]),
            params=KeyedValues(_by_key(tables.params), "param"),
            metrics=KeyedValues(_by_key(tables.metrics), "metric"),
            tags=KeyedValues(_by_key(tables.tags), "tag"),
            datasets=tuple(tables.datasets.to_pylist()),
            logged_models=tuple(tables.logged_models.to_pylist()),
            problems=tuple(f"{row['subject']}: {row['reason']}" for row in tables.problems.to_pylist()),
        )

    def list_artifacts(self, run_id: str) -> pd.DataFrame:
        """List the artifacts of a run, in all folders.

        Args:
            run_id: the id of the run.

        Returns:
            One row for each file: `path` (below the artifact root) and `size` (bytes, NA if unknown).
            `frame.attrs["note"]` is a remark, for example why the artifacts cannot be listed, or "".

        Raises:
            UnknownRun: no run has this id.
            StoreError: the store cannot be read.

        Example:
            >>> explorer.list_artifacts("1f0c5d6be7a54f0f8a3a6d5d2f6a9b1e")
        """
        from qualia_lab.artifacts import list_artifacts

        files, notes = list_artifacts(self.store, self._read_one(run_id).runs)
        frame: pd.DataFrame = files.select(["path", "size"]).to_pandas()
        frame["size"] = frame["size"].astype("Int64")
        frame.attrs["note"] = notes.get(run_id, "")
        return frame

    def _read_one(self, run_id: str) -> RunTables:
        tables = self.store.read([run_id])
        if not tables.runs.num_rows:
            raise UnknownRun(
                f"No run has the id {one_line(run_id, 80)} in {self.tracking_uri}.", "List them with: qualia runs"
            )
        return tables

    def _children(self, run_id: str, experiment_id: str) -> tuple[str, ...]:
        of_parent = filter_text(Comparison(Field("attribute", "parent_run_id"), "=", run_id))
        children = self.store.read_runs(Query((experiment_id,), filter=of_parent, order_by=("start_time ASC",)))
        return tuple(children.column("run_id").to_pylist())


def _wide(tables: RunTables, kind: str) -> pd.DataFrame:
    """Pivot a tidy table: one row for each run, in their order, and one column `kind.key` for each key."""
    tidy: pd.DataFrame = getattr(tables, kind).select(["run_id", "key", "value"]).to_pandas()
    wide = tidy.drop_duplicates(["run_id", "key"]).pivot(index="run_id", columns="key", values="value")  # noqa: PD010
    return wide.reindex(tables.run_ids).reset_index(drop=True).add_prefix(f"{kind}.").rename_axis(columns=None)


def _by_key(tidy: pa.Table) -> dict[str, Any]:
    return dict(zip(*(tidy.column(name).to_pylist() for name in ("key", "value")), strict=True))


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
