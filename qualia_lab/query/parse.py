"""Recursive-descent parser: the text of a filter to a condition, or an error with its position.

MLflow's grammar keeps the meaning it has in MLflow on SQLite. The extensions are OR, NOT and parentheses; IN, BETWEEN
and IS NULL for every field; numeric comparisons with params and tags; dates and ages (`7 days ago`) for times; a few
more attributes; and statistics of a metric's history.
"""

from __future__ import annotations

import re
from dataclasses import replace
from sys import float_info
from typing import TYPE_CHECKING

from qualia_lab.query.conditions import (
    STATISTICS,
    TEXT_ATTRIBUTES,
    TIME_ATTRIBUTES,
    Condition,
    Field,
    Order,
    Scalar,
)
from qualia_lab.query.fields import attribute_field, field_name, has_text, parse_path, split_statistic
from qualia_lab.query.grammar import FilterParser, parse_orders
from qualia_lab.query.tokens import HINTS, Token, unquoted

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = range(-(2**63), 2**63)


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
    return _RunParser(text).filter()


def parse_order_by(texts: Sequence[str]) -> tuple[Order, ...]:
    """Parse sort keys such as `metrics.acc DESC`.

    Args:
        texts: one or several comma-separated sort keys each; if a field occurs twice, the first one counts.

    Returns:
        The sort keys, the most significant first.

    Raises:
        FilterError: a text is not a valid order; `text` is the invalid one.
    """
    return parse_orders(texts, _RunParser)


def parse_field(text: str) -> Field:
    """Parse one field such as `metrics.loss.min`. Raises FilterError."""
    parser = _RunParser(text)
    field = parser.field()
    if parser.current.kind != "end":
        raise parser.error(
            f"Expected one field, but {parser.current.text} follows it.",
            "Put keys with special characters in backticks.",
        )
    return field


class _RunParser(FilterParser):
    """The fields of runs and their values."""

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

    def require_numeric(self, field: Field, operator: str) -> None:
        if field.kind == "dataset" or (field.key in TEXT_ATTRIBUTES and field.kind == "attribute"):
            raise self.error(
                f"{operator} compares numbers, but {field_name(field)} is text.", "Use =, !=, LIKE or IN.", back=1
            )

    def value(self, field: Field, *, numeric: bool | None = None) -> Scalar:
        if field.kind == "attribute" and field.key in TIME_ATTRIBUTES:
            return self.moment(field)
        if field.kind == "attribute" and field.key == "duration":
            amount, unit = self.amount(field)
            return min(amount * unit / 1000 if unit else amount, float_info.max)
        if not has_text(field):
            return self.number(field)
        is_number = self.current.kind == "number" and field.kind in ("param", "tag")
        if numeric or (numeric is None and is_number):
            return self.number(field)
        return self.string(field)

    def require_order(self, field: Field) -> None:
        if field.kind == "dataset":
            raise self.error("Runs cannot be ordered by a dataset, because a run may have several.", back=1)

    def is_text(self, field: Field) -> bool:
        return has_text(field)

    def name_of(self, field: Field) -> str:
        return field_name(field)
