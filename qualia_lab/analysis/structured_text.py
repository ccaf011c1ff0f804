"""Parse untrusted JSON and YAML safely, and compare them path by path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEEPEST = 12
_DEEPEST_YAML = 60


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Args:
        text: the JSON.

    Raises:
        ValueError: the text is not valid JSON, or it is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError("it is no valid JSON") from error


def text_of_json(text: str) -> str:
    """The text that a JSON text, or a JSON mapping with one text, says; other values as JSON, other texts as they are.

    Args:
        text: the JSON, or any text.
    """
    try:
        value = parse_json(text)
    except ValueError:
        return text
    if isinstance(value, dict) and len(value) == 1:
        [value] = value.values()
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return text


def parse_yaml(text: str) -> Any:
    """The content of a YAML text: mappings, lists, and every scalar as the string that it is written as.

    Tags are ignored, so nothing else is constructed. Aliases (`*name`) are refused, because a few of them can expand to
    gigabytes.

    Args:
        text: the YAML.

    Raises:
        ValueError: the text is not valid YAML, contains an alias, or is nested too deeply.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it refers to itself")  # noqa: TRY004 - the text is wrong, not a type
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:  # building it would recurse as deeply
                raise ValueError("it is nested too deeply")
        return yaml.load(text, Loader=loader)  # noqa: S506 - the base loader constructs strings, lists and mappings only
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError("it is no valid YAML") from error


def flat(value: Any, limit: int) -> dict[str, str]:
    """Flatten nested mappings and lists: `train.lr` or `layers[2].size` → the value as JSON writes it.

    Args:
        value: the parsed value.
        limit: the largest number of leaves; further ones are dropped. A branch deeper than 12 levels is one leaf.

    Returns:
        The text of each leaf by its path; "." for a value that is a leaf itself.
    """
    leaves: dict[str, str] = {}
    for path, leaf in _leaves(value, "", _DEEPEST):
        if len(leaves) == limit:
            break
        leaves[path or "."] = leaf if isinstance(leaf, str) else _as_json(leaf)
    return leaves


def differing_names(entries: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The names whose values are not the same in all entries, in the order of first occurrence.

    A name that an entry lacks counts as a difference.

    Args:
        entries: values by name, for each run.

    Returns:
        The names.
    """
    names = dict.fromkeys(name for entry in entries.values() for name in entry)
    return [name for name in names if len({entry.get(name) for entry in entries.values()}) > 1]


def _leaves(value: Any, path: str, deepest: int) -> Iterator[tuple[str, Any]]:
    """Yield (path, leaf) for every leaf."""
    if not value or not isinstance(value, dict | list) or not deepest:
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), deepest - 1)
    else:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]", deepest - 1)


def _as_json(value: Any) -> str:
    """A value as JSON; "…" where it cannot be written."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return "…"
