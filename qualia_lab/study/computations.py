"""Find runs that are the same computation logged more than once, and runs that may be."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.columns import column, column_of, filled, numbers_of, texts_of, whole
from qualia_lab.study.rounded_copies import rounded_copies
from qualia_lab.study.setting_columns import MISSING, fingerprints
from qualia_lab.study.values import NONE, canonical
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import Marks, SettingColumn
    from qualia_lab.study.study import Factor
    from qualia_lab.tables import RunTables

DIGITS = 6  # significant digits: two computations without a seed hardly ever agree in this many
_MOST_KINDS = 64  # distinct sets of metrics that are compared with each other, among runs with equal settings
_CODE = ("mlflow.source.git.commit", "mlflow.source.name", "mlflow.project.entryPoint")
_NAN = np.array([np.nan]).view(np.int64)[0]

_BIG = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its multiples by distinct numbers have distinct bits


@dataclass(slots=True)
class _Result:
    """The metrics of one run: the bits of each value, and a bit set of those with many digits or a history."""

    values: dict[int, int] = field(default_factory=dict)
    identifying: int = 0


@dataclass(frozen=True)
class Copies:
    """Runs that repeat a computation.

    Attributes:
        of: run id → id of the earlier run that computed the same.
        possible: sets of run ids that may be copies of each other.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    possible: tuple[tuple[str, ...], ...] = ()


def find_copies(
    tables: RunTables,
    columns: Sequence[SettingColumn],
    factors: Sequence[Factor],
    *,
    compared: Sequence[str],
    chosen: npt.NDArray[np.bool_],
    tasks: npt.NDArray[np.int64],
) -> Copies:
    """Find the runs that computed the same as an earlier one of their task.

    Runs are candidates if all params and tags except labels, the recorded code and data, and every compared metric that
    both have are equal to the last digit. They are one computation if a seed is recorded, or if a metric has six
    significant digits or a history; otherwise they are only possible copies. If a seed is recorded, values may also
    differ by rounding.

    Args:
        tables: the tables of the runs.
        columns: the params and tags.
        factors: the role of each column.
        compared: the metrics with the role objective or training.
        chosen: whether each run is considered.
        tasks: the number of the task of each run.
    """
    settings = [column for column, factor in zip(columns, factors, strict=True) if factor.role != "label"]
    seeds = [column for column, factor in zip(columns, factors, strict=True) if factor.role == "seed"]
    marks = fingerprints(settings, len(chosen)) + _origins(tables) + tasks.astype(np.uint64) * _BIG
    rows = _compared_rows(tables, compared)
    results = _results(rows, _with_twin(rows, marks, chosen))
    buckets: dict[int, list[int]] = defaultdict(list)
    in_time = _in_time(tables)
    for run in in_time.tolist() if results else ():
        if run in results:
            buckets[int(marks[run])].append(run)
    seeded, run_ids = _seeded(seeds, len(chosen)), tables.run_ids
    copies: dict[str, str] = {}
    possible: list[tuple[str, ...]] = []
    for equal_runs in (equal_runs for bucket in buckets.values() for equal_runs in _equal_sets(bucket, results)):
        first, *rest = equal_runs
        uncertain = [first]
        for run in rest:
            if seeded[first] or results[first].identifying & results[run].identifying:
                copies[run_ids[run]] = run_ids[first]
            else:
                uncertain.append(run)
        if len(uncertain) > 1:
            possible.append(tuple(run_ids[run] for run in uncertain))
    is_first = np.ones(len(run_ids), np.bool_)
    is_first[[tables.positions[run_id] for run_id in copies]] = False
    for run, first in rounded_copies(rows, marks, in_time, chosen & seeded & is_first):
        copies[run_ids[run]] = run_ids[first]
    first_of = {run_id: copies.get(first, first) for run_id, first in copies.items()}
    return Copies(first_of, tuple(possible))


def _results(rows: pa.Table, wanted: npt.NDArray[np.bool_]) -> dict[int, _Result]:
    """The metrics of the wanted runs, by index of the run."""
    runs, metrics, bits, steps = (numbers_of(rows.column(name)) for name in ("run", "metric", "bits", "step"))
    results: dict[int, _Result] = {}
    for row in np.flatnonzero(wanted[runs]).tolist():
        result = results.setdefault(int(runs[row]), _Result())
        metric = int(metrics[row])
        result.values[metric] = int(bits[row])
        if steps[row] > 0 or _digits(float(bits[row : row + 1].view(np.float64)[0])) >= DIGITS:
            result.identifying |= 1 << metric
    return results


def _equal_sets(bucket: Sequence[int], results: Mapping[int, _Result]) -> list[list[int]]:
    """Group runs with equal values of all metrics that they share with the first run; only groups of two or more."""
    first_runs: dict[tuple[int, ...], list[int]] = defaultdict(list)  # by their set of metrics
    equal_to: dict[int, list[int]] = {}
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[tuple[int, ...], int]] = {}
    for run in bucket:
        own = results[run].values
        keys = tuple(sorted(own))
        first = None
        for kind in tuple(islice(first_runs, _MOST_KINDS)):
            shared = tuple(key for key in kind if key in own)
            if not shared:
                continue
            index = known.get((kind, shared))
            if index is None:
                index = known[kind, shared] = {}
                for other in first_runs[kind]:
                    index.setdefault(tuple(results[other].values[key] for key in shared), other)
            first = index.get(tuple(own[key] for key in shared))
            if first is not None:
                break
        if first is not None:
            equal_to[first].append(run)
            continue
        equal_to[run] = [run]
        first_runs[keys].append(run)
        for (kind, shared), index in known.items():
            if kind == keys:
                index.setdefault(tuple(own[key] for key in shared), run)
    return [same for same in equal_to.values() if len(same) > 1]


def _compared_rows(tables: RunTables, compared: Sequence[str]) -> pa.Table:
    """The latest values of these metrics as numbers: indices of run and metric, bits of the value, and step."""
    metrics = rows_with(tables.metrics, "key", compared)
    owners = tables.owners_of(metrics)
    keys = filled(pc.index_in(whole(metrics.column("key")), value_set=column(list(compared), pa.string())), MISSING)
    values = numbers_of(filled(whole(metrics.column("value")), np.nan)) + 0.0  # makes -0 equal to 0
    bits = values.view(np.int64).copy()
    bits[np.isnan(values)] = _NAN
    steps = numbers_of(filled(whole(metrics.column("step")), 0))
    known = owners >= 0
    return pa.Table.from_arrays(
        [column_of(array[known].astype(np.int64), pa.int64()) for array in (owners, numbers_of(keys), bits, steps)],
        names=["run", "metric", "bits", "step"],
    )


def _with_twin(rows: pa.Table, marks: Marks, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which runs have a value equal to that of another run with the same settings; only these can be copies."""
    run, metric, bits = (numbers_of(rows.column(name)) for name in ("run", "metric", "bits"))
    takes_part = np.flatnonzero(chosen[run])
    run, metric, bits = run[takes_part], metric[takes_part], bits[takes_part]
    order = np.lexsort((bits, metric, marks[run]))
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for array in (marks[run], metric, bits):
        same &= array[order][1:] == array[order][:-1]
    has_twin = np.zeros(len(chosen), np.bool_)
    has_twin[run[order[1:][same]]] = True
    has_twin[run[order[:-1][same]]] = True
    return has_twin


def _origins(tables: RunTables) -> Marks:
    """A number per run that is equal for runs with the same recorded code and data."""
    place_of = tables.positions
    facts_of: dict[int, list[str]] = defaultdict(list)
    tags = rows_with(tables.tags, "key", _CODE)
    for run_id, key, value in zip(*(texts_of(tags.column(name)) for name in ("run_id", "key", "value")), strict=True):
        facts_of[place_of[run_id]].append(f"{key} {value}")
    names = ("run_id", "context", "name", "digest")
    for run_id, *data in zip(*(texts_of(tables.datasets.column(name)) for name in names), strict=True):
        facts_of[place_of[run_id]].append(" ".join(str(one) for one in data))
    number_of: dict[tuple[str, ...], int] = {}
    marks = np.zeros(len(tables.run_ids), np.uint64)
    for place, origin in facts_of.items():
        marks[place] = number_of.setdefault(tuple(sorted(origin)), len(number_of) + 1)
    return marks * (_BIG << np.uint64(20) | np.uint64(1))


def _seeded(seeds: Sequence[SettingColumn], runs: int) -> npt.NDArray[np.bool_]:
    """Which runs recorded a seed; the value `None` does not count."""
    has_seed = np.zeros(runs, np.bool_)
    for seed in seeds:
        real = np.array([canonical(text) != NONE for text in seed.texts], np.bool_)
        has_seed[seed.places[real[seed.codes]]] = True
    return has_seed


def _in_time(tables: RunTables) -> npt.NDArray[np.int64]:
    """The indices of the runs, sorted by start time."""
    starts = numbers_of(filled(whole(tables.runs.column("start_time")), np.iinfo(np.int64).max))
    return np.argsort(starts, kind="stable")


def _digits(value: float) -> int:
    """The number of significant digits with which a number is written."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits) if np.isfinite(value) else 0
