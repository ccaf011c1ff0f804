"""Which runs are one computation, logged more than once, and which may be."""

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

DIGITS = 6  # significant ones: two computations without a seed hardly agree in so many
_MOST_KINDS = 64  # sets of metrics among equal settings that are compared with each other
_CODE = ("mlflow.source.git.commit", "mlflow.source.name", "mlflow.project.entryPoint")
_NAN = np.array([np.nan]).view(np.int64)[0]

_BIG = np.uint64(0x9E3779B97F4A7C15)  # odd: multiples of it have other bits for other numbers


@dataclass(slots=True)
class _Result:
    """Of one run by metric the bits of its value, and which metrics say more than a few digits, as bits of a number."""

    values: dict[int, int] = field(default_factory=dict)
    telling: int = 0


@dataclass(frozen=True)
class Copies:
    """of: of every run that computed the same as an earlier one, that one.  possible: sets that may have."""

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
    """The runs that computed the same as an earlier one of their task.

    Equal have to be all params and tags but labels, the recorded code and data, and to the last digit every compared
    metric that both have. That is one computation where a seed is recorded, or where a metric has six significant
    digits or a history; else they may be copies. Where a seed is recorded, values may differ by rounding too.

    compared: the metrics of role objective and training.  chosen: of all runs, whether they take part.
    """
    settings = [one for one, factor in zip(columns, factors, strict=True) if factor.role != "label"]
    seeds = [one for one, factor in zip(columns, factors, strict=True) if factor.role == "seed"]
    alike = fingerprints(settings, len(chosen)) + _origins(tables) + tasks.astype(np.uint64) * _BIG
    rows = _compared_rows(tables, compared)
    results = _results(rows, _with_twin(rows, alike, chosen))
    buckets: dict[int, list[int]] = defaultdict(list)
    in_time = _in_time(tables).tolist()
    for run in in_time:
        if run in results:
            buckets[int(alike[run])].append(run)
    seeded, run_ids = _seeded(seeds, len(chosen)), tables.run_ids
    copies: dict[str, str] = {}
    possible: list[tuple[str, ...]] = []
    for same in (same for bucket in buckets.values() for same in _equal_sets(bucket, results)):
        first, *rest = same
        unsure = [first]
        for run in rest:
            if seeded[first] or results[first].telling & results[run].telling:
                copies[run_ids[run]] = run_ids[first]
            else:
                unsure.append(run)
        if len(unsure) > 1:
            possible.append(tuple(run_ids[run] for run in unsure))
    is_first = np.array([run_id not in copies for run_id in run_ids], np.bool_)
    for run, first in rounded_copies(rows, alike, in_time, chosen & seeded & is_first):
        copies[run_ids[run]] = run_ids[first]
    first_of = {run_id: copies.get(first, first) for run_id, first in copies.items()}
    return Copies(first_of, tuple(possible))


def _results(rows: pa.Table, wanted: npt.NDArray[np.bool_]) -> dict[int, _Result]:
    """What the wanted ones of all runs logged, by the place of the run."""
    runs, metrics, bits, steps = (numbers_of(rows.column(name)) for name in ("run", "metric", "bits", "step"))
    found: dict[int, _Result] = {}
    for row in np.flatnonzero(wanted[runs]).tolist():
        result = found.setdefault(int(runs[row]), _Result())
        metric = int(metrics[row])
        result.values[metric] = int(bits[row])
        if steps[row] > 0 or _digits(float(bits[row : row + 1].view(np.float64)[0])) >= DIGITS:
            result.telling |= 1 << metric
    return found


def _equal_sets(bucket: Sequence[int], results: Mapping[int, _Result]) -> list[list[int]]:
    """Runs in sets of equal values in all that they share with the first, of two runs or more."""
    firsts: dict[tuple[int, ...], list[int]] = defaultdict(list)  # by the metrics that they have
    found: dict[int, list[int]] = {}
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[tuple[int, ...], int]] = {}
    for run in bucket:
        own = results[run].values
        keys = tuple(sorted(own))
        first = None
        for others in tuple(islice(firsts, _MOST_KINDS)):
            shared = tuple(key for key in others if key in own)
            if not shared:
                continue
            index = known.get((others, shared))
            if index is None:
                index = known[others, shared] = {}
                for one in firsts[others]:
                    index.setdefault(tuple(results[one].values[key] for key in shared), one)
            first = index.get(tuple(own[key] for key in shared))
            if first is not None:
                break
        if first is not None:
            found[first].append(run)
            continue
        found[run] = [run]
        firsts[keys].append(run)
        for (others, shared), index in known.items():
            if others == keys:
                index.setdefault(tuple(own[key] for key in shared), run)
    return [same for same in found.values() if len(same) > 1]


def _compared_rows(tables: RunTables, compared: Sequence[str]) -> pa.Table:
    """The latest values of these metrics as numbers only: run and metric by place, bits and step."""
    metrics = rows_with(tables.metrics, "key", compared)
    owners = tables.owners_of(metrics)
    keys = filled(pc.index_in(whole(metrics.column("key")), value_set=column(list(compared), pa.string())), MISSING)
    values = numbers_of(filled(whole(metrics.column("value")), np.nan)) + 0.0  # -0 is 0
    bits = values.view(np.int64).copy()
    bits[np.isnan(values)] = _NAN
    steps = numbers_of(filled(whole(metrics.column("step")), 0))
    there = owners >= 0
    return pa.Table.from_arrays(
        [column_of(one[there].astype(np.int64), pa.int64()) for one in (owners, numbers_of(keys), bits, steps)],
        names=["run", "metric", "bits", "step"],
    )


def _with_twin(rows: pa.Table, alike: Marks, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of all runs, whether another run with the same settings has an equal value: nobody else can be a copy."""
    run, metric, bits = (numbers_of(rows.column(name)) for name in ("run", "metric", "bits"))
    takes_part = np.flatnonzero(chosen[run])
    run, metric, bits = run[takes_part], metric[takes_part], bits[takes_part]
    order = np.lexsort((bits, metric, alike[run]))
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for one in (alike[run], metric, bits):
        same &= one[order][1:] == one[order][:-1]
    found = np.zeros(len(chosen), np.bool_)
    found[run[order[1:][same]]] = True
    found[run[order[:-1][same]]] = True
    return found


def _origins(tables: RunTables) -> Marks:
    """Bits for every run that are equal for runs with the same recorded code and data."""
    place_of = {run_id: place for place, run_id in enumerate(tables.run_ids)}
    said: dict[int, list[str]] = defaultdict(list)
    tags = rows_with(tables.tags, "key", _CODE)
    for run_id, key, value in zip(*(texts_of(tags.column(name)) for name in ("run_id", "key", "value")), strict=True):
        said[place_of[run_id]].append(f"{key} {value}")
    names = ("run_id", "context", "name", "digest")
    for run_id, *data in zip(*(texts_of(tables.datasets.column(name)) for name in names), strict=True):
        said[place_of[run_id]].append(" ".join(str(one) for one in data))
    number_of: dict[tuple[str, ...], int] = {}
    found = np.zeros(len(place_of), np.uint64)
    for place, origin in said.items():
        found[place] = number_of.setdefault(tuple(sorted(origin)), len(number_of) + 1)
    return found * (_BIG << np.uint64(20) | np.uint64(1))


def _seeded(seeds: Sequence[SettingColumn], runs: int) -> npt.NDArray[np.bool_]:
    """Of all runs, whether they recorded a seed; `None` is none."""
    found = np.zeros(runs, np.bool_)
    for one in seeds:
        real = np.array([canonical(text) != NONE for text in one.texts], np.bool_)
        found[one.places[real[one.codes]]] = True
    return found


def _in_time(tables: RunTables) -> npt.NDArray[np.int64]:
    """The places of the runs, the first that started first."""
    starts = numbers_of(filled(whole(tables.runs.column("start_time")), np.iinfo(np.int64).max))
    return np.argsort(starts, kind="stable")


def _digits(value: float) -> int:
    """How many significant digits a number is written with."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits) if np.isfinite(value) else 0
