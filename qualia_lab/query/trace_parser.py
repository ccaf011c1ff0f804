"""Parse filters and orders of traces: MLflow's grammar of `search_traces`, and what the filters of runs have besides.

Added are OR, NOT, parentheses, BETWEEN, IN and IS NULL for every field, units of durations, dates and ages, tokens and
costs, and comparisons of assessments with numbers and with `true` and `false`.
"""

from __future__ import annotations

from sys import float_info
from typing import TYPE_CHECKING

from qualia_lab.query.conditions import Comparison, Condition, Field, Order, Scalar
from qualia_lab.query.grammar import FilterParser, parse_orders
from qualia_lab.query.tokens import HINTS
from qualia_lab.query.trace_fields import CONTENT, TIMES, TraceField, trace_field, trace_field_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLE = "For example status, execution_time, tags.topic or feedback.correctness."


def parse_trace_filter(text: str) -> Condition | None:
    """Parse a filter for traces.

    Args:
        text: the filter, such as `status = 'ERROR' AND execution_time > 2 s`; a duration without a unit is in ms.

    Returns:
        The condition, whose fields are TraceFields; None for an empty filter.

    Raises:
        FilterError: the text is not a valid filter; `position` is where parsing failed.
    """
    return _TraceParser(text).filter()


def parse_trace_order(texts: Sequence[str]) -> tuple[Order, ...]:
    """Parse sort keys such as `execution_time DESC`.

    Args:
        texts: one or several comma-separated sort keys each; if a field occurs twice, the first one counts.

    Returns:
        The sort keys, the most significant first.

    Raises:
        FilterError: a text is not a valid order; `text` is the invalid one.
    """
    return parse_orders(texts, _TraceParser)


class _TraceParser(FilterParser):
    """The fields of traces and their values."""

    subject = "trace"
    patterns = ("LIKE", "ILIKE", "RLIKE")

    def field(self) -> TraceField:
        token = self.advance()
        if token.kind == "end":
            raise self.error("A field is missing here.", _EXAMPLE)
        if token.kind not in ("path", "word", "quoted"):
            hint = HINTS.get(token.text, "The field stands left of the operator, its value right of it.")
            raise self.error(f"Expected a field such as status or tags.topic, not {token.text}.", hint, at=token)
        following = self.current
        is_key = (
            token.text.endswith(".")
            and following.kind == "quoted"
            and following.position == token.position + len(token.text)
        )
        return trace_field(token, self.text, self.advance().text if is_key else "")

    def comparison(self) -> Condition:
        token = self.current
        condition = super().comparison()
        if isinstance(condition, Comparison) and condition.field == CONTENT and "LIKE" not in condition.operator:
            message = f"{token.text} is searched for a pattern, not compared by {condition.operator}."
            raise self.error(message, "For example: span.content ILIKE '%refund%'.", at=token)
        return condition

    def value(self, field: Field, *, numeric: bool | None = None) -> Scalar:
        assert isinstance(field, TraceField)
        if field.kind == "attribute" and field.key in TIMES:
            return self.moment(field)
        if field.kind == "attribute" and field.key == "duration":
            amount, unit = self.amount(field)
            return min(amount * (unit or 1), float_info.max)
        if field.is_assessment and not numeric and (word := self.take_keyword("TRUE", "FALSE")):
            return word == "TRUE"
        is_number = self.current.kind == "number" and not field.is_only_text
        if numeric or not field.is_text or (numeric is None and is_number):
            return self.number(field)
        return self.string(field)

    def require_numeric(self, field: Field, operator: str) -> None:
        if isinstance(field, TraceField) and field.is_only_text:
            message = f"{operator} compares numbers, but {trace_field_name(field)} is text."
            raise self.error(message, "Use =, !=, LIKE or IN.", back=1)

    def require_order(self, field: Field) -> None:
        if (
            not isinstance(field, TraceField)
            or field.table not in ("traces", "tags", "metadata")
            or field.key == "prompt"
        ):
            message = f"Traces cannot be ordered by {trace_field_name(field)}, because a trace may have several."
            raise self.error(message, "Order by an attribute, a tag or metadata.", back=1)

    def is_text(self, field: Field) -> bool:
        return isinstance(field, TraceField) and field.is_text

    def name_of(self, field: Field) -> str:
        return trace_field_name(field)
