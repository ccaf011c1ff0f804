"""Format conditions and orders as text of the query language, the inverse of `query.parse`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.escaping import one_line
from qualia_lab.query.conditions import TIME_ATTRIBUTES, And, Comparison, Condition, Field, Not, Or, Order, Scalar
from qualia_lab.query.fields import split_statistic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

_BARE_KEY = re.compile(r"[\w/.:-]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def filter_text(condition: Condition) -> str:
    """Format a condition as a filter that parses to the same condition. Raises FilterError for unquotable text."""
    if isinstance(condition, Comparison):
        return _comparison(condition)
    if isinstance(condition, Not):
        inner = filter_text(condition.part)
        return f"NOT {inner}" if isinstance(condition.part, Comparison | Not) else f"NOT ({inner})"
    word, nested = (" AND ", And | Or) if isinstance(condition, And) else (" OR ", Or)
    texts = [filter_text(part) for part in condition.parts]
    pairs = zip(texts, condition.parts, strict=True)
    return word.join(f"({text})" if isinstance(part, nested) else text for text, part in pairs)


def orders_text(orders: Sequence[Order]) -> str:
    """Format orders as the argument of `--order-by`."""
    return ", ".join(f"{field_text(order.field)} {'DESC' if order.descending else 'ASC'}" for order in orders)


def field_text(field: Field) -> str:
    """Format a field as in a filter, with backticks or quotes around the key where needed."""
    if field.kind == "attribute":
        return "experiment.name" if field.key == "experiment_name" else field.key
    key = field.key
    # A metric whose key is literally `loss.min` or `loss.last` needs quotes too.
    if not _BARE_KEY.fullmatch(key) or (field.kind == "metric" and split_statistic(key)[0] != key):
        key = quoted(key, "`\"'")
    step = f"({field.step})" if field.step is not None else ""
    return f"{field.kind}s.{key}" + (f".{field.statistic}{step}" if field.statistic else "")


def quoted(text: str, quotes: str = "'\"") -> str:
    """The text in the first of these quote characters that can enclose it. Raises FilterError if none can."""
    for quote in quotes:
        if quote not in text and (quote == "`" or not text.endswith("\\")):
            return f"{quote}{text}{quote}"
    raise FilterError(
        f"No kind of quotes in the filter language can enclose {one_line(text, 80)}.",
        "Use LIKE, with _ in place of a quote or of the trailing backslash.",
    )


def moment_text(milliseconds: float, zone: tzinfo | None = UTC) -> str:
    """Format a time in ms since 1970 as a quoted date with its zone (None: local), or as a number where not exact."""
    try:
        moment = (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)
    if (moment - _EPOCH) / timedelta(milliseconds=1) != milliseconds or not 1900 < moment.year < 9000:
        return str(milliseconds)
    text = moment.isoformat(" ", "milliseconds" if moment.microsecond else "seconds")
    return f"'{text.replace('+00:00', 'Z')}'"


def _comparison(comparison: Comparison) -> str:
    field, value = comparison.field, comparison.value
    words = [field_text(field), comparison.operator]
    if isinstance(value, tuple):
        words.append(f"({', '.join(_value(field, item) for item in value)})")
    elif value is not None:
        words.append(_value(field, value))
    return " ".join(words)


def _value(field: Field, value: Scalar) -> str:
    if isinstance(value, str):
        return quoted(value)
    if field.kind == "attribute" and field.key in TIME_ATTRIBUTES and isinstance(value, int):
        return moment_text(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
