"""Parsed filters (conditions) and sort keys (orders) as immutable values, independent of what evaluates them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal[
    "attribute",
    "param",
    "metric",
    "tag",
    "dataset",
    # Of traces only, see query.trace_fields.
    "metadata",
    "span",
    "span_attribute",
    "feedback",
    "expectation",
    "issue",
]

TEXT_ATTRIBUTES = (
    "run_id",
    "run_name",
    "status",
    "user_id",
    "artifact_uri",
    "parent_run_id",
    "experiment_id",
    "experiment_name",
)
TIME_ATTRIBUTES = ("start_time", "end_time")
ATTRIBUTES = (*TEXT_ATTRIBUTES, *TIME_ATTRIBUTES, "duration")
DATASET_KEYS = ("name", "digest", "context")
# Statistics of a metric's history that a filter can use, in addition to its latest value. `at` takes a step: `at(100)`.
STATISTICS = ("min", "max", "mean", "first", "at")

# The table of RunTables that holds each kind of field.
_TABLES = {"param": "params", "metric": "metrics", "tag": "tags", "dataset": "datasets", "attribute": "runs"}


@dataclass(frozen=True)
class Field:
    """The left side of a comparison: an attribute of a run, or one key of its params, metrics, tags or datasets.

    Attributes:
        kind: the table that `key` belongs to.
        key: for attributes one of ATTRIBUTES (times are in ms since 1970, `duration` in seconds); for datasets one of
            DATASET_KEYS; otherwise the key of a param, metric or tag.
        statistic: for metrics "" (the latest value) or one of STATISTICS, computed from the history
            (`query.statistics`); always "" for other kinds.
        step: the step of `at(step)`; None for every other statistic.
    """

    kind: Kind
    key: str
    statistic: str = ""
    step: int | None = None

    @property
    def table(self) -> str:
        """The table of RunTables that holds the field; "" for a statistic, because no table holds histories."""
        if self.statistic:
            return ""
        return "experiments" if self == Field("attribute", "experiment_name") else _TABLES[self.kind]


@dataclass(frozen=True)
class Comparison:
    """A comparison of one field with a value. A run that lacks the field matches `IS NULL` and nothing else.

    Attributes:
        field: the left side.
        operator: one of = != < <= > >= LIKE, NOT LIKE, ILIKE, NOT ILIKE, IN, NOT IN, IS NULL, IS NOT NULL; for traces
            also RLIKE and NOT RLIKE.
        value: text is compared as text, a number as a number. A number compared with a param or tag matches only
            values that are written as a number. A tuple for IN and NOT IN; None for IS NULL and IS NOT NULL.
    """

    field: Field
    operator: str
    value: Value = None


@dataclass(frozen=True)
class And:
    """True when every part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Or:
    """True when at least one part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """True when the part is false. A comparison is false for a run that lacks its field, so NOT matches such a run."""

    part: Condition


@dataclass(frozen=True)
class Order:
    """One sort key. NaN and then missing values come last in both directions. Params and tags are sorted as text."""

    field: Field
    descending: bool = False


Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None
Condition: TypeAlias = Comparison | And | Or | Not


def needed_tables(condition: Condition | None, orders: Sequence[Order]) -> frozenset[str]:
    """The names of the RunTables tables that the condition and the orders read; always includes `runs`."""
    return frozenset({"runs", *(field.table for field in _fields(condition, orders) if field.table)})


def needed_statistics(condition: Condition | None, orders: Sequence[Order]) -> tuple[Field, ...]:
    """The distinct history statistics that the condition and the orders use."""
    return tuple(dict.fromkeys(field for field in _fields(condition, orders) if field.statistic))


def keyed_fields(condition: Condition | None, orders: Sequence[Order]) -> tuple[Field, ...]:
    """The distinct params, metrics and tags that the condition and the orders use, without statistics."""
    keyed = (field for field in _fields(condition, orders) if field.kind in ("param", "metric", "tag"))
    return tuple(dict.fromkeys(Field(field.kind, field.key) for field in keyed))


def conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    """The operands of all (nested) ANDs at the top of a condition, flattened."""
    if condition is None:
        return ()
    if isinstance(condition, And):
        return tuple(inner for part in condition.parts for inner in conjuncts(part))
    return (condition,)


def conjunction(parts: Sequence[Condition]) -> Condition | None:
    """The AND of these conditions; None when the sequence is empty."""
    return And(tuple(parts)) if len(parts) > 1 else (parts[0] if parts else None)


def is_numeric(value: Value) -> bool:
    """Whether a comparison with this value is numeric."""
    first = value[0] if isinstance(value, tuple) else value
    return isinstance(first, int | float)


def _fields(condition: Condition | None, orders: Sequence[Order]) -> Iterator[Field]:
    yield from (comparison.field for comparison in comparisons(condition))
    yield from (order.field for order in orders)


def comparisons(condition: Condition | None) -> Iterator[Comparison]:
    """Every comparison of a condition."""
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from comparisons(condition.part)
    elif condition is not None:
        for part in condition.parts:
            yield from comparisons(part)
