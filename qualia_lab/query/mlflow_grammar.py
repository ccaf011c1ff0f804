"""Translate the parts of a condition that MLflow's own filter grammar supports, so that a server evaluates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.query.conditions import (
    Comparison,
    Condition,
    Field,
    Order,
    Scalar,
    conjunction,
    conjuncts,
    is_numeric,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_ATTRIBUTES = ("run_id", "run_name", "status", "user_id", "artifact_uri", "start_time", "end_time")
# Attributes that every database and the file store sort the same way; other text depends on the server's collation.
_ORDERED_ATTRIBUTES = ("run_id", "status", "start_time", "end_time")


def to_mlflow(condition: Condition | None) -> tuple[str, Condition | None]:
    """Split a condition into a filter for an MLflow server and the rest that has to be evaluated in this process.

    The filter never excludes a run that matches, for any server version and backend. Comparisons for which some
    servers return too many runs (NaN on old versions, ILIKE beyond ASCII) are sent and also part of the rest.

    Args:
        condition: the parsed filter, or None.

    Returns:
        The filter in MLflow's grammar ("" for none), and the remaining condition (None when nothing remains).
    """
    sent, rest = [], []
    for part in conjuncts(condition):
        text = _comparison(part) if isinstance(part, Comparison) else None
        if text is not None:
            sent.append(text)
        if text is None or not _is_exact(part):
            rest.append(part)
    return " AND ".join(sent), conjunction(rest)


def order_to_mlflow(orders: Sequence[Order]) -> list[str] | None:
    """The orders as MLflow's `order_by`; None when a server may sort differently.

    Text is such a case: SQLite, PostgreSQL and MySQL use different collations.
    """
    texts = []
    for order in orders:
        field = order.field
        sortable = field.kind == "metric" or (field.kind == "attribute" and field.key in _ORDERED_ATTRIBUTES)
        if (
            not sortable
            or field.statistic
            or any(char in field.key for char in "`'\"\\,")
            or not field.key.isprintable()
        ):
            return None
        texts.append(f"{_field(field)} {'DESC' if order.descending else 'ASC'}")
    return texts


def _is_exact(part: Condition) -> bool:
    """Whether every server gives the same result for this comparison as `query.evaluate`."""
    return isinstance(part, Comparison) and part.field.kind != "metric" and part.operator != "ILIKE"


def _comparison(comparison: Comparison) -> str | None:
    """The comparison in MLflow's grammar; None if it cannot be expressed, or a server might exclude matching runs."""
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if field == Field("attribute", "parent_run_id"):  # stored as a tag
        field = Field("tag", "mlflow.parentRunId")
    if field.statistic or "`" in field.key or (field.kind == "attribute" and field.key not in _ATTRIBUTES):
        return None
    if isinstance(value, tuple):
        literals = [_literal(item) for item in value]
        supports_in = field == Field("attribute", "run_id") or field.kind == "dataset"
        if not supports_in or None in literals:
            return None
        return f"{_field(field)} {operator} ({', '.join(filter(None, literals))})"
    if value is None or operator.startswith("NOT "):
        return None  # only new servers support IS NULL
    if field.kind == "metric" and operator == "!=" and value == 0:
        return None  # databases store NaN as 0, so an old server treats NaN as equal to 0
    if is_numeric(value) and field.kind in ("param", "tag"):
        return None
    if operator in ("LIKE", "ILIKE") and not _is_plain_prefix(str(value)):
        return None
    literal = _literal(value)
    return literal and f"{_field(field)} {operator} {literal}"


def _is_plain_prefix(pattern: str) -> bool:
    """Whether all servers interpret the LIKE pattern the same way.

    In a file store `%` before text and `_` do not match a line break; in PostgreSQL and MySQL a backslash escapes.
    """
    return not any(char in pattern.removesuffix("%") for char in "%_\\")


def _field(field: Field) -> str:
    return f"{field.kind}s.`{field.key}`"


def _literal(value: Scalar) -> str | None:
    """A value as a literal of MLflow's grammar; None for text that cannot be quoted (quotes have no escape)."""
    if not isinstance(value, str):
        return repr(value).replace("e+", "e")
    for quote in "'\"":
        if quote not in value and not value.endswith("\\"):
            return f"{quote}{value}{quote}"
    return None
