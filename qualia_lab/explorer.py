"""ArtifactExplorer: what is in a tracking store, as DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.choosing import check_order, query_of, said_of_unknown
from qualia_lab.closing import Closing
from qualia_lab.errors import UnknownRun
from qualia_lab.escaping import one_line
from qualia_lab.query import Comparison, Field
from qualia_lab.query.write import filter_text
from qualia_lab.selection import Conditions, Query
from qualia_lab.settings import read_settings, settings_around
from qualia_lab.stores.experiment_filter import matching_experiments
from qualia_lab.stores.open import find_tracking_uri, open_store
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
    """Everything that a store says about one run.

    Times are datetimes of UTC, None where the run has none or one that no run can have. `metrics` are the latest
    values. `datasets` and `logged_models` are dicts with the columns of `qualia_lab.schema`. `child_run_ids` are the
    runs of its experiment that name it as their parent. `problems` are what could not be read, each with the reason.
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
    """Looks into one tracking store, which is only read: its experiments, runs, and their files.

    >>> explorer = ArtifactExplorer("sqlite:///mlflow.db")
    >>> explorer.list_experiments()
    >>> best = explorer.search_runs(["churn"], filter="metrics.val_auc > 0.8", order_by=["metrics.val_auc DESC"])
    >>> explorer.read_run(best.run_id[0]).params
    >>> explorer.list_artifacts(best.run_id[0])
    """

    def __init__(self, tracking_uri: str | Path | None = None, *, show_secrets: bool = False) -> None:
        """tracking_uri: None looks at MLFLOW_TRACKING_URI, then for mlflow.db and mlruns in this folder.

        show_secrets: give params, tags and addresses as they are stored, also those that look like secrets.
        Raises StoreNotFound when there is nothing to open.
        """
        given = str(tracking_uri) if tracking_uri is not None else None
        self.store = open_store(find_tracking_uri(given)[0], show_secrets=show_secrets, rules=settings_around().masking)
        self.tracking_uri = self.store.uri

    def close(self) -> None:
        """Give back the store's connections, as the end of a `with` statement does; what is asked later reconnects."""
        self.store.close()

    def list_experiments(
        self,
        *,
        deleted: bool = False,
        view: View = "active",
        filter: str | None = None,  # noqa: A002  MLflow's word
    ) -> pd.DataFrame:
        """A row per experiment, latest activity first: name, experiment_id, runs, last_activity (UTC), and the rest.

        view: "active", "deleted" or "all"; `runs` counts the runs of the same view.  deleted: the same as "deleted".
        filter: that of MLflow's `search_experiments`, `name LIKE 'churn%' AND tags.team = 'growth'`.
        Raises FilterError, or a StoreError.

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
        """A row per run that matches, all of them unless there is a limit; the newest first unless there is an order.

        The columns are those of `mlflow.search_runs` (`params.lr` as text, `metrics.val_auc`, `tags.team`, times as
        datetimes of UTC) with the run's name, its experiment's name and its parent beside them. Runs that could not be
        read whole are named in `frame.attrs["problems"]`, and how the filter was read, or what no run has of it, in
        `frame.attrs["notes"]`.

        experiments: names, ids or globs such as `churn*`; none means every active one.
        view: "active", "deleted" or "all" runs; of named runs all, else active ones.  The others mean what they mean
        to `NotebookGenerator.select`, and all must hold.
        Raises UnknownExperiment, FilterError, NoRunMatches for an order by what no run has, SelectionError, or a
        StoreError.

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
        unknown = said_of_unknown(self.store, query) if not run_ids else ""
        frame.attrs["notes"] = [*query.notes, *([unknown] if unknown else [])]
        return frame

    def read_run(self, run_id: str) -> RunDetails:
        """Everything about one run, deleted or not. Raises UnknownRun, or a StoreError.

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
        """A row per file of a run, in all its folders: path below its artifact root, size in bytes (NA: not said).

        What a reader has to know, such as that the files were found beside the store, or why they cannot be listed, is
        in `frame.attrs["note"]`. Raises UnknownRun, or a StoreError.

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
    """A tidy table as a row per run, in their order, and a column `kind.key`."""
    tidy: pd.DataFrame = getattr(tables, kind).select(["run_id", "key", "value"]).to_pandas()
    wide = tidy.drop_duplicates(["run_id", "key"]).pivot(index="run_id", columns="key", values="value")  # noqa: PD010
    return wide.reindex(tables.run_ids).reset_index(drop=True).add_prefix(f"{kind}.").rename_axis(columns=None)


def _by_key(tidy: pa.Table) -> dict[str, Any]:
    return dict(zip(*(tidy.column(name).to_pylist() for name in ("key", "value")), strict=True))


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
