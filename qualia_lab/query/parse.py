"""Recursive-descent parser: the text of a filter to a condition, or an error with its position.

MLflow's grammar keeps the meaning it has in MLflow on SQLite. The extensions are OR, NOT and parentheses; IN, BETWEEN
and IS NULL for every field; numeric comparisons with params and tags; dates and ages (`7 days ago`) for times; a few
more attributes; and statistics of a metric's history.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import datetime
from sys import float_info
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import (
    STATISTICS,
    TEXT_ATTRIBUTES,
    TIME_ATTRIBUTES,
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Or,
    Order,
    Scalar,
)
from qualia_lab.query.fields import attribute_field, field_name, has_text, parse_path, split_statistic
from qualia_lab.query.tokens import HINTS, Token, is_number, tokenize, unquoted

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_MAX_DEPTH, _MAX_COMPARISONS = 50, 200
_STEPS = range(-(2**63), 2**63)
_MAX_AGE = 10_000 * 365 * 86_400  # seconds


def parse_filter(text: str) -> Condition | None:
    """Parse a filter.

    A date without a time zone is in local time, as for `git log --since`; an age (`7 days ago`) is relative to now.

    Args:
        text: the filter, such as `metrics.val_auc > 0.8 AND params.model = 'mlp'`.

    Returns:
        The condition; None for an empty filter.

    Raises:
        FilterError: the text is not a valid filter; `position` is where parsing failed.
    """
    parser = _Parser(text)
    if parser.current.kind == "end":
        return None
    condition = parser.expression(0)
    if parser.current.kind != "end":
        raise parser.trailing_error()
    return condition


def parse_order_by(texts: Sequence[str]) -> tuple[Order, ...]:
    """Parse sort keys such as `metrics.acc DESC`.

    Args:
        texts: one or several comma-separated sort keys each; if a field occurs twice, the first one counts.

    Returns:
        The sort keys, the most significant first.

    Raises:
        FilterError: a text is not a valid order; `text` is the invalid one.
    """
    orders: dict[Field, Order] = {}
    for text in texts:
        parser = _Parser(text)
        while True:
            field = parser.field()
            if field.kind == "dataset":
                raise parser.error("Runs cannot be ordered by a dataset, because a run may have several.", back=1)
            direction = parser.take_keyword("ASC", "DESC")
            orders.setdefault(field, Order(field, descending=direction == "DESC"))
            if not parser.take_sign(","):
                break
        if parser.current.kind != "end":
            raise parser.error(
                f"Expected ASC or DESC, not {parser.current.text}.", "An order is a field, then ASC or DESC."
            )
    return tuple(orders.values())


def parse_field(text: str) -> Field:
    """Parse one field such as `metrics.loss.min`. Raises FilterError."""
    parser = _Parser(text)
    field = parser.field()
    if parser.current.kind != "end":
        raise parser.error(
            f"Expected one field, but {parser.current.text} follows it.",
            "Put keys with special characters in backticks.",
        )
    return field


class _Parser:
    """The tokens of one text and the current position, with one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.index = 0
        self.count = 0

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    def advance(self) -> Token:
        token = self.current
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def take_keyword(self, *keywords: str) -> str:
        """Consume the current token if it is one of these keywords and return the keyword; otherwise return ""."""
        return self.advance().keyword if self.current.keyword in keywords else ""

    def take_sign(self, *signs: str) -> str:
        return self.advance().text if self.current.kind == "sign" and self.current.text in signs else ""

    def error(self, message: str, hint: str = "", *, back: int = 0) -> FilterError:
        token = self.tokens[max(self.index - back, 0)]
        return FilterError(message, hint, text=self.text, position=token.position)

    def trailing_error(self) -> FilterError:
        token = self.current
        if token.text == ")":
            return self.error("This closing parenthesis was never opened.", "Remove it, or add an opening one.")
        return self.error(
            f"Expected AND, OR or the end of the filter, not {token.text}.",
            HINTS.get(token.text, "Conditions are joined by AND or OR; a string with spaces needs quotes."),
        )

    # expression := conjunction (OR conjunction)*

    def expression(self, depth: int) -> Condition:
        parts = [self.conjunction(depth)]
        while self.take_keyword("OR"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    # conjunction := negation (AND negation)*

    def conjunction(self, depth: int) -> Condition:
        parts = [self.negation(depth)]
        while self.take_keyword("AND"):
            parts.append(self.negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    # negation := NOT negation | "(" expression ")" | comparison

    def negation(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            raise self.error(
                f"Conditions are nested more than {_MAX_DEPTH} levels deep here.", "Write the filter with fewer levels."
            )
        if self.take_keyword("NOT"):
            return Not(self.negation(depth + 1))
        if self.current.text == "(":
            opening = self.advance()
            condition = self.expression(depth + 1)
            if self.current.kind == "end":
                raise FilterError(
                    "This parenthesis is never closed.", "Add a ).", text=self.text, position=opening.position
                )
            if not self.take_sign(")"):
                raise self.trailing_error()
            return condition
        return self.comparison()

    def comparison(self) -> Condition:
        """Parse a field, an operator, and the operands that the operator takes."""
        self.count += 1
        if self.count > _MAX_COMPARISONS:
            raise self.error(
                f"A filter can have at most {_MAX_COMPARISONS} comparisons.", "Use IN for long lists of values."
            )
        field = self.field()
        if self.take_keyword("IS"):
            negated = self.take_keyword("NOT")
            if not self.take_keyword("NULL"):
                raise self.error("Expected NULL or NOT NULL after IS.", "Use = to compare with a value.")
            return Comparison(field, "IS NOT NULL" if negated else "IS NULL")
        start = self.index
        negated = self.take_keyword("NOT")
        if self.take_keyword("IN"):
            return Comparison(field, "NOT IN" if negated else "IN", self.values(field))
        if self.take_keyword("BETWEEN"):
            self.require_numeric(field, "BETWEEN")
            low = self.value(field, numeric=True)
            if not self.take_keyword("AND"):
                raise self.error("Expected AND between the two ends.", "Write BETWEEN low AND high.")
            high = self.value(field, numeric=True)
            if negated:
                return Or((Comparison(field, "<", low), Comparison(field, ">", high)))
            return And((Comparison(field, ">=", low), Comparison(field, "<=", high)))
        like = self.take_keyword("LIKE", "ILIKE")
        if like:
            if not has_text(field):
                raise self.error(
                    f"{like} compares text, but {field_name(field)} is a number.", "Use =, <, > and so on.", back=1
                )
            return Comparison(field, f"{negated} {like}".strip(), self.value(field, numeric=False))
        self.index = start
        operator = self.take_sign("=", "!=", "<>", "<", "<=", ">", ">=")
        if not operator:
            raise self.operator_error(field)
        if operator in ("=", "!=", "<>"):
            return Comparison(field, "!=" if operator == "<>" else operator, self.value(field))
        self.require_numeric(field, operator)
        return Comparison(field, operator, self.value(field, numeric=True))

    def require_numeric(self, field: Field, operator: str) -> None:
        if field.kind == "dataset" or (field.key in TEXT_ATTRIBUTES and field.kind == "attribute"):
            raise self.error(
                f"{operator} compares numbers, but {field_name(field)} is text.", "Use =, !=, LIKE or IN.", back=1
            )

    def operator_error(self, field: Field) -> FilterError:
        token = self.current
        if token.kind == "end":
            return self.error(
                f"After {field_name(field)} an operator and a value are missing.", "For example: = 'value', or > 1."
            )
        return self.error(
            f"Expected an operator after {field_name(field)}, not {token.text}.",
            HINTS.get(token.text, "Operators are = != < <= > >= LIKE ILIKE IN BETWEEN and IS NULL, also with NOT."),
        )

    # field := path [statistic] | bare or quoted attribute

    def field(self) -> Field:
        token = self.advance()
        if token.kind == "end":
            raise self.error("A field is missing here.", "For example metrics.accuracy, params.lr or status.")
        if token.kind == "path":
            field = parse_path(token, self.text)
            return self.with_statistic(field, token) if field.kind == "metric" else field
        if token.kind in ("word", "quoted"):
            return attribute_field(unquoted(token.text), token, self.text)
        raise self.error(
            f"Expected a field such as metrics.accuracy, params.lr or status, not {token.text}.",
            HINTS.get(token.text, "The field stands left of the operator, its value right of it."),
            back=0 if self.current is token else 1,
        )

    # statistic := ".min" | ".max" | ".mean" | ".first" | ".last" | ".at" "(" step ")"; a bare key has it in its path

    def with_statistic(self, field: Field, path: Token) -> Field:
        """A metric field with the statistic that follows its quoted key, and with the step of `at`."""
        token = self.current
        if token.kind == "word" and token.text[0] == "." and token.position == path.position + len(path.text):
            rest, statistic = split_statistic(token.text)
            if rest:
                names = ", ".join(f".{name}" for name in (*STATISTICS, "last"))
                raise self.error(f"Metrics have no statistic {token.text}.", f"They have {names}.")
            self.advance()
            field = replace(field, statistic=statistic)
        if field.statistic != "at":
            return field
        if not self.take_sign("("):
            hint = f"Write .at(100); put a metric with that name in backticks: metrics.`{field.key}.at`."
            raise self.error("After .at a step in parentheses is missing.", hint)
        step = self.current
        if step.kind != "number" or not re.fullmatch(r"[+-]?[0-9]{1,19}", step.text) or int(step.text) not in _STEPS:
            raise self.error(f"A step is a whole number, not {step.text or 'nothing'}.", "For example: .at(100).")
        self.advance()
        if not self.take_sign(")"):
            raise self.error("Expected a closing parenthesis after the step.", "For example: .at(100).")
        return replace(field, step=int(step.text))

    # values := "(" value ("," value)* ")"

    def values(self, field: Field) -> tuple[Scalar, ...]:
        if not self.take_sign("("):
            raise self.error("Expected a list in parentheses after IN.", "For example: IN ('a', 'b').")
        values = [self.value(field)]
        while self.take_sign(","):
            values.append(self.value(field, numeric=not isinstance(values[0], str)))
        if not self.take_sign(")"):
            raise self.error("Expected a comma or a closing parenthesis in this list.", "For example: IN ('a', 'b').")
        return tuple(values)

    def value(self, field: Field, *, numeric: bool | None = None) -> Scalar:
        """Parse a value for this field; numeric: whether a number (True), text (False) or either (None) is required."""
        if field.kind == "attribute" and field.key in TIME_ATTRIBUTES:
            return self.moment(field)
        if field.kind == "attribute" and field.key == "duration":
            return min(self.number(field) * self.unit(), float_info.max)
        if not has_text(field):
            return self.number(field)
        is_number = self.current.kind == "number" and field.kind in ("param", "tag")
        if numeric or (numeric is None and is_number):
            return self.number(field)
        return self.string(field)

    def string(self, field: Field) -> str:
        token = self.current
        if token.kind == "quoted" and not token.text.startswith("`"):
            return unquoted(self.advance().text)
        if token.kind in ("number", "word", "path", "quoted"):
            bare = token.text.strip("`")
            raise self.error(f"{field_name(field)} is text, so its value needs quotes.", f"Write '{bare}'.")
        raise self.value_error(field, "text in quotes")

    def number(self, field: Field) -> float:
        token = self.current
        if token.kind == "number":
            value = float(self.advance().text)
            if abs(value) == float("inf"):
                hint = "The largest is 1.7976931348623157e308, and MLflow's databases store infinity as that."
                raise self.error(f"{token.text} is larger than any number.", hint, back=1)
            return value
        if token.kind == "quoted":
            bare = unquoted(token.text)
            hint = f"Write {bare} without quotes." if is_number(bare) else "Write a number without quotes."
            raise self.error(f"{field_name(field)} is compared with a number here, but {token.text} is text.", hint)
        raise self.value_error(field, "a number")

    def moment(self, field: Field) -> int | float:
        """Parse a time as milliseconds since 1970: a number of milliseconds, a date in quotes, or an age."""
        token = self.current
        if token.kind == "number":
            amount = self.number(field)
            unit = self.unit(default=0)
            if not unit:
                return int(token.text) if re.fullmatch(r"[+-]?[0-9]{1,18}", token.text) else amount
            if not self.take_keyword("AGO"):
                raise self.error(f"{field_name(field)} is a time, but this is a duration.", "Write: 7 days ago.")
            if abs(amount) * unit > _MAX_AGE:
                raise self.error("No run is that old.", "Write an age such as 7 days ago.", back=3)
            return round((time.time() - amount * unit) * 1000)
        if token.kind != "quoted" or token.text.startswith("`"):
            raise self.value_error(field, "a time")
        try:
            date = datetime.fromisoformat(unquoted(token.text).strip()).astimezone()
        except (ValueError, OverflowError, OSError):
            hint = "Write '2026-11-01', '2026-11-01 14:30', '2026-11-01T14:30:00Z' or 7 days ago."
            raise self.error(f"{token.text} is not a date.", hint) from None
        self.advance()
        return round(date.timestamp() * 1000)

    def unit(self, default: int = 1) -> int:
        """Consume a unit of time and return its length in seconds; the default if there is none."""
        name = self.current.keyword.lower()
        for unit, seconds in _SECONDS.items():
            if name in (unit, unit + "s"):
                self.advance()
                return seconds
        if self.current.kind == "word" and self.current.keyword not in ("AND", "OR", "NOT"):
            raise self.error(
                f"{self.current.text} is not a unit of time.", f"Units are {', '.join(f'{u}s' for u in _SECONDS)}."
            )
        return default

    def value_error(self, field: Field, expected: str) -> FilterError:
        token = self.current
        if token.kind == "end":
            return self.error(f"A value is missing here: {field_name(field)} needs {expected}.")
        hint = "Infinity is 1.7976931348623157e308 in MLflow's databases." if "INF" in token.keyword else ""
        return self.error(f"{field_name(field)} needs {expected} here, not {token.text}.", HINTS.get(token.text, hint))
