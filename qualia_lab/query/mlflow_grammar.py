"""The part of a condition that MLflow's own grammar can say, for a server that evaluates it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.query.conditions import (
    Comparison,
    Condition,
    Field,
    Order,
    Scalar,
    conjuncts,
    is_numeric,
    joined,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_ATTRIBUTES = ("run_id", "run_name", "status", "user_id", "artifact_uri", "start_time", "end_time")
# Text that every database and the file store sort alike; elsewhere it depends on the server's collation.
_ORDERED_ATTRIBUTES = ("run_id", "status", "start_time", "end_time")


def to_mlflow(condition: Condition | None) -> tuple[str, Condition | None]:
    """The filter to send to a server, and what then is still to be evaluated here (None: nothing).

    What is sent never excludes a run that matches, whatever version the server has and whatever it stores in. Where
    servers differ and let more through (NaN in old ones, ILIKE beyond ASCII), the comparison is in the rest as well.
    """
    sent, rest = [], []
    for part in conjuncts(condition):
        text = _comparison(part) if isinstance(part, Comparison) else None
        if text is not None:
            sent.append(text)
        if text is None or not _is_exact(part):
            rest.append(part)
    return " AND ".join(sent), joined(rest)


def order_to_mlflow(orders: Sequence[Order]) -> list[str] | None:
    """The orders as MLflow's `order_by`; None when a server would not sort exactly so.

    Text is such a case: SQLite, PostgreSQL and MySQL sort it by different rules.
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
    """Whether every server evaluates this comparison as it is evaluated here."""
    return isinstance(part, Comparison) and part.field.kind != "metric" and part.operator != "ILIKE"


def _comparison(comparison: Comparison) -> str | None:
    """The comparison in MLflow's grammar; None when that cannot say it, or some server would exclude too much."""
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if field == Field("attribute", "parent_run_id"):  # which is kept as a tag
        field = Field("tag", "mlflow.parentRunId")
    if field.statistic or "`" in field.key or (field.kind == "attribute" and field.key not in _ATTRIBUTES):
        return None
    if isinstance(value, tuple):
        texts = [_literal(one) for one in value]
        listed = field == Field("attribute", "run_id") or field.kind == "dataset"
        if not listed or None in texts:
            return None
        return f"{_field(field)} {operator} ({', '.join(filter(None, texts))})"
    if value is None or operator.startswith("NOT "):
        return None  # IS NULL: only new servers know it
    if field.kind == "metric" and operator == "!=" and value == 0:
        return None  # an old server takes NaN, which a database stores as 0, for equal to 0
    if is_numeric(value) and field.kind in ("param", "tag"):
        return None
    if operator in ("LIKE", "ILIKE") and not _is_plain_prefix(str(value)):
        return None
    literal = _literal(value)
    return literal and f"{_field(field)} {operator} {literal}"


def _is_plain_prefix(pattern: str) -> bool:
    """Whether all servers agree on the pattern.

    In a file store `%` before text and `_` match no line break; in PostgreSQL and MySQL a backslash escapes.
    """
    return not any(char in pattern.removesuffix("%") for char in "%_\\")


def _field(field: Field) -> str:
    return f"{field.kind}s.`{field.key}`"


def _literal(value: Scalar) -> str | None:
    """A value as MLflow reads it; None for text that has no spelling there, because no quote can be escaped."""
    if not isinstance(value, str):
        return repr(value).replace("e+", "e")
    for quote in "'\"":
        if quote not in value and not value.endswith("\\"):
            return f"{quote}{value}{quote}"
    return None
