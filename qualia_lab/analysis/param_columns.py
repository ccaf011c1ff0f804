"""Params as columns of numbers: those that vary, seeds and texts of one run apart, a missing value as a value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab import schema
from qualia_lab.analysis.groups import is_seed_like
from qualia_lab.columns import column, numbers_of, whole
from qualia_lab.inventory import is_number
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from qualia_lab.analysis.histories import Numbers

# A positive param whose largest value is this many times its smallest was varied by factors.
LOG_FROM = 100.0


@dataclass(frozen=True)
class ParamColumn:
    """One param over some runs.

    values: its numbers, or where it has texts their place in `choices`; NaN where a run lacks it.
    choices: the texts, sorted; () for numbers.
    together_with: params before it that set the same runs apart, so that nothing can tell it from them.
    """

    param: str
    values: Numbers
    choices: tuple[str, ...] = ()
    together_with: tuple[str, ...] = ()

    @cached_property
    def there(self) -> Numbers:
        """The values of the runs that have it."""
        return self.values[~np.isnan(self.values)]

    @cached_property
    def log(self) -> bool:
        """Whether it is a number that spans two decades."""
        return not self.choices and bool(self.there.min() > 0 and self.there.max() / self.there.min() >= LOG_FROM)

    @cached_property
    def whole(self) -> bool:
        """Whether it is a whole number in all runs."""
        return not self.choices and bool((self.there % 1 == 0).all() and np.abs(self.there).max() < 2**53)

    @cached_property
    def filled(self) -> Numbers:
        """The values on their scale (logarithms where they span decades), a missing one below all that are there."""
        scaled = np.log10(self.values) if self.log else self.values
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        return np.where(np.isnan(scaled), low - max(high - low, 1.0), scaled)

    @cached_property
    def parts(self) -> npt.NDArray[np.int32]:
        """For each run the place of its value among those met so far: alike for params that set the same runs apart."""
        _, first, place = np.unique(self.filled, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first)).astype(np.int32)[place.ravel()]


def varying_columns(
    params: pa.Table, run_ids: Sequence[str], seeds: Collection[str] | None = None
) -> tuple[list[ParamColumn], dict[str, str]]:
    """The params (schema.PARAMS) that are not alike in all of these runs, by name, and why others are left out.

    seeds: the params that only repeat a configuration; by default those that `is_seed_like` knows. Params that are the
    same everywhere are in neither. A text that is another one in every run tells nothing of any other run: left out.
    """
    wanted = column(list(run_ids), schema.STRING)
    columns: list[ParamColumn] = []
    left_out: dict[str, str] = {}
    first_with: dict[bytes, list[str]] = {}
    for key, rows in by_key(params):
        places = pc.index_in(rows.column("run_id"), value_set=wanted)
        there = pc.and_(pc.is_valid(places), pc.is_valid(rows.column("value")))
        values = whole(rows.column("value").filter(there))
        if not len(values):
            continue
        found = _column(key, values, numbers_of(places.filter(there)), len(run_ids))
        if not found.parts.any():
            continue
        if is_seed_like(key) if seeds is None else key in seeds:
            left_out[key] = "seed-like: left out"
        elif len(found.choices) > 2 and len(found.choices) == len(values):
            left_out[key] = "another text in every run: left out"
        else:
            alike = first_with.setdefault(found.parts.tobytes(), [])
            columns.append(ParamColumn(key, found.values, found.choices, tuple(alike)))
            alike.append(key)
    return columns, left_out


def _column(param: str, values: pa.Array, places: npt.NDArray[np.int32], runs: int) -> ParamColumn:
    """The texts of the runs at these places, of so many; equal ones are looked at once."""
    encoded = values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    choices: tuple[str, ...] = () if all(map(is_number, texts)) else tuple(sorted(texts))
    place_of = {text: float(place) for place, text in enumerate(choices)}
    numbers = np.array([place_of[text] if choices else float(text) for text in texts])
    of_runs = np.full(runs, np.nan)
    of_runs[places] = numbers[numbers_of(encoded.indices)]
    return ParamColumn(param, of_runs, choices)
