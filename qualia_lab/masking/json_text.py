"""Masks secrets in JSON text, such as the inputs of a span: in its strings, and in the values of secret names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qualia_lab.masking.keys import is_never_masked, is_secret_key
from qualia_lab.masking.text import is_placeholder, mask_value, may_hold_secret, replace_secrets

if TYPE_CHECKING:
    from qualia_lab.masking.keys import MaskRules
    from qualia_lab.masking.text import Mask


def mask_json(text: str, mask: Mask, rules: MaskRules) -> str:
    """The text with its secrets masked; JSON stays JSON, and text without a secret stays as it is.

    Args:
        text: JSON text, the beginning of it, or any other text.
        mask: returns the replacement for a secret.
        rules: the project's own rules on names.
    """
    if not may_hold_secret(text):
        return text
    try:
        value = json.loads(text)
        shown = _masked(value, "", mask, rules)
        if shown == value:
            return text
        # Half a surrogate pair stays an escape, because no column can hold it.
        return json.dumps(shown, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    except (ValueError, RecursionError):
        return replace_secrets(text, mask, rules)


def _masked(value: Any, key: str, mask: Mask, rules: MaskRules) -> Any:
    """A value of JSON with its secrets masked; `key` is the name that it has, "" for none."""
    if isinstance(value, dict):
        return {replace_secrets(name, mask, rules): _masked(inner, name, mask, rules) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, key, mask, rules) for inner in value]
    if isinstance(value, str):
        return mask_value(key, value, mask, rules)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and is_secret_key(key, rules) and not is_never_masked(key, rules):
        text = json.dumps(value)
        return value if is_placeholder(text) else mask(text)
    return value
