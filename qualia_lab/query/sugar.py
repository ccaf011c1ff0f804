"""`--since`, `--status` and `--where` as filters: sugar becomes text of the language once, and then is nothing more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.escaping import one_line
from qualia_lab.query.conditions import ATTRIBUTES, TEXT_ATTRIBUTES, TIME_ATTRIBUTES, Field, Or
from qualia_lab.query.fields import KINDS, parted_statistic
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
    """One `--where`, cut: the key, the operator, the value as it was written, and where in the text the value begins.

    field: what the key means, where the key says so itself (`params.lr`).
    """

    text: str
    key: str
    operator: str
    value: str
    position: int
    field: Field | None = None


def all_of(texts: Sequence[str], last: str) -> str:
    """One filter that says that all of these hold, and a person's own.

    That one stands last, because a backslash before its closing quote escapes nothing only where no quote follows.
    Raises FilterError with a place in it.
    """
    texts = [text for text in texts if text]
    if isinstance(parse_filter(last), Or) and texts:
        last = f"({last})"
    return " AND ".join([*texts, *([last] if last.strip() else [])])


def status_filter(statuses: Sequence[str]) -> str:
    """Any of these statuses, in any case. Raises FilterError for another word."""
    names = list(dict.fromkeys(f"'{_status(word, word, 0)}'" for word in statuses))
    if len(names) < 2:
        return f"status = {names[0]}" if names else ""
    return f"status IN ({', '.join(names)})"


def since_filter(since: str | None) -> str:
    """Started since a date, a time or an age; the age is counted from now, once. Raises FilterError."""
    return f"start_time >= {_moment(since, since, 0)}" if since else ""


def cut_where(text: str) -> Where:
    """`lr=0.1` as key, operator and value. Raises FilterError with the place."""
    match = _WHERE.fullmatch(text)
    if match is None:
        hint = "Write KEY=VALUE, or another of != < <= > >= between them: lr=0.1, 'val_auc>0.8'."
        raise FilterError(f"{one_line(text, 60)} is no comparison.", hint, text=text)
    key, operator, value = match.groups()
    if operator == "==":
        raise FilterError(
            "== is no operator of the filter language.", "Write one =.", text=text, position=match.start(2)
        )
    field = None
    if not key.startswith("`") and key.partition(".")[0].lower() in KINDS and "." in key:
        try:
            field = parse_field(key)
        except FilterError as error:
            raise FilterError(error.message, error.hint, text=text, position=match.start(1) + error.position) from None
    return Where(text, unquoted(key), "!=" if operator == "<>" else operator, value, match.start(3), field)


def named_fields(key: str, keys: Mapping[Kind, Collection[str]]) -> list[Field]:
    """What a bare key may mean: an attribute, or a param, metric or tag that runs have; `loss.min` a statistic."""
    found = [Field("attribute", key.lower())] if key.lower() in ATTRIBUTES else []
    found += [Field(kind, key) for kind, of in keys.items() if key in of]
    if not found and key not in ("", "."):
        bare, name = parted_statistic(key)
        if bare != key and bare in keys.get("metric", ()) and name != "at":
            found.append(Field("metric", bare, name))
    return found


def one_field(asked: Where, keys: Mapping[Kind, Collection[str]]) -> Field:
    """The one field that the key means. Raises FilterError that names what it could mean, or might have meant."""
    found = named_fields(asked.key, keys)
    place = asked.text.find(asked.key)
    name = one_line(asked.key, 60)
    if len(found) > 1:
        said = [field_text(field) if field.kind != "attribute" else f"attributes.{field.key}" for field in found]
        kinds = " and ".join(f"{'an' if field.kind == 'attribute' else 'a'} {field.kind}" for field in found)
        raise FilterError(f"{name} is {kinds} here.", f"Write {' or '.join(said)}.", text=asked.text, position=place)
    if not found:
        known: dict[str, Kind] = {one: kind for kind, of in keys.items() for one in of}
        known |= dict.fromkeys(ATTRIBUTES, "attribute")
        near = [Field(known[key], key) for key in get_close_matches(asked.key, known, n=3)]
        some = [Field(kind, key) for kind, of in keys.items() for key in sorted(of)[:3]]
        words = ", ".join(one_line(field_text(field), 60) for field in near or some)
        hint = (
            f"Did you mean {words}?" if near else f"There are such as {words}." if words else "They have none at all."
        )
        raise FilterError(f"No run has a param, metric or tag {name}.", hint, text=asked.text, position=place)
    return found[0]


def where_filter(asked: Where, field: Field) -> str:
    """The comparison in the language: numbers as numbers, all else as text. Raises FilterError with the place."""
    try:
        value = _value(asked, field)
        text = f"{field_text(field)} {asked.operator} {value}"
        parse_filter(text)
    except FilterError as error:
        if error.text == asked.text:
            raise
        raise FilterError(error.message, error.hint, text=asked.text, position=asked.position) from None
    return text


def _value(asked: Where, field: Field) -> str:
    value = asked.value
    if field.kind == "metric" or field == Field("attribute", "duration"):
        return value
    if field.kind == "attribute" and field.key in TIME_ATTRIBUTES:
        return value if is_number(value) else _moment(unquoted(value), asked.text, asked.position)
    if field.kind == "attribute" and field.key == "status":
        return quoted(_status(unquoted(value), asked.text, asked.position))
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
    """A date, a time or an age as a date that names its zone; one without is in that of this machine."""
    age = _AGE.fullmatch(words.strip())
    try:
        if age:
            moment = datetime.now(UTC) - timedelta(**{_AGE_UNITS[age[2][0].lower()]: int(age[1])})
        else:
            moment = datetime.fromisoformat(words.strip()).astimezone()
        return moment_text(round(moment.timestamp() * 1000), None)
    except (ValueError, OverflowError, OSError):
        hint = "Say 2026-11-01, '2026-11-01 14:30', 7d or '12 hours ago'."
        raise FilterError(
            f"{one_line(words, 60)} is neither a date nor an age.", hint, text=text, position=position
        ) from None
