"""Lists of experiments and of runs to choose from, shown thirty rows at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from qualia_lab import console
from qualia_lab.chooser.formatting import age, duration, moment, number, status_sign
from qualia_lab.choosing import query_of
from qualia_lab.conditions_text import order_in_words
from qualia_lab.console_table import Column
from qualia_lab.errors import SelectionError, UnknownExperiment
from qualia_lab.selection import Conditions, match_experiments
from qualia_lab.settings import read_settings
from qualia_lab.stores.keys import RUNS_SAMPLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables


class Listing(Protocol):
    """A list for `choose_from`: items in an order, each with the text by which it is found."""

    texts: list[str]
    order: Sequence[int]
    can_sort: bool

    def show(self, positions: Sequence[int], first: int) -> None:
        """Print these items as a table, numbered from `first`."""
        ...

    def sort(self) -> str:
        """Change the order, and return a description of the new one."""
        ...


class ExperimentListing:
    """Experiments with their run counts and last activity."""

    def __init__(self, experiments: pa.Table) -> None:
        self._experiments = experiments
        self._rows: list[dict[str, Any]] = experiments.to_pylist()
        for row in self._rows:
            row["name"] = row["name"] or f"experiment {row['experiment_id']}"
        self.ids = [row["experiment_id"] for row in self._rows]
        self.names: list[str] = [row["name"] for row in self._rows]
        self.texts = [f"{row['name']} {row['experiment_id']}" for row in self._rows]
        self.order: Sequence[int] = range(len(self.ids))
        self.can_sort = False

    def show(self, positions: Sequence[int], first: int) -> None:
        """Print these experiments as a table, numbered from `first`."""
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
                for index, row in enumerate(rows, start=first)
            ],
            to_stderr=True,
        )

    def word(self, position: int) -> str:
        """What selects this experiment alone: its name, `name:NAME` or `id:ID`."""
        return _unambiguous_name(self._rows[position], self._experiments)

    def sort(self) -> str:
        """Keep the order; experiments cannot be sorted."""
        return "in the order of the store"


class RunListing:
    """Runs with status, start, duration and main metrics; metrics are read only for the runs that are shown.

    `by` is the metric by which they are sorted, best first; None for newest first.
    """

    def __init__(
        self, store: TrackingStore, runs: pa.Table, experiment_names: dict[str, str], words: tuple[str, ...]
    ) -> None:
        """experiment_names: by id.  words: what selects each of these experiments alone."""
        self._store = store
        self._words = words
        self._rows: list[dict[str, Any]] = runs.to_pylist()
        self._several = len(experiment_names) > 1
        self._keys: list[str] = []
        self.by: str | None = None
        for row in self._rows:
            row["experiment"] = experiment_names.get(row["experiment_id"], row["experiment_id"])
        self.ids = [row["run_id"] for row in self._rows]
        self.names: list[str] = [row["run_name"] or row["run_id"] for row in self._rows]
        self.texts = [
            f"{row['run_name'] or ''} {row['run_id']} {row['status']} {row['experiment']} {moment(row['start_time'])}"
            for row in self._rows
        ]
        self.order: Sequence[int] = range(len(self.ids))
        self.can_sort = True

    def show(self, positions: Sequence[int], first: int) -> None:
        """Print these runs as a table, numbered from `first`; all pages show the same metrics as the first one."""
        tables = self._store.read([self.ids[position] for position in positions])
        keys, values = self._keys or main_metrics(tables), metric_values(tables)
        self._keys = keys
        columns = [
            Column("", right=True),
            Column(""),
            Column("run", name=True),
            Column("started", early=True),
            Column("took", right=True, early=True),
        ]
        columns[3:3] = [Column("experiment")] if self._several else []
        rows = []
        for index, position in enumerate(positions, start=first):
            row = self._rows[position]
            cells = [str(index), status_sign(row["status"]), self.names[position]]
            cells += [row["experiment"]] if self._several else []
            cells += [moment(row["start_time"]), duration(row["start_time"], row["end_time"])]
            rows.append([*cells, *(number(values.get((row["run_id"], key))) for key in keys)])
        console.table([*columns, *(Column(key, right=True) for key in keys)], rows, to_stderr=True)

    def sort(self) -> str:
        """Sort by the main metric, best first; if already sorted so, newest first.

        Raises:
            FilterError: it is not known which direction of the metric is better.
            SelectionError: the runs have no metric.
        """
        if self.by is None:
            self._keys = self._keys or main_metrics(self._store.read(self.ids[:RUNS_SAMPLED]))
            if not self._keys:
                raise SelectionError("These runs have no metric to sort by.", "Keep the order of the list.")
            conditions = Conditions(experiments=self._words, by=self._keys[0])
            query = query_of(self._store, conditions, read_settings().study)
            places = {run_id: place for place, run_id in enumerate(self.ids)}
            best_first = self._store.read_runs(query).column("run_id").to_pylist()
            self.order = [
                places[run_id] for run_id in best_first if run_id in places
            ]  # without runs that started since
            self.by = self._keys[0]
        else:
            self.order, self.by = range(len(self.ids)), None
        return order_in_words(Conditions(by=self.by))


def main_metrics(tables: RunTables, count: int = 3) -> list[str]:
    """The keys of the metrics that are shown first."""
    from qualia_lab.inventory import take_inventory
    from qualia_lab.study.describe import describe_study
    from qualia_lab.study.ranking import rank_metrics

    inventory = take_inventory(tables)
    study = describe_study(tables, inventory, read_settings().study)
    return [metric.key for metric in rank_metrics(study, inventory.model_metrics)[:count]]


def metric_values(tables: RunTables) -> dict[tuple[str, str], float | None]:
    """The latest value of each metric, by run id and key."""
    columns = (tables.metrics.column(name).to_pylist() for name in ("run_id", "key", "value"))
    return {(run_id, key): value for run_id, key, value in zip(*columns, strict=True)}


def _unambiguous_name(row: dict[str, Any], experiments: pa.Table) -> str:
    """The value of `--experiment` that means only this experiment: its name, or if that is ambiguous, its id."""
    words = [row["name"], f"name:{row['name']}"] if row["name"] else []
    for word in (*words, f"id:{row['experiment_id']}"):
        with suppress(SelectionError, UnknownExperiment):
            if [match["experiment_id"] for match in match_experiments([word], experiments)] == [row["experiment_id"]]:
                return str(word)
    return str(row["experiment_id"])
