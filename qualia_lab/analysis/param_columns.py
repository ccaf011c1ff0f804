"""Factors as numeric columns: those that differ between runs, with a missing value treated as a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.columns import texts_of
from qualia_lab.inventory import is_number
from qualia_lab.study.setting_columns import MISSING, param_columns, tag_columns
from qualia_lab.study.ties import tied_to
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study import Study
    from qualia_lab.study.setting_columns import Codes, SettingColumn
    from qualia_lab.tables import RunTables

# The ratio of the largest to the smallest value below which a linear scale is as good as a logarithmic one.
LOG_FROM = 10.0
_DISTRIBUTION = "_distribution"  # suffix of the tag in which Optuna's MLflow callback records a param's distribution


@dataclass(frozen=True)
class ParamColumn:
    """One factor over some runs.

    Attributes:
        param: the name of the factor.
        values: its numbers, or for texts their index in `choices`; NaN where a run lacks it; shape (runs,).
        choices: the texts, sorted; () for numbers.
        tied_to: another factor that separates exactly the same runs, so that their effects cannot be distinguished.
        drawn_on_log_scale: whether a tag says that it was drawn on a logarithmic scale; None without such a tag.
    """

    param: str
    values: Numbers
    choices: tuple[str, ...] = ()
    tied_to: str | None = None
    drawn_on_log_scale: bool | None = None

    @cached_property
    def present(self) -> Numbers:
        """The values that are not missing."""
        return self.values[~np.isnan(self.values)]

    @cached_property
    def log(self) -> bool:
        """Whether it is positive and more even on a logarithmic scale, or was drawn on one.

        Unevenness is the largest distance between the empirical distribution of the distinct values and the uniform one
        (Kolmogorov's statistic): a uniform draw over two decades is not logarithmic, though it spans them.
        """
        if self.choices or not self.present.min() > 0 or self.present.max() / self.present.min() < LOG_FROM:
            return False
        if self.drawn_on_log_scale is not None:
            return self.drawn_on_log_scale
        different = np.unique(self.present)
        return _unevenness(np.log(different)) < _unevenness(different)

    @cached_property
    def is_integer(self) -> bool:
        """Whether it is an integer in all runs."""
        return not self.choices and bool((self.present % 1 == 0).all() and np.abs(self.present).max() < 2**53)

    @cached_property
    def filled(self) -> Numbers:
        """The values on their scale (log10 where `log`), with missing ones below all others; shape (runs,)."""
        scaled = np.log10(self.values) if self.log else self.values
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        return np.where(np.isnan(scaled), low - max(high - low, 1.0), scaled)


@dataclass(frozen=True, eq=False)
class FactorColumns:
    """The factors of a study over all of its runs, from which the columns of some runs are taken.

    Attributes:
        factors: each factor with its code in every run.
        place_of: the row of each run.
        drawn: the first value of each of Optuna's distribution tags, by key.
        left_out: why params are no column of any runs, by name.
        declared: the keys that the settings declare as factors.
    """

    factors: tuple[tuple[SettingColumn, Codes], ...]
    place_of: Mapping[str, int]
    drawn: Mapping[str, str]
    left_out: Mapping[str, str]
    declared: tuple[str, ...]

    def varying(self, run_ids: Sequence[str]) -> tuple[list[ParamColumn], dict[str, str]]:
        """The factors that differ between these runs, see `varying_columns`; rules ask for the same runs again."""
        key = tuple(run_ids)
        if key not in self._known:
            self._known[key] = self._varying(key)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[str, ...], tuple[list[ParamColumn], dict[str, str]]]:
        return {}

    def _varying(self, run_ids: Sequence[str]) -> tuple[list[ParamColumn], dict[str, str]]:
        places = np.array([self.place_of[run_id] for run_id in run_ids], np.intp)
        found = [_restrict(column, codes[places]) for column, codes in self.factors]
        varying = [column for column in found if len(column.first_rows) > 1 or 0 < len(column.places) < len(run_ids)]
        ties = tied_to(varying, np.ones(len(run_ids), np.bool_), np.zeros(len(run_ids), np.int64), self.declared)
        columns, left_out = [], dict(self.left_out)
        for column in varying:
            if not column.numeric and len(column.codes) == len(column.first_rows) > 2:
                left_out[column.name] = "a different text in every run: left out"
            else:
                drawn = self.drawn.get(column.key + _DISTRIBUTION)
                columns.append(_column(column, len(run_ids), ties.get(column.name), drawn))
        return columns, left_out


def varying_columns(
    tables: RunTables, study: Study, run_ids: Sequence[str]
) -> tuple[list[ParamColumn], dict[str, str]]:
    """The factors that differ between these runs.

    The study decides which params and tags are factors, and that spelling makes no difference; what only repeats a
    configuration or only names a run is no column. A text that is different in every run predicts nothing about other
    runs, so it is left out too.

    Args:
        tables: the tables of the runs.
        study: the study of the same runs.
        run_ids: the runs, in the order of the columns' values.

    Returns:
        The columns by name, and why other params are left out.
    """
    return factor_columns(tables, study).varying(run_ids)


def factor_columns(tables: RunTables, study: Study) -> FactorColumns:
    """The factors of a study over the runs that it describes."""
    names = {factor.name for factor in study.factors}
    columns = (column for column in (*param_columns(tables), *tag_columns(tables)) if column.name in names)
    factors = sorted(columns, key=lambda column: column.name)
    drawn = [factor.key + _DISTRIBUTION for factor in study.factors if factor.kind == "param" and factor.numeric]
    distributions = rows_with(tables.tags, "key", drawn)
    runs = len(tables.run_ids)
    return FactorColumns(
        factors=tuple((factor, factor.dense(runs)) for factor in factors),
        place_of=tables.positions,
        drawn=dict(zip(texts_of(distributions["key"]), texts_of(distributions["value"]), strict=True)),
        left_out={
            factor.name: "only repeats a configuration: left out"
            if factor.role == "seed"
            else "only names runs: left out"
            for factor in study.params
            if factor.role in ("seed", "label") and factor.values > 1
        },
        declared=study.settings.factors,
    )


def _restrict(column: SettingColumn, codes: Codes) -> SettingColumn:
    """A column restricted to some runs, given its codes in these."""
    places = np.flatnonzero(codes != MISSING).astype(np.int32)
    used, new_codes = np.unique(codes[places], return_inverse=True)
    restricted = replace(
        column, places=places, codes=new_codes.ravel().astype(np.int32), first_rows=column.first_rows[used]
    )
    return (
        restricted
        if column.numeric
        else replace(restricted, numeric=bool(len(places)) and all(map(is_number, restricted.texts)))
    )


def _column(column: SettingColumn, runs: int, tied_to: str | None, drawn: str | None) -> ParamColumn:
    """The values of a column in the order of the runs; `drawn` is Optuna's text on how it was drawn."""
    choices: tuple[str, ...] = ()
    if column.numeric:
        value_of_code = column.numbers
    else:
        choices = tuple(sorted(column.texts))
        place_of = {text: float(place) for place, text in enumerate(choices)}
        value_of_code = np.array([place_of[text] for text in column.texts])
    values = np.full(runs, np.nan)
    values[column.places] = value_of_code[column.codes]
    is_log = None if drawn is None or "log=" not in drawn else "log=True" in drawn
    return ParamColumn(column.name, values, choices, tied_to, is_log)


def _unevenness(values: Numbers) -> float:
    """The largest distance of sorted distinct values from an even spread between the first and the last."""
    even = np.linspace(0.0, 1.0, len(values))
    return float(np.abs((values - values[0]) / (values[-1] - values[0]) - even).max())
