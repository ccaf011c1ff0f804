"""Parse filters of logged models: MLflow's grammar of `search_logged_models`, and what filters of runs have besides.

Added are OR, NOT, parentheses, BETWEEN, IN and IS NULL for every field, numbers in params and tags, dates and ages, and
what a model is registered as.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import Condition, Field, Kind, Scalar
from qualia_lab.query.grammar import FilterParser
from qualia_lab.query.tokens import HINTS, unquoted

if TYPE_CHECKING:
    from qualia_lab.query.tokens import Token

TEXTS = ("name", "model_id", "model_type", "status", "run_id", "experiment_id", "registered_name", "alias", "stage")
TIMES = ("creation_time", "last_updated_time")
NUMBERS = ("version", "step")
ATTRIBUTES = (*TEXTS, *TIMES, *NUMBERS)
# Other names of attributes, among them those of MLflow.
_ALIASES = {
    "source_run_id": "run_id",
    "creation_timestamp": "creation_time",
    "creation_timestamp_ms": "creation_time",
    "created": "creation_time",
    "last_updated_timestamp": "last_updated_time",
    "last_updated_timestamp_ms": "last_updated_time",
    "type": "model_type",
    "registered": "registered_name",
}
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attr", "attribute", "attributes", "model"), "attribute"),
}


def parse_model_filter(text: str) -> Condition | None:
    """Parse a filter for logged models.

    Args:
        text: the filter, such as `metrics.accuracy > 0.9 AND params.lr = '0.1'`.

    Returns:
        The condition; its attributes are in ATTRIBUTES. None for an empty filter.

    Raises:
        FilterError: the text is not a valid filter; `position` is where parsing failed.
    """
    return _ModelParser(text).filter()


class _ModelParser(FilterParser):
    """The fields of models and their values."""

    subject = "model"

    def field(self) -> Field:
        token = self.advance()
        if token.kind == "end":
            raise self.error("A field is missing here.", "For example metrics.accuracy, params.lr or name.")
        if token.kind == "path":
            prefix, _, written = token.text.partition(".")
            kind, key = _KINDS.get(prefix.strip("`").lower()), unquoted(written)
            if kind is None:
                hint = "Fields are metrics.…, params.…, tags.… and attributes such as name and alias."
                raise self.error(f"There is no kind of field called {prefix}.", hint, at=token)
            if not key:
                hint = f"For example {prefix}.name; put a key with special characters in backticks."
                raise self.error(f"After {token.text} a key is missing.", hint, at=token)
            return _attribute(key, token, self.text) if kind == "attribute" else Field(kind, key)
        if token.kind in ("word", "quoted"):
            return _attribute(unquoted(token.text), token, self.text)
        hint = HINTS.get(token.text, "The field stands left of the operator, its value right of it.")
        raise self.error(f"Expected a field such as metrics.accuracy or name, not {token.text}.", hint, at=token)

    def value(self, field: Field, *, numeric: bool | None = None) -> Scalar:
        if field.kind == "attribute" and field.key in TIMES:
            return self.moment(field)
        is_number = self.current.kind == "number" and field.kind in ("param", "tag")
        if numeric or not self.is_text(field) or (numeric is None and is_number):
            return self.number(field)
        text = self.string(field)
        return text.upper() if field == Field("attribute", "status") else text

    def require_numeric(self, field: Field, operator: str) -> None:
        if field.kind == "attribute" and field.key in TEXTS:
            message = f"{operator} compares numbers, but {field.key} is text."
            raise self.error(message, "Use =, !=, LIKE or IN.", back=1)

    def require_order(self, field: Field) -> None:
        """All fields would do; models are ordered by a metric only."""

    def is_text(self, field: Field) -> bool:
        return field.kind in ("param", "tag") or (field.kind == "attribute" and field.key in TEXTS)

    def name_of(self, field: Field) -> str:
        return field.key if field.kind == "attribute" else f"{field.kind}s.{field.key}"


def _attribute(key: str, token: Token, text: str) -> Field:
    name = _ALIASES.get(key.lower(), key.lower())
    if name in ATTRIBUTES:
        return Field("attribute", name)
    near = get_close_matches(name, (*ATTRIBUTES, *_ALIASES), 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    hint += f"Attributes are {', '.join(ATTRIBUTES)}; others are written metrics.{key}, params.{key} or tags.{key}."
    raise FilterError(f"A model has no attribute {key}.", hint, text=text, position=token.position)
