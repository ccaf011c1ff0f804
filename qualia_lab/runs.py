"""What a person holds in a notebook: `runs = load_runs(TRACKING_URI, RUN_IDS)`."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.analysis.direction import direction_of, find_primary_metric
from qualia_lab.analysis.groups import group_runs
from qualia_lab.analysis.origins import differing, origins
from qualia_lab.analysis.relations import rank_correlations
from qualia_lab.errors import QualiaLabError, UnknownRun
from qualia_lab.escaping import for_html, one_line
from qualia_lab.inventory import is_number, take_inventory
from qualia_lab.notebook.execute import SNAPSHOT_VARIABLE
from qualia_lab.stores.open import open_store
from qualia_lab.stores.uri import with_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from qualia_lab.charts.chart import Chart
    from qualia_lab.charts.run_card import RunCard
    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables

# Signs that the fonts of any browser have.
_STATUS_SIGNS = {"FINISHED": "✓", "FAILED": "✗", "KILLED": "✗", "RUNNING": "…", "SCHEDULED": "…"}


def load_runs(
    tracking_uri: str,
    run_ids: Sequence[str],
    *,
    primary_metric: str | None = None,
    greater_is_better: bool | None = None,
) -> Runs:
    """Read runs, all at once; those that are missing or damaged are named in the result, and the rest is there.

    tracking_uri: as in MLflow, or a path. Where it lacks a password, the one of MLFLOW_TRACKING_URI is used if that
    is the same URI otherwise.
    primary_metric, greater_is_better: by default what the experiments' tags say, else by the metrics' names.
    Raises a StoreError when the store itself cannot be read.
    """
    store = _open(tracking_uri)
    return Runs(store, store.read(list(run_ids)), primary_metric, greater_is_better)


def _open(tracking_uri: str) -> TrackingStore:
    """The store at the URI, or the snapshot of it that the executing command has left for this kernel."""
    snapshot = os.environ.get(SNAPSHOT_VARIABLE)
    if snapshot:
        from qualia_lab.stores.snapshot import SnapshotStore

        store = SnapshotStore(Path(snapshot))
        if store.source_uri == tracking_uri:
            return store
    return open_store(with_credentials(tracking_uri))


class Runs:
    """Some runs and everything that was read about them.

    `params`, `metrics` and `tags` are DataFrames with a row per run; `history`, `artifacts` and the methods that
    draw read what they need when they are called. `tables` are the tidy Arrow tables behind it all.
    """

    def __init__(
        self,
        store: TrackingStore,
        tables: RunTables,
        primary_metric: str | None = None,
        greater_is_better: bool | None = None,
    ) -> None:
        self.tables = tables
        self._store = store
        self._labels = _labels(tables)
        found, better = find_primary_metric(take_inventory(tables), tables.experiment_tags)
        self.primary_metric = primary_metric or found
        if greater_is_better is None:
            greater_is_better = better if self.primary_metric == found else direction_of(self.primary_metric or "")
        self.greater_is_better = greater_is_better

    def __len__(self) -> int:
        return len(self.tables.run_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables.run_ids)

    def __repr__(self) -> str:
        return "\n".join(self._said())

    def _repr_html_(self) -> str:
        first, *rest = self._said()
        items = "".join(f"<li>{for_html(line)}</li>" for line in rest)
        return f"<p><b>{for_html(first)}</b></p><ul>{items}</ul>" if rest else f"<p><b>{for_html(first)}</b></p>"

    def _said(self) -> list[str]:
        """What was loaded, and every run that is missing or damaged with its reason."""
        tables = self.tables
        names = ", ".join(one_line(name, 60) for name in tables.experiments.column("name").to_pylist()[:5])
        lines = [f"{_count(len(self), 'run')} of {_count(tables.experiments.num_rows, 'experiment')}: {names}"]
        lines.append(
            f"{_count(_distinct(tables.params), 'param')}, {_count(_distinct(tables.metrics), 'metric')}, "
            f"{_count(_distinct(tables.tags), 'tag')}, {_count(tables.datasets.num_rows, 'dataset')}, "
            f"{_count(tables.logged_models.num_rows, 'logged model')}"
        )
        lines += [f"Missing: run {row['run_id']}: {row['reason']}" for row in tables.missing.to_pylist()]
        problems = tables.problems.to_pylist()
        lines += [
            f"Not readable: {row['subject']} of run {self._labels.get(row['run_id'], row['run_id'])}: {row['reason']}"
            for row in problems[:20]
        ]
        if len(problems) > 20:
            lines.append(f"… showing 20 of {len(problems):,} such notes; all are in runs.tables.problems")
        return [one_line(line, 300) for line in lines]

    # --- DataFrames -------------------------------------------------------------------------------------------------

    @property
    def params(self) -> pd.DataFrame:
        """A row per run, a column per param: numbers where every value is one, else text as it was logged."""
        wide = self._wide(self.tables.params)
        for key in wide.columns:
            wide[key] = _numbers_if_all_are(wide[key])
        return wide

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per run, a column per metric: the latest value."""
        return self._wide(self.tables.metrics)

    @property
    def tags(self) -> pd.DataFrame:
        """A row per run, a column per tag."""
        return self._wide(self.tables.tags)

    def history(self, keys: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Every logged point of these metrics (None: of all): run, run_id, key, step, timestamp, value.

        Points of one run and key stand together, by step.
        """
        frame: pd.DataFrame = self._history(keys).to_pandas()
        frame.insert(0, "run", frame["run_id"].map(self._labels))
        frame["timestamp"] = _datetimes(frame["timestamp"])
        return frame

    def overview(self, *, metrics: Sequence[str] = (), params: Sequence[str] = ()) -> pd.DataFrame:
        """One row per run: status, start, duration (its name says the unit), counts, these metrics and params."""
        import pandas as pd

        runs = self.tables.runs.to_pandas()
        start, end = _datetimes(runs["start_time"]), _datetimes(runs["end_time"])
        status = runs["status"].fillna("UNKNOWN")
        frame = (
            pd.DataFrame(
                {
                    "run": [self._labels[run_id] for run_id in runs["run_id"]],
                    "status": [f"{_STATUS_SIGNS.get(word, '?')} {word.lower()}" for word in status],
                    "start (UTC)": start.dt.floor("s").dt.tz_localize(None),
                    **_durations((end - start).dt.total_seconds()),
                    "params": self._per_run(self.tables.params),
                    "metrics": self._per_run(self.tables.metrics),
                }
            )
            .set_index("run")
            .rename_axis(None)
        )
        for table, keys in ((self.metrics, metrics), (self.params, params)):
            for key in keys:
                if key in table.columns:
                    frame[key if key not in frame.columns else f"{key} "] = table[key].array
        frame["run_id"] = runs["run_id"].to_numpy()
        return frame

    def params_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per param that is not the same in all of them; a missing one is a difference."""
        wide = self.params
        return wide[[key for key in wide.columns if len(wide[key].unique()) > 1]]

    def compare_metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per run, a column per metric: the latest values of these metrics, by default of all."""
        wide = self.metrics
        return wide[[key for key in (wide.columns if keys is None else keys) if key in wide.columns]]

    def groups(self, metric: str | None = None, *, seeds: Sequence[str] | None = None) -> pd.DataFrame:
        """Configurations, runs alike but for their seed: n, mean and 95 % interval (Student's t) of a metric.

        metric: by default the primary one.  seeds: the params that only repeat a configuration, by default seed,
        random_state, fold and the like.  `n` counts runs with a finite value, `runs` all. One value has no interval.
        """
        import pandas as pd

        metric = metric or self.primary_metric or ""
        rows = [
            {
                **{key: value if value is not None else "" for key, value in group.params},
                "runs": len(group.run_ids),
                "n": len(group.values),
                f"mean {metric}": group.mean,
                "95 % ±": group.half_width,
                "lowest": min(group.values, default=None),
                "highest": max(group.values, default=None),
            }
            for group in group_runs(self.tables, metric, seeds)
        ]
        frame = pd.DataFrame(rows).convert_dtypes()
        better = self._better(metric)
        return frame.sort_values(f"mean {metric}", ascending=better is False, na_position="last", ignore_index=True)

    def relations(self, metric: str | None = None) -> pd.DataFrame:
        """For each numeric param that varies: its rank correlation with a metric, and the n it rests on.

        Spearman's rho (Spearman 1904), ties ranked by their mean. Under ten runs it is left empty: too few to tell.
        """
        import pandas as pd

        rows = [
            {"param": row.param, "n": row.n, "rank correlation": row.rho, "": row.note}
            for row in rank_correlations(self.tables, metric or self.primary_metric or "")
        ]
        return pd.DataFrame(rows, columns=["param", "n", "rank correlation", ""]).set_index("param")

    def origins_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per thing said of its code, environment or data that is not the same in all runs."""
        import pandas as pd

        entries = origins(self.tables)
        names = differing(entries)
        if not names:
            said = sorted({name for entry in entries.values() for name in entry})
            return pd.DataFrame({"the same in all runs": [entries[next(iter(entries))][name] for name in said]}, said)
        rows = [{name: entry.get(name, "") for name in names} for entry in entries.values()]
        return pd.DataFrame(rows, index=pd.Index([self._labels[run_id] for run_id in entries]))

    def artifacts(self, run: str) -> pd.DataFrame:
        """The files of one run, by its id or name: path and size in bytes."""
        import pandas as pd

        _, files, notes = self._artifact_files(self._one(self._run_id(run)))
        frame = pd.DataFrame([(file.path, file.size) for file in files], columns=["path", "size"]).convert_dtypes()
        frame.attrs["notes"] = notes
        return frame

    # --- Pictures ---------------------------------------------------------------------------------------------------

    def show(self, run: str) -> RunCard | Said:
        """One run in full, by its id or name: details, params, metrics, tags, datasets, models, artifacts."""
        from qualia_lab.charts.previews import read_previews
        from qualia_lab.charts.run_card import RunCard

        try:
            run_id = self._run_id(run)
        except UnknownRun as error:
            return Said(str(error))
        one = self._one(run_id)
        place, files, notes = self._artifact_files(one)
        return RunCard(self._labels[run_id], one, files, notes, tuple(read_previews(place, files)))

    def plot_history(self, metric: str, *, limit: int = 20) -> Chart:
        """One metric over its steps, a line per run; past `limit` runs the best ones, and the chart says so."""
        from qualia_lab.charts.metric_history import metric_history

        return metric_history(
            self._history(metric), self._labels, metric, greater_is_better=self._better(metric), limit=limit
        )

    def plot_comparison(self, metrics: str | Sequence[str]) -> Chart:
        """The latest values of some metrics, run by run, best of the first metric first."""
        from qualia_lab.charts.metric_comparison import metric_comparison

        keys = [metrics] if isinstance(metrics, str) else list(metrics)
        directions = {key: self._better(key) for key in keys}
        return metric_comparison(self.tables.metrics, self._labels, keys, greater_is_better=directions)

    def plot_param(self, param: str, metric: str | None = None) -> Chart:
        """The latest value of a metric, by default the primary one, against the values of a param."""
        from qualia_lab.charts.param_distribution import param_distribution

        metric = metric or self.primary_metric or ""
        return param_distribution(
            self.tables.params,
            self.tables.metrics,
            self._labels,
            param,
            metric,
            greater_is_better=self._better(metric),
        )

    # --- Within -----------------------------------------------------------------------------------------------------

    def _better(self, metric: str) -> bool | None:
        return self.greater_is_better if metric == self.primary_metric else direction_of(metric)

    def _history(self, keys: str | Sequence[str] | None) -> pa.Table:
        wanted = [keys] if isinstance(keys, str) else keys
        batches = self._store.read_metric_history(self.tables.run_ids, wanted)
        return pa.Table.from_batches(batches, schema.METRIC_HISTORY)

    def _run_id(self, run: str) -> str:
        """The id of a run named by its id or name. Raises UnknownRun when it is not loaded, or the name is not one."""
        if run in self._labels:
            return run
        reasons = {row["run_id"]: row["reason"] for row in self.tables.missing.to_pylist()}
        if run in reasons:
            raise UnknownRun(f"Run {one_line(run, 80)} is missing: {reasons[run]}.")
        runs = self.tables.runs
        named = [
            run_id
            for run_id, name in zip(self.tables.run_ids, runs.column("run_name").to_pylist(), strict=True)
            if run in (name, self._labels[run_id])
        ]
        if len(named) == 1:
            return named[0]
        what = "is not among the loaded runs" if not named else f"is the name of {len(named)} runs; use an id"
        raise UnknownRun(f"{one_line(run, 80)} {what}.")

    def _one(self, run_id: str) -> RunTables:
        """The tables of one of the runs."""
        tables = {}
        for name in schema.TABLES:
            table = getattr(self.tables, name)
            tables[name] = table.filter(pc.field("run_id") == run_id) if "run_id" in table.column_names else table
        experiment = tables["runs"].column("experiment_id")[0].as_py()
        for name in ("experiments", "experiment_tags"):
            tables[name] = tables[name].filter(pc.field("experiment_id") == experiment)
        return type(self.tables)(**tables)

    def _wide(self, tidy: pa.Table) -> pd.DataFrame:
        """A tidy table as a row per run, in the runs' order, and a column per key."""
        import pandas as pd

        frame: pd.DataFrame = tidy.select(["run_id", "key", "value"]).to_pandas()
        wide = frame.drop_duplicates(["run_id", "key"]).pivot(index="run_id", columns="key", values="value")  # noqa: PD010
        wide = wide.reindex(self.tables.run_ids)
        wide.index = pd.Index([self._labels[run_id] for run_id in wide.index])
        wide.columns.name = None
        return wide

    def _per_run(self, tidy: pa.Table) -> list[int]:
        counts = Counter(tidy.column("run_id").to_pylist())
        return [counts[run_id] for run_id in self.tables.run_ids]

    def _artifact_files(self, one: RunTables) -> tuple[ArtifactPlace, list[ArtifactFile], tuple[str, ...]]:
        """Where one run's artifacts are, which there are, and what a reader has to know; a failure becomes a note."""
        place = self._store.artifact_place(one.run_ids[0], one.runs.column("artifact_uri")[0].as_py() or "")
        try:
            files = list(place.list_files())
        except QualiaLabError as error:
            return place, [], (str(error),)
        return place, files, (place.note,) if place.note else ()


class Said:
    """A sentence in the place of something that cannot be shown."""

    def __init__(self, sentence: str) -> None:
        self._sentence = one_line(sentence, 300)

    def __repr__(self) -> str:
        return self._sentence


def _labels(tables: RunTables) -> dict[str, str]:
    """A label per run: its name, with the start of its id where another run has the same name or there is none."""
    names = {
        run_id: one_line(name or "", 60)
        for run_id, name in zip(tables.run_ids, tables.runs.column("run_name").to_pylist(), strict=True)
    }
    counts = Counter(names.values())
    return {
        run_id: name if name and counts[name] == 1 else f"{name} ({one_line(run_id, 8).rstrip('…')})".strip()
        for run_id, name in names.items()
    }


def _numbers_if_all_are(column: pd.Series[Any]) -> pd.Series[Any]:
    """The column as numbers when every value in it is one."""
    texts = column.dropna()
    if texts.empty or not texts.map(is_number).all():
        return column
    numbers = column.map(float, na_action="ignore").astype("float64")
    whole = numbers.dropna()
    if (whole % 1 == 0).all() and (whole.abs() < 2**53).all() and not texts.str.contains(r"[.eE]").any():
        return numbers.astype("Int64")
    return numbers


def _datetimes(milliseconds: pd.Series[Any]) -> pd.Series[Any]:
    """Milliseconds as datetimes of UTC; a time that no calendar holds is NaT."""
    import pandas as pd

    in_calendar = milliseconds.where((milliseconds >= 0) & (milliseconds < 4_102_444_800_000))  # until 2100
    return pd.to_datetime(in_calendar, unit="ms", utc=True, errors="coerce")


def _durations(seconds: pd.Series[float]) -> dict[str, pd.Series[float]]:
    """One column of durations, in the unit that suits half of them, which its name says."""
    median = seconds.median()
    unit, size = ("s", 1) if not median >= 120 else ("min", 60) if median < 7200 else ("h", 3600)
    return {f"duration ({unit})": (seconds / size).round(1)}


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _distinct(tidy: pa.Table) -> int:
    return len(pc.unique(tidy.column("key")))
