"""Conditions without the secrets that they compare with: `params.password = 'hunter2'` as it may be shown and kept.

A filter is asked as it was typed; what is written into a notebook, said in a message or explained is this.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.errors import FilterError
from qualia_lab.masking.text import MASK, masked, masked_value
from qualia_lab.query.conditions import Comparison, Not
from qualia_lab.query.parse import parse_filter
from qualia_lab.query.sugar import parse_where
from qualia_lab.query.write import filter_text

if TYPE_CHECKING:
    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.query.conditions import Condition, Field, Scalar, Value
    from qualia_lab.selection import Conditions


def masked_filter(text: str, rules: MaskRules) -> str:
    """The filter with `‹masked›` for each value of a param or tag with a secret name, and for what looks like a secret.

    A filter that compares with no secret stays as it was typed; another one is written anew from what was understood.

    Args:
        text: of the filter language; one that cannot be read is masked as any text.
        rules: what a project says of names.
    """
    try:
        condition = parse_filter(text)
    except FilterError:
        return masked(text, rules)
    if condition is None:
        return text
    shown = _masked_condition(condition, rules)
    if shown == condition:
        return text
    try:
        return filter_text(shown)
    except FilterError:  # another text in the filter cannot be quoted
        return MASK


def masked_where(text: str, rules: MaskRules) -> str:
    """The comparison `password=hunter2` with its value masked; see `masked_filter`."""
    try:
        asked = parse_where(text)
    except FilterError:
        return masked(text, rules)
    value = masked_value(asked.field.key if asked.field else asked.key, asked.value, rules)
    return text if value == asked.value else text[: asked.position] + value


def masked_conditions(asked: Conditions, rules: MaskRules) -> Conditions:
    """The conditions without secrets; the same ones where they hold none."""
    return replace(
        asked,
        filter=masked_filter(asked.filter, rules),
        where=tuple(masked_where(one, rules) for one in asked.where),
    )


def _masked_condition(condition: Condition, rules: MaskRules) -> Condition:
    if isinstance(condition, Comparison):
        return replace(condition, value=_masked_value(condition.field, condition.value, rules))
    if isinstance(condition, Not):
        return Not(_masked_condition(condition.part, rules))
    return replace(condition, parts=tuple(_masked_condition(part, rules) for part in condition.parts))


def _masked_value(field: Field, value: Value, rules: MaskRules) -> Value:
    if value is None:
        return None
    if isinstance(value, tuple):
        return tuple(_masked_scalar(field, one, rules) for one in value)
    return _masked_scalar(field, value, rules)


def _masked_scalar(field: Field, value: Scalar, rules: MaskRules) -> Scalar:
    key = field.key if field.kind in ("param", "tag") else ""
    shown = masked_value(key, str(value), rules)
    return value if shown == str(value) else shown
