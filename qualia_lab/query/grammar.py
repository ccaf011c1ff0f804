"""FilterParser: what the filters of runs and those of traces have in common.

Conditions with AND, OR, NOT and parentheses; the operators; texts, numbers, times and durations. A subclass knows the
fields and which values each of them takes.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import And, Comparison, Condition, Field, Not, Or, Order, Scalar
from qualia_lab.query.tokens import HINTS, Token, is_number, tokenize, unquoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# The units of time with their lengths in ms and how each is written.
_UNITS = (
    (1, ("ms", "millisecond", "milliseconds")),
    (1_000, ("s", "sec", "second", "seconds")),
    (60_000, ("min", "minute", "minutes")),
    (3_600_000, ("h", "hour", "hours")),
    (86_400_000, ("d", "day", "days")),
    (604_800_000, ("w", "week", "weeks")),
)
_MS_OF = {name: length for length, names in _UNITS for name in names}
_JOINED = re.compile(r"([+-]?(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15}))([a-zA-Z]+)")  # 2min
_MAX_DEPTH, _MAX_COMPARISONS = 50, 200
_MAX_AGE = 10_000 * 365 * 86_400_000  # ms


class FilterParser(ABC):
    """The tokens of one text and the current position, with one method for each rule of the grammar."""

    subject = "run"  # what is filtered
    patterns: tuple[str, ...] = ("LIKE", "ILIKE")  # the operators that compare text with a pattern

    @abstractmethod
    def field(self) -> Field:
        """Parse the left side of a comparison, or what an order sorts by."""

    @abstractmethod
    def value(self, field: Field, *, numeric: bool | None = None) -> Scalar:
        """Parse a value for this field; numeric: whether a number (True), text (False) or either (None) is required."""

    @abstractmethod
    def require_numeric(self, field: Field, operator: str) -> None:
        """Raise FilterError if the values of the field cannot be compared as numbers."""

    @abstractmethod
    def require_order(self, field: Field) -> None:
        """Raise FilterError if one cannot sort by the field."""

    @abstractmethod
    def is_text(self, field: Field) -> bool:
        """Whether the values of the field can be compared with a pattern."""

    @abstractmethod
    def name_of(self, field: Field) -> str:
        """The name of the field for messages."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.index = 0
        self.count = 0

    @property
    def current(self) -> Token:
        """The token that is read next."""
        return self.tokens[self.index]

    def advance(self) -> Token:
        """Consume the current token; the end stays."""
        token = self.current
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def take_keyword(self, *keywords: str) -> str:
        """Consume the current token if it is one of these keywords and return the keyword; otherwise return ""."""
        return self.advance().keyword if self.current.keyword in keywords else ""

    def take_sign(self, *signs: str) -> str:
        """Consume the current token if it is one of these signs and return it; otherwise return ""."""
        return self.advance().text if self.current.kind == "sign" and self.current.text in signs else ""

    def error(self, message: str, hint: str = "", *, back: int = 0, at: Token | None = None) -> FilterError:
        """An error at the current token, at one before it, or at a given one."""
        token = at or self.tokens[max(self.index - back, 0)]
        return FilterError(message, hint, text=self.text, position=token.position)

    def trailing_error(self) -> FilterError:
        """The error at a token that follows a whole condition."""
        token = self.current
        if token.text == ")":
            return self.error("This closing parenthesis was never opened.", "Remove it, or add an opening one.")
        return self.error(
            f"Expected AND, OR or the end of the filter, not {token.text}.",
            HINTS.get(token.text, "Conditions are joined by AND or OR; a string with spaces needs quotes."),
        )

    # filter := [expression]

    def filter(self) -> Condition | None:
        """Parse the whole text; None if it is empty."""
        if self.current.kind == "end":
            return None
        condition = self.expression(0)
        if self.current.kind != "end":
            raise self.trailing_error()
        return condition

    # orders := order ("," order)*; order := field [ASC | DESC]

    def orders(self) -> Iterator[Order]:
        """Parse the whole text as sort keys."""
        while True:
            field = self.field()
            self.require_order(field)
            yield Order(field, descending=self.take_keyword("ASC", "DESC") == "DESC")
            if not self.take_sign(","):
                break
        if self.current.kind != "end":
            raise self.error(
                f"Expected ASC or DESC, not {self.current.text}.", "An order is a field, then ASC or DESC."
            )

    # expression := conjunction (OR conjunction)*

    def expression(self, depth: int) -> Condition:
        """Parse conditions that are joined by OR."""
        parts = [self.conjunction(depth)]
        while self.take_keyword("OR"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    # conjunction := negation (AND negation)*

    def conjunction(self, depth: int) -> Condition:
        """Parse conditions that are joined by AND."""
        parts = [self.negation(depth)]
        while self.take_keyword("AND"):
            parts.append(self.negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    # negation := NOT negation | "(" expression ")" | comparison

    def negation(self, depth: int) -> Condition:
        """Parse a comparison, a condition in parentheses, or NOT before either."""
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
        like = self.take_keyword(*self.patterns)
        if like:
            if not self.is_text(field):
                raise self.error(
                    f"{like} compares text, but {self.name_of(field)} is a number.", "Use =, <, > and so on.", back=1
                )
            return Comparison(field, f"{negated} {like}".strip(), self.pattern(field, like))
        self.index = start
        operator = self.take_sign("=", "!=", "<>", "<", "<=", ">", ">=")
        if not operator:
            raise self.operator_error(field)
        if operator in ("=", "!=", "<>"):
            return Comparison(field, "!=" if operator == "<>" else operator, self.value(field))
        self.require_numeric(field, operator)
        return Comparison(field, operator, self.value(field, numeric=True))

    def operator_error(self, field: Field) -> FilterError:
        """The error at a token that should be an operator."""
        token = self.current
        if token.kind == "end":
            return self.error(
                f"After {self.name_of(field)} an operator and a value are missing.", "For example: = 'value', or > 1."
            )
        return self.error(
            f"Expected an operator after {self.name_of(field)}, not {token.text}.",
            HINTS.get(
                token.text,
                f"Operators are = != < <= > >= {' '.join(self.patterns)} IN BETWEEN and IS NULL, also with NOT.",
            ),
        )

    def pattern(self, field: Field, operator: str) -> str:
        """Parse the pattern that the operator compares with."""
        token = self.current
        text = self.string(field)
        if operator == "RLIKE":
            try:
                re.compile(text)
            except (re.error, RecursionError, OverflowError) as error:
                message = f"{token.text} is not a regular expression: {error}."
                raise self.error(
                    message, "Put a backslash before a character that stands for itself.", at=token
                ) from None
        return text

    # values := "(" value ("," value)* ")"

    def values(self, field: Field) -> tuple[Scalar, ...]:
        """Parse the list of IN; all its values are texts, or all are numbers."""
        if not self.take_sign("("):
            raise self.error("Expected a list in parentheses after IN.", "For example: IN ('a', 'b').")
        values = [self.value(field)]
        while self.take_sign(","):
            values.append(
                self.value(field, numeric=None if isinstance(values[0], bool) else not isinstance(values[0], str))
            )
        if not self.take_sign(")"):
            raise self.error("Expected a comma or a closing parenthesis in this list.", "For example: IN ('a', 'b').")
        return tuple(values)

    def string(self, field: Field) -> str:
        """Parse text in quotes."""
        token = self.current
        if token.kind == "quoted" and not token.text.startswith("`"):
            return unquoted(self.advance().text)
        if token.kind in ("number", "word", "path", "quoted"):
            bare = token.text.strip("`")
            raise self.error(f"{self.name_of(field)} is text, so its value needs quotes.", f"Write '{bare}'.")
        raise self.value_error(field, "text in quotes")

    def number(self, field: Field) -> float:
        """Parse a number."""
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
            raise self.error(f"{self.name_of(field)} is compared with a number here, but {token.text} is text.", hint)
        raise self.value_error(field, "a number")

    def moment(self, field: Field) -> int | float:
        """Parse a time as milliseconds since 1970: a number of milliseconds, a date in quotes, or an age."""
        token = self.current
        if token.kind == "number" or _JOINED.fullmatch(token.text):
            amount, unit = self.amount(field)
            if not unit:
                return int(token.text) if re.fullmatch(r"[+-]?[0-9]{1,18}", token.text) else amount
            if not self.take_keyword("AGO"):
                raise self.error(f"{self.name_of(field)} is a time, but this is a duration.", "Write: 7 days ago.")
            if abs(amount) * unit > _MAX_AGE:
                raise self.error(f"No {self.subject} is that old.", "Write an age such as 7 days ago.", at=token)
            return round(time.time() * 1000 - amount * unit)
        if token.kind != "quoted" or token.text.startswith("`"):
            raise self.value_error(field, "a time")
        try:
            date = datetime.fromisoformat(unquoted(token.text).strip()).astimezone()
        except (ValueError, OverflowError, OSError):
            hint = "Write '2026-11-01', '2026-11-01 14:30', '2026-11-01T14:30:00Z' or 7 days ago."
            raise self.error(f"{token.text} is not a date.", hint) from None
        self.advance()
        return round(date.timestamp() * 1000)

    def amount(self, field: Field) -> tuple[float, int]:
        """Parse a number and a unit of time, as `2 min` or `2min`; the length of the unit is in ms, 0 without one."""
        token = self.current
        joined = _JOINED.fullmatch(token.text) if token.kind == "word" else None
        if joined and joined[2].lower() in _MS_OF:
            self.advance()
            return float(joined[1]), _MS_OF[joined[2].lower()]
        amount = self.number(field)
        name = self.current
        if name.kind != "word" or name.keyword in ("AND", "OR", "NOT"):
            return amount, 0
        if name.text.lower() not in _MS_OF:
            units = ", ".join(names[-1] for _, names in _UNITS)
            raise self.error(f"{name.text} is not a unit of time.", f"Units are {units}.")
        return amount, _MS_OF[self.advance().text.lower()]

    def value_error(self, field: Field, expected: str) -> FilterError:
        """The error at a token that should be a value of this field."""
        token = self.current
        if token.kind == "end":
            return self.error(f"A value is missing here: {self.name_of(field)} needs {expected}.")
        hint = "Infinity is 1.7976931348623157e308 in MLflow's databases." if "INF" in token.keyword else ""
        return self.error(
            f"{self.name_of(field)} needs {expected} here, not {token.text}.", HINTS.get(token.text, hint)
        )


def parse_orders(texts: Sequence[str], parser: Callable[[str], FilterParser]) -> tuple[Order, ...]:
    """Parse sort keys, one or several comma-separated ones in each text; the first one counts if a field occurs twice.

    Raises:
        FilterError: a text is not a valid order; `text` is the invalid one.
    """
    orders: dict[Field, Order] = {}
    for text in texts:
        for order in parser(text).orders():
            orders.setdefault(order.field, order)
    return tuple(orders.values())
