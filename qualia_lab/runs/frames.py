"""The runs as DataFrames: params, metrics, tags, histories, overview, artifacts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qualia_lab.charts.run_card import STATUS_SIGNS
from qualia_lab.inventory import is_number
from qualia_lab.runs.loaded import LoadedRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


class Frames(LoadedRuns):
    """A row per run, and a column per thing."""

    @property
    def params(self) -> pd.DataFrame:
        """A row per run, a column per param: numbers where every value is one, else text as it was logged."""
        return self._wide(self.tables.params, convert=_numbers_if_all_are)

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
        frame["timestamp"] = datetimes(frame["timestamp"])
        return frame

    def overview(self, *, metrics: Sequence[str] = (), params: Sequence[str] = ()) -> pd.DataFrame:
        """One row per run: status, start, duration (its name says the unit), counts, these metrics and params."""
        import pandas as pd

        runs = self.tables.runs.to_pandas()
        start, end = datetimes(runs["start_time"]), datetimes(runs["end_time"])
        status = runs["status"].fillna("UNKNOWN")
        frame = (
            pd.DataFrame(
                {
                    "run": [self._labels[run_id] for run_id in runs["run_id"]],
                    "status": [f"{STATUS_SIGNS.get(word, '?')} {word.lower()}" for word in status],
                    "start (UTC)": start.dt.floor("s").dt.tz_localize(None),
                    **_durations((end - start).dt.total_seconds()),
                    "params": self._per_run(self.tables.params),
                    "metrics": self._per_run(self.tables.metrics),
                }
            )
            .set_index("run")
            .rename_axis(None)
        )
        chosen = (
            (self._wide(self.tables.metrics, metrics, apart=True), metrics),
            (self._wide(self.tables.params, params, _nullable_numbers), params),
        )
        for table, keys in chosen:
            for key in keys:
                if key in table.columns:
                    frame[key if key not in frame.columns else f"{key} "] = table[key].array
        frame["run_id"] = runs["run_id"].to_numpy()
        return frame

    def params_that_differ(self) -> pd.DataFrame:
        """A row per run, a column per param that is not the same in all of them; a missing one is a difference."""
        wide = self._wide(self.tables.params, convert=_nullable_numbers)
        return wide[[key for key in wide.columns if len(wide[key].unique()) > 1]]

    def compare_metrics(self, keys: Sequence[str] | None = None) -> pd.DataFrame:
        """A row per run, a column per metric: the latest values of these metrics, by default of all.

        A run without the metric has <NA>, one that logged NaN has NaN.
        """
        wide = self._wide(self.tables.metrics, keys, apart=True)
        return wide[[key for key in (wide.columns if keys is None else keys) if key in wide.columns]]

    def artifacts(self, run: str) -> pd.DataFrame:
        """The files of one run, by its id or name: path and size in bytes."""
        import pandas as pd

        _, files, notes = self._artifact_files(self._one(self._run_id(run)))
        frame = pd.DataFrame([(file.path, file.size) for file in files], columns=["path", "size"]).convert_dtypes()
        frame.attrs["notes"] = notes
        return frame


def _numbers_if_all_are(column: pd.Series[Any]) -> pd.Series[Any]:
    """The column as numbers when every value in it is one."""
    texts = column.dropna().unique().tolist()  # equal ones are looked at once
    if not texts or not all(map(is_number, texts)):
        return column
    value_of = {text: float(text) for text in texts}
    numbers = column.map(value_of).astype("float64")
    whole = all(value % 1 == 0 and abs(value) < 2**53 for value in value_of.values())
    if whole and not any(re.search("[.eE]", text) for text in texts):
        return numbers.astype("Int64")
    return numbers


def _nullable_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """The same, and a missing number is <NA>."""
    numbers = _numbers_if_all_are(column)
    return numbers.astype("Float64") if numbers.dtype == "float64" and numbers.isna().any() else numbers


def datetimes(milliseconds: pd.Series[Any]) -> pd.Series[Any]:
    """Milliseconds as datetimes of UTC; a time that no calendar holds is NaT."""
    import pandas as pd

    in_calendar = milliseconds.where((milliseconds >= 0) & (milliseconds < 4_102_444_800_000))  # until 2100
    return pd.to_datetime(in_calendar, unit="ms", utc=True, errors="coerce")


def _durations(seconds: pd.Series[float]) -> dict[str, pd.Series[float]]:
    """One column of durations, in the unit that suits half of them, which its name says."""
    median = seconds.median()
    unit, size = ("s", 1) if not median >= 120 else ("min", 60) if median < 7200 else ("h", 3600)
    return {f"duration ({unit})": (seconds / size).round(1).astype("Float64")}
