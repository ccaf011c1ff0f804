"""Statistics of metric histories as SQL, for all runs at once, as defined in `query.statistics`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from qualia_lab.query.statistics import HUGE, SCALE
from qualia_lab.stores.sql.tables import metrics

if TYPE_CHECKING:
    from collections.abc import Collection

    Column = sa.ColumnElement[Any]

_MOST = sys.float_info.max * SCALE


def statistics_table(
    points: sa.ColumnElement[bool], name: str, step: int | None, has: frozenset[str], wanted: Collection[str] = ()
) -> sa.Subquery:
    """A row for each run with a point; `is_nan` is 1 or 0, and the value of a NaN is arbitrary.

    points: which rows of `metrics` are of the metric.
    name: `first` or `at` give the column `value`; "" gives those of `min`, `max` and `mean` that are wanted.
    has: columns of the database as `table.column`; old ones have neither `step` nor `is_nan`.
    """
    return _recorded(points, name, step, has) if name else _summed(points, has, wanted)


def _recorded(points: sa.ColumnElement[bool], name: str, step: int | None, has: frozenset[str]) -> sa.Subquery:
    """The first point of each run, or the last one of that step."""
    is_nan = _is_nan(has)
    columns = [_step(has), metrics.c.timestamp, is_nan, metrics.c.value]
    if name == "at":
        points = sa.and_(points, _step(has) == step)
    order = [column.asc() if name == "first" else column.desc() for column in columns]
    place = sa.func.row_number().over(partition_by=metrics.c.run_uuid, order_by=order).label("place")
    ranked = sa.select(metrics.c.run_uuid, metrics.c.value, is_nan.label("is_nan"), place).where(points).subquery()
    return sa.select(ranked.c.run_uuid, ranked.c.value, ranked.c.is_nan).where(ranked.c.place == 1).subquery()


def _summed(points: sa.ColumnElement[bool], has: frozenset[str], wanted: Collection[str]) -> sa.Subquery:
    value = sa.case((_is_nan(has) == 0, metrics.c.value))  # NULL for NaN, which no aggregate counts
    count = sa.func.count(value)
    taken: dict[str, Column] = {"min": sa.func.min(value), "max": sa.func.max(value)}
    if "mean" in wanted:
        taken["mean"] = _mean(value, count)
    columns = [_or_zero(column).label(name) for name, column in taken.items() if name in wanted]
    is_nan = sa.case((count == 0, 1), else_=0).label("is_nan")
    return sa.select(metrics.c.run_uuid, *columns, is_nan).where(points).group_by(metrics.c.run_uuid).subquery()


def _mean(value: Column, count: Column) -> Column:
    is_huge = sa.func.abs(value) >= HUGE
    divisor = sa.func.nullif(count, 0)
    total: Column = sa.func.sum(sa.case((is_huge, 0.0), else_=value)) / divisor
    huge = sa.func.sum(sa.case((is_huge, value * SCALE), else_=0.0)) / divisor
    within = sa.case((huge > _MOST, _MOST), (huge < -_MOST, -_MOST), else_=huge)
    return total + within / SCALE


def _is_nan(has: frozenset[str]) -> Column:
    """1 where a point is NaN, else 0."""
    return sa.case((metrics.c.is_nan == sa.true(), 1), else_=0) if "metrics.is_nan" in has else sa.literal(0)


def _step(has: frozenset[str]) -> Column:
    return metrics.c.step if "metrics.step" in has else sa.literal(0)


def _or_zero(value: Column) -> Column:
    return sa.func.coalesce(value, sa.literal(0.0))
