"""What every method of `Runs` stands on: the tables, the labels, the primary metric and the store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.analysis.direction import direction_of, find_primary_metric
from qualia_lab.columns import filled, numbers_of, whole
from qualia_lab.errors import QualiaLabError, UnknownRun
from qualia_lab.escaping import for_html, one_line
from qualia_lab.inventory import take_inventory
from qualia_lab.runs.last_histories import LastHistories
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd

    from qualia_lab.stores.protocol import ArtifactFile, ArtifactPlace, TrackingStore
    from qualia_lab.tables import RunTables


class LoadedRuns:
    """The tables of some runs, what each run is called, and the store for what is read later."""

    def __init__(
        self,
        store: TrackingStore,
        tables: RunTables,
        primary_metric: str | None = None,
        greater_is_better: bool | None = None,
    ) -> None:
        self.tables = tables
        self._store = store
        self._histories = LastHistories(store)
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

    def _better(self, metric: str) -> bool | None:
        return self.greater_is_better if metric == self.primary_metric else direction_of(metric)

    def _history(self, keys: str | Sequence[str] | None, run_ids: Sequence[str] | None = None) -> pa.Table:
        """Of these metrics (None: all) and runs (None: all); those that were read last are not read again."""
        wanted = [keys] if isinstance(keys, str) else keys
        return self._histories.read(self.tables.run_ids if run_ids is None else run_ids, wanted)

    def _latest(self, metric: str) -> npt.NDArray[np.float64]:
        """The latest value of a metric by run, in the order of the runs; NaN where there is none."""
        metrics = self.tables.metrics.filter(pc.field("key") == metric)
        places = pc.index_in(self.tables.runs.column("run_id"), value_set=whole(metrics.column("run_id")))
        return numbers_of(filled(whole(metrics.column("value")).take(whole(places)), np.nan))

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

    def _wide(
        self,
        tidy: pa.Table,
        keys: Sequence[str] | None = None,
        convert: Callable[[pd.Series[Any]], pd.Series[Any]] | None = None,
        *,
        apart: bool = False,
    ) -> pd.DataFrame:
        """A tidy table as a row per run, in the runs' order, and a column for each of these keys (None: of all).

        convert: what becomes of a column; one is made after the other, so that no table of texts is ever whole.
        apart: of numbers, a missing one is <NA> and not NaN, which is what a run may have logged.
        """
        import pandas as pd

        run_ids = whole(self.tables.runs.column("run_id"))
        index = pd.Index([self._labels[run_id] for run_id in self.tables.run_ids])
        columns = {}
        for key, rows in by_key(tidy):
            if keys is None or key in keys:
                places = pc.index_in(run_ids, value_set=whole(rows.column("run_id")))
                taken = whole(rows.column("value")).take(places)
                if apart and places.null_count:
                    numbers = numbers_of(filled(taken, np.nan))
                    columns[key] = pd.arrays.FloatingArray(numbers, places.is_null().to_numpy(zero_copy_only=False))
                    continue
                values: pd.Series[Any] = taken.to_pandas()
                if values.dtype == object:
                    values = values.mask(values.isna(), np.nan)
                columns[key] = (convert(values) if convert else values).array
        return pd.DataFrame(columns, index=index)

    def _per_run(self, tidy: pa.Table) -> list[int]:
        places = pc.index_in(tidy.column("run_id"), value_set=whole(self.tables.runs.column("run_id")))
        counts: list[int] = np.bincount(numbers_of(places.drop_null()), minlength=len(self)).tolist()
        return counts

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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _distinct(tidy: pa.Table) -> int:
    return len(pc.unique(tidy.column("key")))
