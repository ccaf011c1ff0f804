"""The fields that a filter can name, and what to say when it names another."""

from __future__ import annotations

import re
from difflib import get_close_matches

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import ATTRIBUTES, DATASET_KEYS, TEXT_ATTRIBUTES, Field, Kind
from qualia_lab.query.tokens import Token, unquoted

_KINDS: dict[str, Kind | str] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
    **dict.fromkeys(("attr", "attribute", "attributes", "run"), "attribute"),
    "experiment": "experiment",
}
_ALIASES = {"created": "start_time", "run name": "run_name"}
_STATISTIC = re.compile(r".+\.(min|max|mean|first|last|at)")


def field_of_path(token: Token, text: str) -> Field:
    """`metrics.acc`, metrics.`a b`, `experiment.name`: the kind before the first dot, the key after it."""
    prefix, _, quoted_key = token.text.partition(".")
    kind, key = _KINDS.get(prefix.strip("`").lower()), unquoted(quoted_key)
    place = token.position + len(prefix) + 1
    if kind is None:
        near = get_close_matches(prefix.lower(), _KINDS, 1)
        hint = "Fields are metrics.…, params.…, tags.…, datasets.…, attributes.… and experiment.name."
        if near:
            hint = f"Did you mean {near[0]}.{quoted_key}? {hint}"
        raise FilterError(f"There is no kind of field called {prefix}.", hint, text=text, position=token.position)
    if not key:
        hint = f"For example {prefix}.name; a key with odd characters goes in backticks."
        raise FilterError(f"After {prefix}. a key is missing.", hint, text=text, position=place)
    if kind == "experiment":
        kind, key = "attribute", f"experiment_{key}"
    if kind == "attribute":
        return attribute_of(key, token, text)
    if kind == "dataset" and key not in DATASET_KEYS:
        hint = f"It has {', '.join(DATASET_KEYS)}."
        raise FilterError(f"A dataset has no {key} to compare.", hint, text=text, position=place)
    field = Field(kind, key)  # type: ignore[arg-type]
    if kind == "metric" and key == quoted_key and is_statistic(key):
        raise statistic_error(field, text, place)
    return field


def statistic_error(field: Field, text: str, position: int) -> FilterError:
    """The refusal of `metrics.loss.min` and the like."""
    message = f"Statistics of a metric's history, such as metrics.{field.key}, cannot be compared yet."
    hint = f"A metric that is called so is written in backticks: metrics.`{field.key}`."
    return FilterError(message, hint, text=text, position=position)


def attribute_of(key: str, token: Token, text: str) -> Field:
    """The attribute of a run that has this name in any case. Raises FilterError with what it might have meant."""
    name = _ALIASES.get(key.lower(), key.lower())
    if name in ATTRIBUTES:
        return Field("attribute", name)
    near = get_close_matches(name, ATTRIBUTES, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    hint += f"Attributes are {', '.join(ATTRIBUTES)}; others are written metrics.{key}, params.{key} or tags.{key}."
    raise FilterError(f"A run has no attribute {key}.", hint, text=text, position=token.position)


def has_text(field: Field) -> bool:
    """Whether its values are text; those of params and tags may spell numbers all the same."""
    return field.kind in ("param", "tag", "dataset") or (field.kind == "attribute" and field.key in TEXT_ATTRIBUTES)


def name_of(field: Field) -> str:
    """The field as a message names it."""
    return field.key if field.kind == "attribute" else f"{field.kind}s.{field.key}"


def is_statistic(key: str) -> bool:
    """Whether a metric's key asks for a statistic of its history."""
    return _STATISTIC.fullmatch(key) is not None
