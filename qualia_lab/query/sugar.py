"""Syntactic sugar: translate `--since`, `--status` and `--where` into the text of a filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.escaping import one_line
from qualia_lab.query.conditions import ATTRIBUTES, TEXT_ATTRIBUTES, TIME_ATTRIBUTES, Field, Or
from qualia_lab.query.fields import KINDS, split_statistic
from qualia_lab.query.parse import parse_field, parse_filter
from qualia_lab.query.tokens import is_number, unquoted
from qualia_lab.query.write import field_text, moment_text, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qualia_lab.query.conditions import Kind

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_AGE = re.compile(r"(?i)(\d+)\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)(\s+ago)?")
_AGE_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WHERE = re.compile(r"\s*(`[^`]*`|[^=<>!`]+?)\s*(<=|>=|!=|<>|==|=|<|>)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Where:
    """One parsed `--where` comparison.

    Attributes:
        text: the whole comparison as it was written.
        key: the key, without quotes or backticks.
        operator: one of = != < <= > >=.
        value: the value as it was written, with its quotes.
        position: the index in `text` at which the value begins.
        field: the field, if the key names its kind (`params.lr`); otherwise None, see `resolve_field`.
    """

    text: str
    key: str
    operator: str
    value: str
    position: int
    field: Field | None = None


def join_filters(texts: Sequence[str], written: str) -> str:
    """The AND of several filters, as text.

    The filter that a person wrote comes last: a backslash before its closing quote would escape the quote if another
    quote followed. Raises FilterError, with its position, if that filter is invalid.
    """
    texts = [text for text in texts if text]
    if isinstance(parse_filter(written), Or) and texts:
        written = f"({written})"
    return " AND ".join([*texts, *([written] if written.strip() else [])])


def status_filter(statuses: Sequence[str]) -> str:
    """A filter for runs with any of these statuses (case-insensitive). Raises FilterError for an unknown status."""
    names = list(dict.fromkeys(f"'{_status(word, word, 0)}'" for word in statuses))
    if len(names) < 2:
        return f"status = {names[0]}" if names else ""
    return f"status IN ({', '.join(names)})"


def since_filter(since: str | None, field: str = "start_time") -> str:
    """A filter for a field since a date, a time or an age; an age is resolved now. Raises FilterError."""
    return f"{field} >= {_moment(since, since, 0)}" if since else ""


def parse_where(text: str) -> Where:
    """Parse a comparison such as `lr=0.1` into key, operator and value. Raises FilterError with the position."""
    match = _WHERE.fullmatch(text)
    if match is None:
        hint = "Write KEY=VALUE, or another of != < <= > >= between them: lr=0.1, 'val_auc>0.8'."
        raise FilterError(f"{one_line(text, 60)} is not a comparison.", hint, text=text)
    key, operator, value = match.groups()
    if operator == "==":
        raise FilterError(
            "== is not an operator of the filter language.", "Write one =.", text=text, position=match.start(2)
        )
    field = None
    if not key.startswith("`") and key.partition(".")[0].lower() in KINDS and "." in key:
        try:
            field = parse_field(key)
        except FilterError as error:
            raise FilterError(error.message, error.hint, text=text, position=match.start(1) + error.position) from None
    return Where(text, unquoted(key), "!=" if operator == "<>" else operator, value, match.start(3), field)


def candidate_fields(key: str, keys: Mapping[Kind, Collection[str]]) -> list[Field]:
    """The fields that a key without a kind may mean: attribute, param, metric, tag, or statistic (`loss.min`)."""
    fields = [Field("attribute", key.lower())] if key.lower() in ATTRIBUTES else []
    fields += [Field(kind, key) for kind, names in keys.items() if key in names]
    if not fields and key not in ("", "."):
        bare, name = split_statistic(key)
        if bare != key and bare in keys.get("metric", ()) and name != "at":
            fields.append(Field("metric", bare, name))
    return fields


def resolve_field(where: Where, keys: Mapping[Kind, Collection[str]]) -> Field:
    """The field that the key means. Raises FilterError if it is ambiguous or unknown, with the candidates."""
    candidates = candidate_fields(where.key, keys)
    start = where.text.find(where.key)
    name = one_line(where.key, 60)
    if len(candidates) > 1:
        spellings = [
            field_text(field) if field.kind != "attribute" else f"attributes.{field.key}" for field in candidates
        ]
        kinds = " and ".join(f"{'an' if field.kind == 'attribute' else 'a'} {field.kind}" for field in candidates)
        raise FilterError(
            f"{name} is {kinds} here.", f"Write {' or '.join(spellings)}.", text=where.text, position=start
        )
    if not candidates:
        kind_of: dict[str, Kind] = {known_key: kind for kind, names in keys.items() for known_key in names}
        kind_of |= dict.fromkeys(ATTRIBUTES, "attribute")
        suggestions = [Field(kind_of[key], key) for key in get_close_matches(where.key, kind_of, n=3)]
        examples = [Field(kind, key) for kind, names in keys.items() for key in sorted(names)[:3]]
        words = ", ".join(one_line(field_text(field), 60) for field in suggestions or examples)
        hint = (
            f"Did you mean {words}?"
            if suggestions
            else f"Examples of known keys: {words}."
            if words
            else "They have none."
        )
        raise FilterError(f"No run has a param, metric or tag {name}.", hint, text=where.text, position=start)
    return candidates[0]


def where_filter(where: Where, field: Field) -> str:
    """The comparison as text of a filter: numbers as numbers, everything else as text. Raises FilterError."""
    try:
        value = _value(where, field)
        text = f"{field_text(field)} {where.operator} {value}"
        parse_filter(text)
    except FilterError as error:
        if error.text == where.text:
            raise
        raise FilterError(error.message, error.hint, text=where.text, position=where.position) from None
    return text


def _value(where: Where, field: Field) -> str:
    value = where.value
    if field.kind == "metric" or field == Field("attribute", "duration"):
        return value
    if field.kind == "attribute" and field.key in TIME_ATTRIBUTES:
        return value if is_number(value) else _moment(unquoted(value), where.text, where.position)
    if field.kind == "attribute" and field.key == "status":
        return quoted(_status(unquoted(value), where.text, where.position))
    is_text = field.kind == "dataset" or (field.kind == "attribute" and field.key in TEXT_ATTRIBUTES)
    if is_number(value) and not is_text:
        return value
    return quoted(unquoted(value) if value[:1] in ("'", '"') else value)


def _status(word: str, text: str, position: int) -> str:
    if word.upper() not in STATUSES:
        hint = f"Use one of {', '.join(STATUSES)}."
        raise FilterError(f"No status is called {one_line(word, 40)}.", hint, text=text, position=position)
    return word.upper()


def _moment(words: str, text: str, position: int) -> str:
    """Convert a date, time or age to a quoted date with a time zone; local time is assumed where it has none."""
    age = _AGE.fullmatch(words.strip())
    try:
        if age:
            moment = datetime.now(UTC) - timedelta(**{_AGE_UNITS[age[2][0].lower()]: int(age[1])})
        else:
            moment = datetime.fromisoformat(words.strip()).astimezone()
        return moment_text(round(moment.timestamp() * 1000), None)
    except (ValueError, OverflowError, OSError):
        hint = "Write 2026-11-01, '2026-11-01 14:30', 7d or '12 hours ago'."
        raise FilterError(
            f"{one_line(words, 60)} is neither a date nor an age.", hint, text=text, position=position
        ) from None
