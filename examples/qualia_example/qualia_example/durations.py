"""How long runs took: the numbers of the rule and of the section."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from qualia_lab.extensions import RunTables, Study
    from qualia_lab.runs import Runs


def minutes(tables: RunTables, study: Study) -> dict[str, float]:
    """Return the minutes of each run that takes part in comparisons, by run id."""
    times = tables.runs.select(["run_id", "start_time", "end_time"]).to_pylist()
    return {
        row["run_id"]: (row["end_time"] - row["start_time"]) / 60_000
        for row in times
        if row["run_id"] not in study.left_out and row["start_time"] is not None and row["end_time"] is not None
    }


def slowest_runs(runs: Runs, limit: int = 5) -> pd.DataFrame:
    """Return the runs that took longest, with their status and minutes."""
    table = runs.overview()[["status", "run_id"]]
    table = table.assign(minutes=table["run_id"].map(minutes(runs.tables, runs.study)))
    return table.nlargest(limit, "minutes").round(1)
