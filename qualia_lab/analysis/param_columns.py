"""Factors as columns of numbers: those that set some runs apart, with a missing value as a value."""

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

# A positive number whose values lie nearer each other than this is as good on a linear scale.
LOG_FROM = 10.0
_DISTRIBUTION = "_distribution"  # ends the tag in which Optuna's MLflow callback says how a param was drawn


@dataclass(frozen=True)
class ParamColumn:
    """One factor over some runs.

    values: its numbers, or where it has texts their place in `choices`; NaN where a run lacks it.
    choices: the texts, sorted; () for numbers.
    tied_to: a factor that sets the same runs apart, so that nothing can tell it from that one.
    drawn_by_factors: whether a tag says that it was drawn on a logarithmic scale; None where none says how.
    """

    param: str
    values: Numbers
    choices: tuple[str, ...] = ()
    tied_to: str | None = None
    drawn_by_factors: bool | None = None

    @cached_property
    def there(self) -> Numbers:
        """The values of the runs that have it."""
        return self.values[~np.isnan(self.values)]

    @cached_property
    def log(self) -> bool:
        """Whether it is a positive number that is spread more evenly over its logarithms, or was drawn so.

        Evenness is the largest distance between the distribution of the different values and the uniform one
        (Kolmogorov's statistic): a uniform draw over two decades is not logarithmic, though it spans them.
        """
        if self.choices or not self.there.min() > 0 or self.there.max() / self.there.min() < LOG_FROM:
            return False
        if self.drawn_by_factors is not None:
            return self.drawn_by_factors
        different = np.unique(self.there)
        return _unevenness(np.log(different)) < _unevenness(different)

    @cached_property
    def whole(self) -> bool:
        """Whether it is a whole number in all runs."""
        return not self.choices and bool((self.there % 1 == 0).all() and np.abs(self.there).max() < 2**53)

    @cached_property
    def filled(self) -> Numbers:
        """The values on their scale (logarithms where they are spread by factors), a missing one below all others."""
        scaled = np.log10(self.values) if self.log else self.values
        low, high = float(np.nanmin(scaled)), float(np.nanmax(scaled))
        return np.where(np.isnan(scaled), low - max(high - low, 1.0), scaled)


@dataclass(frozen=True, eq=False)
class FactorColumns:
    """The factors of a study over all of its runs, from which those of some runs are taken.

    factors: each with its code in every run.  place_of: of each run.  drawn: of Optuna's tags by key the first value.
    left_out: params that are no column of any runs, and why.
    """

    factors: tuple[tuple[SettingColumn, Codes], ...]
    place_of: Mapping[str, int]
    drawn: Mapping[str, str]
    left_out: Mapping[str, str]
    said: tuple[str, ...]

    def varying(self, run_ids: Sequence[str]) -> tuple[list[ParamColumn], dict[str, str]]:
        """As `varying_columns`."""
        places = np.array([self.place_of[run_id] for run_id in run_ids], np.intp)
        found = [_among(one, codes[places]) for one, codes in self.factors]
        varying = [one for one in found if len(one.first_rows) > 1 or 0 < len(one.places) < len(run_ids)]
        ties = tied_to(varying, np.ones(len(run_ids), np.bool_), np.zeros(len(run_ids), np.int64), self.said)
        columns, left_out = [], dict(self.left_out)
        for one in varying:
            if not one.numeric and len(one.codes) == len(one.first_rows) > 2:
                left_out[one.name] = "another text in every run: left out"
            else:
                drawn = self.drawn.get(one.key + _DISTRIBUTION)
                columns.append(_column(one, len(run_ids), ties.get(one.name), drawn))
        return columns, left_out


def varying_columns(
    tables: RunTables, study: Study, run_ids: Sequence[str]
) -> tuple[list[ParamColumn], dict[str, str]]:
    """The factors that are not alike in all of these runs, by name, and why other params are left out.

    Which params and tags are factors, and that spelling sets nothing apart, is the study's to say; what only repeats
    a configuration or only names a run is no column. A text that is another one in every run tells nothing of any
    other run: it is left out too.
    """
    return factor_columns(tables, study).varying(run_ids)


def factor_columns(tables: RunTables, study: Study) -> FactorColumns:
    """The factors of a study over the runs that it describes."""
    of_kind = {kind: [one.key for one in study.factors if one.kind == kind] for kind in ("param", "tag")}
    drawn = [one.key + _DISTRIBUTION for one in study.factors if one.kind == "param" and one.numeric]
    some = replace(
        tables,
        params=rows_with(tables.params, "key", of_kind["param"]),
        tags=rows_with(tables.tags, "key", [*of_kind["tag"], *drawn]),
    )
    names = {(one.kind, one.key): one.name for one in study.factors}
    found = sorted(
        (
            replace(one, name=names[one.kind, one.key])
            for one in (*param_columns(some), *tag_columns(some, ()))
            if (one.kind, one.key) in names
        ),
        key=lambda one: one.name,
    )
    of_optuna = rows_with(some.tags, "key", drawn)
    runs = len(tables.run_ids)
    return FactorColumns(
        factors=tuple((one, one.dense(runs)) for one in found),
        place_of={run_id: place for place, run_id in enumerate(tables.run_ids)},
        drawn=dict(zip(texts_of(of_optuna["key"]), texts_of(of_optuna["value"]), strict=True)),
        left_out={
            one.name: "only repeats a configuration: left out" if one.role == "seed" else "only names runs: left out"
            for one in study.params
            if one.role in ("seed", "label") and one.values > 1
        },
        said=study.settings.factors,
    )


def _among(one: SettingColumn, codes: Codes) -> SettingColumn:
    """A column of some runs only, of its codes in these."""
    places = np.flatnonzero(codes != MISSING).astype(np.int32)
    used, own = np.unique(codes[places], return_inverse=True)
    found = replace(one, places=places, codes=own.ravel().astype(np.int32), first_rows=one.first_rows[used])
    return found if one.numeric else replace(found, numeric=bool(len(places)) and all(map(is_number, found.texts)))


def _column(one: SettingColumn, runs: int, tied: str | None, drawn: str | None) -> ParamColumn:
    """Its values in the order of the runs.  drawn: Optuna's words for how it was drawn."""
    choices: tuple[str, ...] = ()
    if one.numeric:
        of_codes = one.numbers
    else:
        choices = tuple(sorted(one.texts))
        place_of = {text: float(place) for place, text in enumerate(choices)}
        of_codes = np.array([place_of[text] for text in one.texts])
    values = np.full(runs, np.nan)
    values[one.places] = of_codes[one.codes]
    by_factors = None if drawn is None or "log=" not in drawn else "log=True" in drawn
    return ParamColumn(one.name, values, choices, tied, by_factors)


def _unevenness(values: Numbers) -> float:
    """The largest distance of sorted different values from being spread evenly between the first and the last."""
    even = np.linspace(0.0, 1.0, len(values))
    return float(np.abs((values - values[0]) / (values[-1] - values[0]) - even).max())
