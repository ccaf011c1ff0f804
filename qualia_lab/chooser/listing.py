"""Lists to choose from: experiments and runs as rows, of which thirty at a time are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qualia_lab import console
from qualia_lab.chooser.wording import age, duration, moment, number, status_sign
from qualia_lab.console_table import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables


class Listing(Protocol):
    """What `choose_from` shows: items, each with the text it is found by."""

    texts: list[str]

    def show(self, positions: Sequence[int]) -> None:
        """Say these items as a table, numbered from 1."""
        ...


class ExperimentListing:
    """Experiments with their run counts and last activity."""

    def __init__(self, experiments: pa.Table) -> None:
        self._rows: list[dict[str, Any]] = experiments.to_pylist()
        for row in self._rows:
            row["name"] = row["name"] or f"experiment {row['experiment_id']}"
        self.ids = [row["experiment_id"] for row in self._rows]
        self.names: list[str] = [row["name"] for row in self._rows]
        self.texts = [f"{row['name']} {row['experiment_id']}" for row in self._rows]

    def show(self, positions: Sequence[int]) -> None:
        """Say these experiments as a table, numbered from 1."""
        rows = (self._rows[position] for position in positions)
        console.table(
            [
                Column("", right=True),
                Column("experiment", name=True),
                Column("runs", right=True),
                Column("last activity"),
            ],
            [
                (str(index), row["name"], f"{row['run_count']:,}", age(row["last_activity"]))
                for index, row in enumerate(rows, start=1)
            ],
            talk=True,
        )


class RunListing:
    """Runs with status, start, duration and main metrics; metrics are read for the shown ones only."""

    def __init__(self, store: TrackingStore, runs: pa.Table, experiment_names: dict[str, str]) -> None:
        self._store = store
        self._rows: list[dict[str, Any]] = runs.to_pylist()
        self._several = len(experiment_names) > 1
        for row in self._rows:
            row["experiment"] = experiment_names.get(row["experiment_id"], row["experiment_id"])
        self.ids = [row["run_id"] for row in self._rows]
        self.names: list[str] = [row["run_name"] or row["run_id"] for row in self._rows]
        self.texts = [
            f"{row['run_name'] or ''} {row['run_id']} {row['status']} {row['experiment']} {moment(row['start_time'])}"
            for row in self._rows
        ]

    def show(self, positions: Sequence[int]) -> None:
        """Say these runs as a table, numbered from 1."""
        tables = self._store.read([self.ids[position] for position in positions])
        keys, values = main_metrics(tables), metric_values(tables)
        columns = [
            Column("", right=True),
            Column(""),
            Column("run", name=True),
            Column("started", early=True),
            Column("took", right=True, early=True),
        ]
        columns[3:3] = [Column("experiment")] if self._several else []
        rows = []
        for index, position in enumerate(positions, start=1):
            row = self._rows[position]
            cells = [str(index), status_sign(row["status"]), self.names[position]]
            cells += [row["experiment"]] if self._several else []
            cells += [moment(row["start_time"]), duration(row["start_time"], row["end_time"])]
            rows.append([*cells, *(number(values.get((row["run_id"], key))) for key in keys)])
        console.table([*columns, *(Column(key, right=True) for key in keys)], rows, talk=True)


def main_metrics(tables: RunTables, count: int = 3) -> list[str]:
    """The metrics to show first."""
    from qualia_lab.inventory import take_inventory
    from qualia_lab.settings import read_settings
    from qualia_lab.study.describe import describe_study
    from qualia_lab.study.ranking import rank_metrics

    inventory = take_inventory(tables)
    study = describe_study(tables, inventory, read_settings().study)
    return [metric.key for metric in rank_metrics(study, inventory)[:count]]


def metric_values(tables: RunTables) -> dict[tuple[str, str], float | None]:
    """The latest value of each metric, by run id and key."""
    columns = (tables.metrics.column(name).to_pylist() for name in ("run_id", "key", "value"))
    return {(run_id, key): value for run_id, key, value in zip(*columns, strict=True)}
