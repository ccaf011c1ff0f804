"""The runs as DataFrames with a row per run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from qualia_lab.columns import filled, numbers_of, whole
from qualia_lab.escaping import one_line
from qualia_lab.inventory import is_number
from qualia_lab.runs.message import ASIDE
from qualia_lab.runs.per_task import free_name
from qualia_lab.runs.values import all_values
from qualia_lab.study.statuses import kind_of, status_text
from qualia_lab.tables import by_key, rows_with
from qualia_lab.times import LATEST_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import pyarrow as pa

    from qualia_lab.runs.loaded import Loaded


def wide(
    loaded: Loaded,
    tidy: pa.Table,
    keys: Sequence[str] | None = None,
    convert: Callable[[pd.Series[Any]], pd.Series[Any]] | None = None,
    *,
    nullable: bool = False,
) -> pd.DataFrame:
    """Pivot a tidy table to a row per run, in the order of the runs, and a column per key.

    Args:
        loaded: the runs.
        tidy: a table with `run_id`, `key` and `value`.
        keys: the keys that become columns; None for all.
        convert: converts one column. Columns are made one by one, so that the texts of all are never in memory at once.
        nullable: for numbers, mark a missing value as <NA>, to distinguish it from a NaN that the run logged.
    """
    import pandas as pd

    run_ids = whole(loaded.tables.runs.column("run_id"))
    columns = {}
    for key, rows in by_key(tidy):
        if keys is None or key in keys:
            places = pc.index_in(run_ids, value_set=whole(rows.column("run_id")))
            taken = whole(rows.column("value")).take(places)
            if nullable and places.null_count:
                numbers = numbers_of(filled(taken, np.nan))
                columns[key] = pd.arrays.FloatingArray(numbers, places.is_null().to_numpy(zero_copy_only=False))
                continue
            values: pd.Series[Any] = taken.to_pandas()
            if values.dtype == object:
                values = values.mask(values.isna(), np.nan)
            columns[key] = (convert(values) if convert else values).array
    return pd.DataFrame(columns, index=pd.Index(list(loaded.labels.values())))


def params(loaded: Loaded) -> pd.DataFrame:
    """Params: numbers if all values of the column are numbers, else text as it was logged."""
    return keyed(wide(loaded, loaded.tables.params, convert=numbers_if_all_are), "param")


def metrics(loaded: Loaded) -> pd.DataFrame:
    """Metrics: the latest value."""
    return keyed(wide(loaded, loaded.tables.metrics), "metric")


def tags(loaded: Loaded) -> pd.DataFrame:
    """Tags as text."""
    return keyed(wide(loaded, loaded.tables.tags), "tag")


def keyed(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """A DataFrame that suggests similar keys when a column that does not exist is accessed."""
    from qualia_lab.runs.keyed_frame import keyed_frame

    return keyed_frame(frame, what)


def scores_of(loaded: Loaded, metric: str | None, statistic: str) -> pd.Series[float]:
    """The value of a metric per run, by default of the objective of the run's task; NaN if it has no finite value."""
    import pandas as pd

    score_of = dict.fromkeys(loaded.tables.run_ids, float("nan"))
    keys = set()
    for task in loaded.study.tasks:
        if metric is None and task.objective is None and len(loaded.study.tasks) > 1:
            continue
        key = loaded.metric(metric, task)
        keys.add(key)
        values = all_values(loaded, key, statistic)
        score_of |= {run_id: values[run_id] for run_id in task.run_ids if run_id in values}
    name = keys.pop() if len(keys) == 1 else "objective"
    return pd.Series(list(score_of.values()), pd.Index(list(loaded.labels.values())), name=name, dtype="float64")


def overview(loaded: Loaded, metrics: Sequence[str], params: Sequence[str]) -> pd.DataFrame:
    """One row per run; facts that are the same in all rows, such as a single experiment, have no column."""
    import pandas as pd

    tables, study = loaded.tables, loaded.study
    runs = tables.runs.to_pandas()
    start, end = datetimes(runs["start_time"]), datetimes(runs["end_time"])
    status = runs["status"].fillna("UNKNOWN")
    columns: dict[str, Any] = {"run": list(loaded.labels.values())}
    if len(study.tasks) > 1 or tables.experiments.num_rows > 1:
        columns["experiment"] = [
            loaded.experiments.get(value) or one_line(value, 60) for value in runs["experiment_id"]
        ]
    columns |= {
        "status": list(map(status_text, status)),
        "start (UTC)": start.dt.floor("s").dt.tz_localize(None),
        **_durations((end - start).dt.total_seconds()),
        "params": _per_run(loaded, tables.params),
        "metrics": _per_run(loaded, tables.metrics),
    }
    if study.parents:
        columns["parent"] = [loaded.labels.get(value) for value in runs["parent_run_id"]]
    if study.left_out:
        columns["left out"] = [study.left_out.get(run_id) for run_id in runs["run_id"]]
    frame = pd.DataFrame(columns).set_index("run").rename_axis(None)
    requested = (
        (wide(loaded, tables.metrics, metrics, nullable=True), metrics),
        (_settings(loaded, params), params),
    )
    for table, keys in requested:
        for key in keys:
            frame[free_name(key, frame)] = table[key].array
    frame["run_id"] = runs["run_id"].to_numpy()
    return frame


def _settings(loaded: Loaded, names: Sequence[str]) -> pd.DataFrame:
    """A column per param or tag, named as in the study."""
    import pandas as pd

    columns = {}
    for name in names:
        table, key = loaded.setting(name)
        columns[name] = wide(loaded, rows_with(table, "key", [key]), convert=nullable_numbers)[key]
    return pd.DataFrame(columns)


def params_that_differ(loaded: Loaded) -> pd.DataFrame:
    """A row per run, a column per param that differs between runs; a missing value counts as a difference.

    Parents whose children are among the runs, and runs that another run continued, have no row.
    """
    import pandas as pd

    frame = wide(loaded, loaded.tables.params, convert=nullable_numbers)
    frame = frame[[kind_of(loaded.study.left_out.get(run_id, "")) not in ASIDE for run_id in loaded.tables.run_ids]]
    return pd.DataFrame(frame[[key for key in frame.columns if len(frame[key].unique()) > 1]])


def history(loaded: Loaded, keys: str | Sequence[str] | None) -> pd.DataFrame:
    """Every logged point of these metrics (None: all); points of the same run and key are adjacent, sorted by step."""
    frame: pd.DataFrame = loaded.history(keys).to_pandas()
    frame.insert(0, "run", frame["run_id"].map(dict(loaded.labels)))
    frame["timestamp"] = datetimes(frame["timestamp"])
    return frame


def numbers_if_all_are(column: pd.Series[Any]) -> pd.Series[Any]:
    """Convert the column to numbers if all its values are numbers."""
    texts = column.dropna().unique().tolist()  # each distinct text is parsed once
    if not texts or not all(map(is_number, texts)):
        return column
    value_of = {text: float(text) for text in texts}
    numbers = column.map(value_of).astype("float64")
    integers = all(value % 1 == 0 and abs(value) < 2**53 for value in value_of.values())
    if integers and not any(re.search("[.eE]", text) for text in texts):
        return numbers.astype("Int64")
    return numbers


def nullable_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """As `numbers_if_all_are`, with missing numbers as <NA>."""
    numbers = numbers_if_all_are(column)
    return numbers.astype("Float64") if numbers.dtype == "float64" and numbers.isna().any() else numbers


def datetimes(milliseconds: pd.Series[Any]) -> pd.Series[Any]:
    """Convert milliseconds to UTC datetimes; NaT if missing or outside the range of times that a run can have."""
    import pandas as pd

    in_calendar = milliseconds.where((milliseconds >= 0) & (milliseconds < LATEST_TIME))
    return pd.to_datetime(in_calendar, unit="ms", utc=True, errors="coerce")


def _per_run(loaded: Loaded, tidy: pa.Table) -> list[int]:
    places = pc.index_in(tidy.column("run_id"), value_set=whole(loaded.tables.runs.column("run_id")))
    counts: list[int] = np.bincount(numbers_of(places.drop_null()), minlength=len(loaded)).tolist()
    return counts


def _durations(seconds: pd.Series[float]) -> dict[str, pd.Series[float]]:
    """One column of durations in the unit that suits their median; the column's name contains the unit."""
    median = seconds.median()
    unit, size = ("s", 1) if not median >= 120 else ("min", 60) if median < 7200 else ("h", 3600)
    return {f"duration ({unit})": (seconds / size).round(1).astype("Float64")}
