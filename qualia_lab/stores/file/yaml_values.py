"""Parses YAML with values of any depth, such as the files of assessments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

_MAX_DEPTH = 20  # the parser's time grows with the square of the depth
_KINDS = {"tag:yaml.org,2002:null": "null", "tag:yaml.org,2002:bool": "bool", "tag:yaml.org,2002:int": "int"}
_KINDS |= {"tag:yaml.org,2002:float": "float"}


def nested_yaml(text: str) -> Any:
    """The value of a YAML text: mappings with text keys, lists, text, numbers, truth values and None.

    Like `flat_yaml`, it builds no other objects and follows no aliases: these become None. Times stay text.

    Args:
        text: the YAML.

    Raises:
        ValueError: the text is not YAML, or nested too deeply.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    top: list[Any] = []
    path: list[tuple[list[Any] | dict[str, Any], list[str]]] = [(top, [])]  # open collections, with the pending key
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                inner: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
                _put(path[-1], inner)
                path.append((inner, []))
                if len(path) > _MAX_DEPTH:
                    raise ValueError("it is nested too deeply")
            elif isinstance(event, yaml.CollectionEndEvent):
                path.pop()
            elif isinstance(event, yaml.ScalarEvent):
                collection, key = path[-1]
                is_key = isinstance(collection, dict) and not key
                _put(path[-1], event.value if is_key or not event.implicit[0] else _plain(event.value))
            elif isinstance(event, yaml.AliasEvent):
                _put(path[-1], None)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return top[0] if top else None


def _put(open_collection: tuple[list[Any] | dict[str, Any], list[str]], value: Any) -> None:
    """Add a value to the open collection: to a list, or as a key or the value of the pending key."""
    collection, key = open_collection
    if isinstance(collection, list):
        collection.append(value)
    elif key:
        collection[key.pop()] = value
    else:
        key.append(str(value))


def _plain(word: str) -> Any:
    """The value of a word without quotes: a number, a truth value, None or the word itself."""
    import yaml

    tag = _resolver().resolve(yaml.ScalarNode, word, (True, False))  # type: ignore[no-untyped-call]
    kind = _KINDS.get(tag)
    if kind is None:
        return word
    try:
        return getattr(yaml.constructor.SafeConstructor(), f"construct_yaml_{kind}")(yaml.ScalarNode(tag, word))
    except (ValueError, OverflowError):
        return word


@cache
def _resolver() -> yaml.resolver.Resolver:
    import yaml

    return yaml.resolver.Resolver()
