"""Conditions and orders as values: what a filter says, whoever evaluates it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["attribute", "param", "metric", "tag", "dataset"]

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
# What of a metric's history can be compared, besides its latest value; `at` is followed by a step: `at(100)`.
STATISTICS = ("min", "max", "mean", "first", "at")

# Which table of RunTables a field stands in.
_TABLES = {"param": "params", "metric": "metrics", "tag": "tags", "dataset": "datasets", "attribute": "runs"}


@dataclass(frozen=True)
class Field:
    """What is compared: an attribute of a run, or one key of its params, metrics, tags or datasets.

    The attribute keys are those of ATTRIBUTES: times are ms, `duration` is in seconds.
    statistic: "" of a metric is its latest value; one of STATISTICS is taken from its history (`query.statistics`).
    step: the one that `at` names.
    """

    kind: Kind
    key: str
    statistic: str = ""
    step: int | None = None

    @property
    def table(self) -> str:
        """The table of RunTables that holds it; "" of a statistic, because histories are in none."""
        if self.statistic:
            return ""
        return "experiments" if self == Field("attribute", "experiment_name") else _TABLES[self.kind]


@dataclass(frozen=True)
class Comparison:
    """One field against a value. A run that lacks the field matches `IS NULL` and nothing else.

    operator: = != < <= > >= LIKE, NOT LIKE, ILIKE, NOT ILIKE, IN, NOT IN, IS NULL, IS NOT NULL.
    value: text compares as text and a number as a number, also for params and tags, where only values written as a
    number can match. A tuple for IN and NOT IN; None for IS NULL and IS NOT NULL.
    """

    field: Field
    operator: str
    value: Value = None


@dataclass(frozen=True)
class And:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Or:
    """One part holds at least."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold; a comparison with a field that a run lacks does not, so here such a run matches."""

    part: Condition


@dataclass(frozen=True)
class Order:
    """One sort key; NaN and then missing values are last in both directions. Params and tags sort as text."""

    field: Field
    descending: bool = False


Scalar: TypeAlias = str | int | float
Value: TypeAlias = Scalar | tuple[Scalar, ...] | None
Condition: TypeAlias = Comparison | And | Or | Not


def needed_tables(condition: Condition | None, orders: Sequence[Order]) -> frozenset[str]:
    """The names of the tables of RunTables that this condition and these orders look at; `runs` always."""
    return frozenset({"runs", *(field.table for field in _fields(condition, orders) if field.table)})


def needed_statistics(condition: Condition | None, orders: Sequence[Order]) -> tuple[Field, ...]:
    """The statistics of metric histories that this condition and these orders look at, each once."""
    return tuple(dict.fromkeys(field for field in _fields(condition, orders) if field.statistic))


def keyed_fields(condition: Condition | None, orders: Sequence[Order]) -> tuple[Field, ...]:
    """The params, metrics and tags that this condition and these orders look at, each once."""
    keyed = (field for field in _fields(condition, orders) if field.kind in ("param", "metric", "tag"))
    return tuple(dict.fromkeys(Field(field.kind, field.key) for field in keyed))


def conjuncts(condition: Condition | None) -> tuple[Condition, ...]:
    """The conditions that must all hold, however the ANDs are nested."""
    if condition is None:
        return ()
    if isinstance(condition, And):
        return tuple(inner for part in condition.parts for inner in conjuncts(part))
    return (condition,)


def joined(parts: Sequence[Condition]) -> Condition | None:
    """One condition that says that all of these hold; None when there is none."""
    return And(tuple(parts)) if len(parts) > 1 else (parts[0] if parts else None)


def is_numeric(value: Value) -> bool:
    """Whether a comparison with this value compares numbers."""
    first = value[0] if isinstance(value, tuple) else value
    return isinstance(first, int | float)


def _fields(condition: Condition | None, orders: Sequence[Order]) -> Iterator[Field]:
    yield from (comparison.field for comparison in _comparisons(condition))
    yield from (order.field for order in orders)


def _comparisons(condition: Condition | None) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from _comparisons(condition.part)
    elif condition is not None:
        for part in condition.parts:
            yield from _comparisons(part)
