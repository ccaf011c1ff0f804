"""Params as columns of numbers: those that vary, seeds and texts of one run apart, a missing value as a value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.groups import is_seed_like
from qualia_lab.inventory import is_number
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
    def parts(self) -> tuple[int, ...]:
        """For each run the place of its value among those met so far: alike for params that set the same runs apart."""
        seen: dict[float, int] = {}
        return tuple(seen.setdefault(value, len(seen)) for value in self.filled.tolist())


def varying_columns(
    params: pa.Table, run_ids: Sequence[str], seeds: Collection[str] | None = None
) -> tuple[list[ParamColumn], dict[str, str]]:
    """The params (schema.PARAMS) that are not alike in all of these runs, by name, and why others are left out.

    seeds: the params that only repeat a configuration; by default those that `is_seed_like` knows. Params that are the
    same everywhere are in neither. A text that is another one in every run tells nothing of any other run: left out.
    """
    wanted = set(run_ids)
    columns: list[ParamColumn] = []
    left_out: dict[str, str] = {}
    first_with: dict[tuple[int, ...], list[str]] = {}
    for key, rows in by_key(params):
        of_runs = zip(rows.column("run_id").to_pylist(), rows.column("value").to_pylist(), strict=True)
        values = {run_id: value for run_id, value in of_runs if value is not None and run_id in wanted}
        if not values:
            continue
        column = _column(key, values, run_ids)
        if len(set(column.parts)) < 2:
            continue
        if is_seed_like(key) if seeds is None else key in seeds:
            left_out[key] = "seed-like: left out"
        elif len(column.choices) > 2 and len(column.choices) == len(values):
            left_out[key] = "another text in every run: left out"
        else:
            alike = first_with.setdefault(column.parts, [])
            columns.append(ParamColumn(key, column.values, column.choices, tuple(alike)))
            alike.append(key)
    return columns, left_out


def _column(param: str, by_run: dict[str, str], run_ids: Sequence[str]) -> ParamColumn:
    texts = [by_run.get(run_id) for run_id in run_ids]
    if all(map(is_number, by_run.values())):
        return ParamColumn(param, np.array([np.nan if text is None else float(text) for text in texts]))
    choices = tuple(sorted(set(by_run.values())))
    places = {text: float(place) for place, text in enumerate(choices)}
    return ParamColumn(param, np.array([np.nan if text is None else places[text] for text in texts]), choices)
