"""JSON and YAML of strangers, read without anything in them taking effect, and compared place by place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEEPEST = 12
_DEEPEST_YAML = 60


def parse_json(text: str) -> Any:
    """The value that a JSON text holds. Raises ValueError with what is wrong, also when it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError("it is no valid JSON") from error


def parse_yaml(text: str) -> Any:
    """What a YAML text holds: mappings, lists, and every scalar as the text that it is written as.

    No tag is obeyed, so nothing is built but these; references (`*name`) are refused, since a few of them can stand
    for gigabytes. Raises ValueError with what is wrong.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it refers to itself")  # noqa: TRY004 - a text is wrong, no type
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:  # building it would recurse as deeply
                raise ValueError("it is nested too deeply")
        return yaml.load(text, Loader=loader)  # noqa: S506 - the base loader makes texts, lists and mappings only
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError("it is no valid YAML") from error


def flat(value: Any, limit: int) -> dict[str, str]:
    """The leaves of nested mappings and lists: `train.lr` or `layers[2].size` → the value as JSON writes it.

    limit: so many leaves at most.  A branch deeper than 12 levels is one leaf.
    """
    found: dict[str, str] = {}
    for path, leaf in _leaves(value, "", _DEEPEST):
        if len(found) == limit:
            break
        found[path or "."] = leaf if isinstance(leaf, str) else _written(leaf)
    return found


def that_differ(entries: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The names whose values are not alike in all entries, in the order in which they first occur.

    A name that an entry lacks counts as a difference.
    """
    names = dict.fromkeys(name for entry in entries.values() for name in entry)
    return [name for name in names if len({entry.get(name) for entry in entries.values()}) > 1]


def _leaves(value: Any, path: str, deepest: int) -> Iterator[tuple[str, Any]]:
    if not value or not isinstance(value, dict | list) or not deepest:
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), deepest - 1)
    else:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]", deepest - 1)


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return "…"
