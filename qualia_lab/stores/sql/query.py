"""Queries as SQL: conditions and sort keys for a SELECT from `runs`, with the same meaning on every database.

MLflow leaves it to the database whether `LIKE` is case-sensitive, what escapes in it, and how text sorts. Here each is
spelled out, so that all databases agree with MLflow on SQLite.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from qualia_lab.errors import FilterError
from qualia_lab.query import (
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Order,
    needed_statistics,
    parse_filter,
    parse_order_by,
)
from qualia_lab.query.conditions import TEXT_ATTRIBUTES, is_numeric
from qualia_lab.query.evaluate import ASCII_LOWER, LARGEST, NUMBER_PATTERN
from qualia_lab.stores.sql.statistics import statistics_table
from qualia_lab.stores.sql.tables import (
    RUN_COLUMNS,
    datasets,
    experiments,
    input_tags,
    inputs,
    latest_metrics,
    metrics,
    params,
    runs,
    tags,
    with_tags,
)
from qualia_lab.times import LATEST_TIME, OPEN, SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.selection import Query

    Column = sa.ColumnElement[Any]
    Truth = sa.ColumnElement[bool]
    SortKey = tuple[Column, bool]  # and whether it is descending

_LARGEST_ID = 2**63 - 1
# A longer list is passed as one parameter: databases limit the parameters of a statement (SQLite: 32,766).
_MANY = 1000
# Up to this many tables are joined, which is faster than a subquery per run; databases limit joins (MySQL: 61).
_JOINS = 20


def select_matching(query: Query, *, dialect_name: str, has: frozenset[str], only_ids: bool = False) -> sa.Select[Any]:
    """The runs that match the query, in its order, with the columns of schema.RUNS.

    dialect_name: SQLAlchemy's name of the database.
    has: the tables that exist, and the columns as `table.column`.

    Active runs without experiments or run ids are those of active experiments. Raises FilterError.
    """
    # The filter is parsed each time: ages are relative to now.
    condition, orders = parse_filter(query.filter), _parsed_orders(tuple(query.order_by))
    chosen = replace(query, filter="", order_by=())
    asked = _Asked(chosen, condition, orders, dialect_name, has, only_ids)
    return _built(asked) if query.run_ids else _built_once(asked)


class _Asked(NamedTuple):
    """What a statement is built from; hashable, so that statements can be cached."""

    chosen: Query
    condition: Condition | None
    orders: tuple[Order, ...]
    dialect_name: str
    has: frozenset[str]
    only_ids: bool


def _built(asked: _Asked) -> sa.Select[Any]:
    compiler = _Compiler(asked.dialect_name, asked.has, few=bool(asked.chosen.run_ids))
    where = _chosen(asked.chosen, compiler)
    compiler.chosen = sa.select(runs.c.run_uuid).where(*where)
    compiler.wanted = needed_statistics(asked.condition, asked.orders)
    if asked.condition is not None:
        where.append(compiler.condition(asked.condition))
    keys = compiler.sort_keys(asked.orders)
    rows: sa.FromClause = runs
    for table, of_key in compiler.joined.values():
        rows = rows.outerjoin(table, sa.and_(table.c.run_uuid == runs.c.run_uuid, of_key))
    if asked.only_ids:
        return _ordered(sa.select(runs.c.run_uuid).select_from(rows).where(*where), keys).limit(asked.chosen.limit)
    if asked.chosen.limit is None:
        return _ordered(sa.select(*RUN_COLUMNS).select_from(with_tags(rows)).where(*where), keys)
    # First the ids of the chosen runs, then the other columns of those alone.
    named = [key.label(f"key_{place}") for place, (key, _) in enumerate(keys)]
    first = sa.select(runs.c.run_uuid, *named).select_from(rows).where(*where)
    chosen = _ordered(first, keys).limit(asked.chosen.limit).subquery("chosen")
    rows = with_tags(chosen.join(runs, runs.c.run_uuid == chosen.c.run_uuid))
    by = [(chosen.c[one.name], descending) for one, (_, descending) in zip(named, keys, strict=True)]
    return _ordered(sa.select(*RUN_COLUMNS).select_from(rows), by)


def _ordered(select: sa.Select[Any], keys: Sequence[SortKey]) -> sa.Select[Any]:
    return select.order_by(*(key.desc() if descending else key.asc() for key, descending in keys))


# Building a statement takes as long as running a small one, and so does SQLAlchemy's cache lookup.
_built_once = lru_cache(maxsize=64)(_built)
_parsed_orders = lru_cache(maxsize=64)(parse_order_by)


def _chosen(query: Query, compiler: _Compiler) -> list[Truth]:
    """The query's experiments, run ids and view."""
    where: list[Truth] = []
    if query.run_ids:
        where.append(compiler.among(runs.c.run_uuid, query.run_ids))
    if query.experiment_ids:
        numbers = [int(text) for text in query.experiment_ids if text.isascii() and text.isdecimal()]
        where.append(runs.c.experiment_id.in_([number for number in numbers if number <= _LARGEST_ID]))
    if query.view != "all":
        where.append(runs.c.lifecycle_stage == query.view)
    if query.view == "active" and not query.run_ids and not query.experiment_ids:
        there = sa.select(experiments.c.experiment_id)
        active = there.where(experiments.c.lifecycle_stage == "active")
        # A run whose experiment is not there is named when it is read, with the reason.
        of_none = runs.c.experiment_id.is_(None) | runs.c.experiment_id.not_in(there)
        where.append(runs.c.experiment_id.in_(active) | of_none)
    return where


class _Compiler:
    """Compiles conditions to SQL expressions for one database and its schema."""

    def __init__(self, dialect_name: str, has: frozenset[str], *, few: bool) -> None:
        """few: whether the runs are given by id."""
        self.dialect = "mysql" if dialect_name == "mariadb" else dialect_name
        self.has = has
        self.few = few
        self.chosen: sa.Select[Any] = sa.select(runs.c.run_uuid)
        self.wanted: tuple[Field, ...] = ()
        # Tables that the SELECT has to be joined with.
        self.joined: dict[tuple[str, str, int | None], tuple[sa.FromClause, Truth]] = {}

    # Conditions. Each is true or false, never NULL, so that NOT is the complement.

    def condition(self, condition: Condition) -> Truth:
        if isinstance(condition, Comparison):
            return self.comparison(condition)
        if isinstance(condition, Not):
            return sa.not_(self.condition(condition.part))
        parts = [self.condition(part) for part in condition.parts]
        return sa.and_(*parts) if isinstance(condition, And) else sa.or_(*parts)

    def comparison(self, comparison: Comparison) -> Truth:
        field = comparison.field
        if comparison.operator == "IS NULL":
            return sa.not_(self.comparison(Comparison(field, "IS NOT NULL")))
        if field.kind == "dataset":
            return self.dataset(comparison)
        if field.kind == "metric":
            return self.metric(comparison)
        if field.kind in ("param", "tag"):
            table = params if field.kind == "param" else tags
            return self.of_run(table, field.key, self.compared(table.c.value, comparison))
        value = self.attribute(field.key)
        return sa.and_(value.is_not(None), self.compared(value, comparison))

    def metric(self, comparison: Comparison) -> Truth:
        """NaN is stored as 0 with a flag: it satisfies only != and NOT IN."""
        value, is_nan = self.metric_value(comparison.field)
        holds = self.compared(value, comparison)
        if comparison.operator in ("!=", "NOT IN"):
            holds = sa.or_(holds, is_nan)
        elif comparison.operator != "IS NOT NULL":
            holds = sa.and_(holds, sa.not_(is_nan))
        return sa.and_(value.is_not(None), holds)

    def dataset(self, comparison: Comparison) -> Truth:
        """True when at least one dataset of the run satisfies it."""
        if "inputs" not in self.has:
            return sa.false()
        used = sa.and_(
            inputs.c.destination_type == "RUN",
            inputs.c.destination_id == runs.c.run_uuid,
            inputs.c.source_type == "DATASET",
        )
        rows: sa.Select[Any] = sa.select(sa.literal_column("1")).where(used).correlate(runs)
        if comparison.field.key == "context":
            value = input_tags.c.value
            tagged = self.equal(input_tags.c.name, "mlflow.data.context")
            rows = rows.where(input_tags.c.input_uuid == inputs.c.input_uuid, tagged)
        else:
            value = datasets.c[comparison.field.key]
            rows = rows.where(datasets.c.dataset_uuid == inputs.c.source_id)
        return rows.where(value.is_not(None), self.compared(value, comparison)).exists()

    # Sort keys. Databases disagree on where NULL sorts and on the order of text, so both are spelled out.

    def sort_keys(self, orders: Sequence[Order]) -> list[SortKey]:
        newest = Order(Field("attribute", "start_time"), descending=True)
        keys = [key for order in [*orders, newest] for key in self.sort_key(order)]
        return [*keys, (self.sorted_text(runs.c.run_uuid), False)]

    def sort_key(self, order: Order) -> tuple[SortKey, SortKey]:
        field = order.field
        if field.kind == "metric":
            value, is_nan = self.metric_value(field)
            rank = sa.case((value.is_(None), 2), (is_nan, 1), else_=0)
        else:
            if field.kind == "attribute":
                value = self.attribute(field.key)
            else:
                value = self.value_of_key(params if field.kind == "param" else tags, field.key)
            rank = sa.case((value.is_(None), 1), else_=0)
            if field.kind != "attribute" or field.key in TEXT_ATTRIBUTES:
                value = self.sorted_text(value)
        return (rank, False), (value, order.descending)

    # The column or subquery of a field's value.

    def of_run(self, table: sa.TableClause, key: str, holds: Truth) -> Truth:
        """Whether the outer query's run has this key and its row satisfies the condition."""
        if self.dialect == "sqlite" and not self.few:  # it would run the subquery again for each run
            return runs.c.run_uuid.in_(sa.select(table.c.run_uuid).where(table.c.key == key, holds))
        return self.row_of_run(table, key).where(holds).exists()

    def row_of_run(self, table: sa.TableClause, key: str, *columns: Column) -> sa.Select[Any]:
        """Select the row with this key of the outer query's run."""
        return (
            sa.select(*(columns or (sa.literal_column("1"),)))
            .select_from(table)
            .where(table.c.run_uuid == runs.c.run_uuid, self.equal(table.c.key, key))
            .correlate(runs)
        )

    def value_of_key(self, table: sa.TableClause, key: str) -> Column:
        return self.row_of_run(table, key, table.c.value).scalar_subquery()

    def metric_value(self, field: Field) -> tuple[Column, Truth]:
        """The value, NULL where there is none, and whether it is NaN: the latest one, or a statistic of the history."""
        if not field.statistic:
            return self.latest_metric(field.key)
        name = field.statistic if field.statistic in ("first", "at") else ""  # the others come from one subquery
        place = field.key, name or "all", field.step
        if place not in self.joined:
            points = sa.and_(self.equal(metrics.c.key, field.key), metrics.c.run_uuid.in_(self.chosen))
            wanted = [one.statistic for one in self.wanted if one.key == field.key]
            self.joined[place] = statistics_table(points, name, field.step, self.has, wanted), sa.true()
        table, _ = self.joined[place]
        return table.c[field.statistic if not name else "value"], table.c.is_nan == 1

    def latest_metric(self, key: str) -> tuple[Column, Truth]:
        """The value, NULL without one, and whether it is NaN; from all points in schemas without latest_metrics."""
        if "latest_metrics" in self.has:
            place = key, "", None
            if place not in self.joined and len(self.joined) < _JOINS:
                latest = latest_metrics.alias()
                self.joined[place] = latest, self.equal(latest.c.key, key)
            if place in self.joined:
                table, _ = self.joined[place]
                return table.c.value, table.c.is_nan == sa.true()
            is_nan = self.row_of_run(latest_metrics, key, latest_metrics.c.is_nan).scalar_subquery()
            return self.value_of_key(latest_metrics, key), is_nan == sa.true()
        newest = [metrics.c[name].desc() for name in ("step", "timestamp", "value") if f"metrics.{name}" in self.has]
        value = self.row_of_run(metrics, key, metrics.c.value).order_by(*newest).limit(1).scalar_subquery()
        if "metrics.is_nan" not in self.has:
            return value, sa.false()
        is_nan = self.row_of_run(metrics, key, metrics.c.is_nan).order_by(*newest).limit(1).scalar_subquery()
        return value, is_nan == sa.true()

    def attribute(self, key: str) -> Column:
        if key == "run_id":
            return runs.c.run_uuid
        if key == "run_name":  # before MLflow 1.30 only the tag has it
            return sa.func.coalesce(sa.func.nullif(runs.c.name, ""), self.value_of_key(tags, "mlflow.runName"))
        if key == "parent_run_id":
            return self.value_of_key(tags, "mlflow.parentRunId")
        if key == "experiment_id":
            return sa.cast(runs.c.experiment_id, sa.String(20))
        if key == "experiment_name":
            named = sa.select(experiments.c.name).where(experiments.c.experiment_id == runs.c.experiment_id)
            return named.correlate(runs).scalar_subquery()
        if key == "duration":  # e0: a floating-point number to every database
            took = (runs.c.end_time - runs.c.start_time) / sa.literal_column("1000e0")
            return sa.case((self.has_possible_times(), took))
        return runs.c[key]

    def has_possible_times(self) -> Truth:
        """Whether start and end are possible times, as `qualia_lab.times` defines them."""
        start, end = runs.c.start_time, runs.c.end_time
        ended = sa.or_(runs.c.status.is_(None), runs.c.status.not_in(OPEN))
        in_seconds = (time.between(*SECONDS) for time in (start, end))
        return sa.and_(start > 0, end >= start, end < LATEST_TIME, ended, *(sa.not_(one) for one in in_seconds))

    # Comparisons of a value that is not null.

    def compared(self, column: Column, comparison: Comparison) -> Truth:
        operator, value = comparison.operator, comparison.value
        if operator == "IS NOT NULL" or value is None:
            return sa.true()
        if is_numeric(value):
            if comparison.field.kind in ("param", "tag"):
                column = self.number(column)
                value = (
                    tuple(map(self.literal_number, value)) if isinstance(value, tuple) else self.literal_number(value)
                )
            if isinstance(value, tuple):
                return column.in_(value) if operator == "IN" else column.not_in(value)
            return column.op(operator, is_comparison=True)(value)
        if isinstance(value, tuple):
            among = self.among(column, [str(text) for text in value])
            return among if operator == "IN" else sa.not_(among)
        if operator in ("=", "!="):
            equal = self.equal(column, str(value))
            return equal if operator == "=" else sa.not_(equal)
        like = self.like(column, str(value), fold=operator.endswith("ILIKE"))
        return sa.not_(like) if operator.startswith("NOT") else like

    def equal(self, column: Column, value: str) -> Truth:
        """Equal character by character; MySQL's collations ignore case, accents and trailing spaces by default."""
        if self.dialect != "mysql":
            return column == value
        return sa.and_(column == value, _as_bytes(column) == value)

    def among(self, column: Column, values: Sequence[str]) -> Truth:
        """Equal to one of these texts."""
        if self.dialect == "mysql":
            return sa.and_(column.in_(values), _as_bytes(column).in_(values))
        if len(values) > _MANY and self.dialect == "sqlite":
            rows = sa.func.json_each(json.dumps(values)).table_valued("value")
            return column.in_(sa.select(rows.c.value))
        if len(values) > _MANY and self.dialect == "postgresql":
            return column == sa.any_(sa.literal(list(values), sa.ARRAY(sa.String)))
        return column.in_(values)

    def like(self, column: Column, pattern: str, *, fold: bool) -> Truth:
        """Case-sensitive LIKE without an escape character; fold: ILIKE, which ignores the case of ASCII letters."""
        if fold:
            pattern = pattern.translate(ASCII_LOWER)
        if self.dialect == "sqlite":  # its LIKE is case-sensitive only with a PRAGMA
            glob = "".join(_GLOB.get(char, char) for char in pattern)
            return (sa.func.lower(column) if fold else column).op("GLOB", is_comparison=True)(glob)
        if self.dialect == "mysql":
            if fold:  # LOWER folds more than ASCII there
                return _as_unicode(column).op("REGEXP", is_comparison=True)(_regular_expression(pattern))
            return _as_unicode(column).like(pattern.replace("\\", "\\\\"))
        if self.dialect == "postgresql":
            folded = sa.func.lower(sa.collate(column, "C")) if fold else column
            return folded.like(pattern.replace("\\", "\\\\"))
        return (sa.func.lower(column) if fold else column).like(pattern)

    def number(self, text: Column) -> Column:
        """The number that a text spells, NULL when it is not a number."""
        if self.dialect == "sqlite":
            clipped = sa.func.min(sa.func.max(sa.cast(text, sa.Float), -LARGEST), LARGEST)
            return sa.case((_spells_number(text), clipped))
        if self.dialect == "postgresql":  # numeric: a float would fail where a text overflows it
            largest = self.literal_number(LARGEST)
            number = sa.func.least(sa.func.greatest(sa.cast(text, sa.Numeric), -largest), largest)
            return sa.case((text.op("~")(f"^({NUMBER_PATTERN})$"), number))
        if self.dialect == "mysql":  # takes the largest number for one that overflows
            spelled = text.op("REGEXP", is_comparison=True)(f"^({NUMBER_PATTERN})\\z")
            return sa.case((spelled, text.op("+")(sa.literal_column("0e0"))))
        raise FilterError(
            f"Params and tags cannot be compared as numbers in {self.dialect}.", "Compare them as text, in quotes."
        )

    def literal_number(self, value: Any) -> Any:
        return Decimal(repr(value)) if self.dialect == "postgresql" else value

    def sorted_text(self, column: Column) -> Column:
        """Text that sorts by its code points."""
        if self.dialect == "postgresql":
            return sa.collate(column, "C")
        return _as_bytes(column) if self.dialect == "mysql" else column


_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def _as_unicode(column: Column) -> Column:
    """MySQL: the text compared by code point, whatever the character set and collation of the column."""
    return sa.collate(sa.func.convert(column.op("USING")(sa.literal_column("utf8mb4"))), "utf8mb4_bin")


def _as_bytes(column: Column) -> Column:
    """MySQL: the UTF-8 bytes of a text, so that trailing spaces count; compared with a text literal all the same."""
    in_utf8 = sa.func.convert(column.op("USING")(sa.literal_column("utf8mb4")))
    return sa.type_coerce(sa.cast(in_utf8, sa.LargeBinary), sa.String)


def _regular_expression(pattern: str) -> str:
    """A lower-case LIKE pattern as a regular expression that matches ASCII letters in either case."""
    pieces = []
    for char in pattern:
        if char in "%_":
            pieces.append(".*" if char == "%" else ".")
        elif "a" <= char <= "z":
            pieces.append(f"[{char}{char.upper()}]")
        else:
            pieces.append(char if char.isalnum() or ord(char) > 127 else f"\\x{{{ord(char):x}}}")
    return f"(?s)^{''.join(pieces)}\\z"


def _spells_number(text: Column) -> Truth:
    """SQLite, which has no regular expressions: whether the whole text matches NUMBER_PATTERN, part by part."""
    lower = sa.func.lower(text)
    at = sa.func.instr(lower, "e")
    mantissa = _without_sign(sa.case((at > 0, sa.func.substr(lower, 1, at - 1)), else_=lower))
    exponent = _without_sign(sa.func.substr(lower, at + 1))
    return sa.and_(
        mantissa.op("GLOB", is_comparison=True)("*[0-9]*"),
        sa.not_(mantissa.op("GLOB", is_comparison=True)("*[^0-9.]*")),
        sa.not_(mantissa.op("GLOB", is_comparison=True)("*.*.*")),
        sa.or_(
            at == 0,
            sa.and_(
                sa.func.length(exponent).between(1, 3), sa.not_(exponent.op("GLOB", is_comparison=True)("*[^0-9]*"))
            ),
        ),
    )


def _without_sign(text: Column) -> Column:
    return sa.case((sa.func.substr(text, 1, 1).in_(["+", "-"]), sa.func.substr(text, 2)), else_=text)
