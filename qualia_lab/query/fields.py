"""Resolve field names in a filter, with helpful errors for unknown ones."""

from __future__ import annotations

import re
from difflib import get_close_matches

from qualia_lab.errors import FilterError
from qualia_lab.query.conditions import ATTRIBUTES, DATASET_KEYS, STATISTICS, TEXT_ATTRIBUTES, Field, Kind
from qualia_lab.query.tokens import Token, unquoted

KINDS: dict[str, Kind | str] = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
    **dict.fromkeys(("attr", "attribute", "attributes", "run"), "attribute"),
    **dict.fromkeys(("experiment", "experiments"), "experiment"),
}
_ALIASES = {"created": "start_time", "run name": "run_name"}
# `last` is the latest value, the same as a metric without a statistic.
_STATISTIC = re.compile(rf"(.*)\.({'|'.join(STATISTICS)}|last)", re.DOTALL)


def parse_path(token: Token, text: str) -> Field:
    """Parse `metrics.acc`, metrics.`a b` or `experiment.name`: the kind is before the first dot, the key after it."""
    prefix, _, quoted_key = token.text.partition(".")
    kind, key = KINDS.get(prefix.strip("`").lower()), unquoted(quoted_key)
    key_position = token.position + len(prefix) + 1
    if kind is None:
        suggestions = get_close_matches(prefix.lower(), KINDS, 1)
        hint = "Fields are metrics.…, params.…, tags.…, datasets.…, attributes.… and experiment.name."
        if suggestions:
            hint = f"Did you mean {suggestions[0]}.{quoted_key}? {hint}"
        raise FilterError(f"There is no kind of field called {prefix}.", hint, text=text, position=token.position)
    if not key:
        hint = f"For example {prefix}.name; put a key with special characters in backticks."
        raise FilterError(f"After {prefix}. a key is missing.", hint, text=text, position=key_position)
    if kind == "experiment":
        kind, key = "attribute", f"experiment_{key}"
    if kind == "attribute":
        return attribute_field(key, token, text)
    if kind == "dataset" and key not in DATASET_KEYS:
        hint = f"It has {', '.join(DATASET_KEYS)}."
        raise FilterError(f"A dataset has no {key} to compare.", hint, text=text, position=key_position)
    if kind == "metric" and key == quoted_key:
        bare, statistic = split_statistic(key)
        return Field("metric", bare or key, statistic if bare else "")
    return Field(kind, key)  # type: ignore[arg-type]


def split_statistic(text: str) -> tuple[str, str]:
    """Split `loss.min` into (`loss`, `min`) and `loss.last` into (`loss`, ""); other text gives (text, "")."""
    match = _STATISTIC.fullmatch(text)
    return (match[1], match[2].replace("last", "")) if match else (text, "")


def attribute_field(key: str, token: Token, text: str) -> Field:
    """The run attribute with this name (case-insensitive). Raises FilterError with suggestions."""
    name = _ALIASES.get(key.lower(), key.lower())
    if name in ATTRIBUTES:
        return Field("attribute", name)
    suggestions = get_close_matches(name, ATTRIBUTES, 1)
    hint = f"Did you mean {suggestions[0]}? " if suggestions else ""
    hint += f"Attributes are {', '.join(ATTRIBUTES)}; others are written metrics.{key}, params.{key} or tags.{key}."
    raise FilterError(f"A run has no attribute {key}.", hint, text=text, position=token.position)


def has_text(field: Field) -> bool:
    """Whether the values of the field are text; params and tags are, even where the text is a number."""
    return field.kind in ("param", "tag", "dataset") or (field.kind == "attribute" and field.key in TEXT_ATTRIBUTES)


def field_name(field: Field) -> str:
    """The name of the field for messages."""
    if field.kind == "attribute":
        return field.key
    statistic = f".{field.statistic}" if field.statistic else ""
    return f"{field.kind}s.{field.key}{statistic}" + (f"({field.step})" if field.step is not None else "")
