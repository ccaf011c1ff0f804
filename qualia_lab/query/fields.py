"""The fields that a filter can name, and what to say when it names another."""

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
# `last` is the latest value, which is what a metric without a statistic means.
_STATISTIC = re.compile(rf"(.*)\.({'|'.join(STATISTICS)}|last)", re.DOTALL)


def field_of_path(token: Token, text: str) -> Field:
    """`metrics.acc`, metrics.`a b`, `experiment.name`: the kind before the first dot, the key after it."""
    prefix, _, quoted_key = token.text.partition(".")
    kind, key = KINDS.get(prefix.strip("`").lower()), unquoted(quoted_key)
    place = token.position + len(prefix) + 1
    if kind is None:
        near = get_close_matches(prefix.lower(), KINDS, 1)
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
    if kind == "metric" and key == quoted_key:
        bare, statistic = parted_statistic(key)
        return Field("metric", bare or key, statistic if bare else "")
    return Field(kind, key)  # type: ignore[arg-type]


def parted_statistic(text: str) -> tuple[str, str]:
    """`loss.min` as `loss` and `min`, `loss.last` as `loss` and "": a key, and the statistic that stands after it."""
    match = _STATISTIC.fullmatch(text)
    return (match[1], match[2].replace("last", "")) if match else (text, "")


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
    if field.kind == "attribute":
        return field.key
    statistic = f".{field.statistic}" if field.statistic else ""
    return f"{field.kind}s.{field.key}{statistic}" + (f"({field.step})" if field.step is not None else "")
