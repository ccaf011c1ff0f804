"""Errors for unknown metrics, params, tags and experiments, with a suggestion of a similar key."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from qualia_lab.errors import UnknownKey
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, NoReturn

_LISTED = 5


def check_key(key: str, known: Collection[str], what: str) -> None:
    """Raise UnknownKey unless the key is known.

    Args:
        key: the requested key.
        known: the keys that exist.
        what: the kind of the key: `metric`, `param`, `tag` or `experiment`.

    Raises:
        UnknownKey: the key is not known.
    """
    if key not in known:
        raise unknown_key(key, known, what)


def unknown_key(key: str, known: Collection[str], what: str) -> UnknownKey:
    """The error to raise for an unknown key: `There is no metric val_auk. Did you mean val_auc?`.

    Args:
        key: the requested key.
        known: the keys that exist.
        what: the kind of the key: `metric`, `param`, `tag` or `experiment`.
    """
    near = get_close_matches(key, known, n=1)
    names = [one_line(name, 60) for name in sorted(known)[:_LISTED]]
    if near:
        hint = f"Did you mean {one_line(near[0], 100)}?"
    elif not names:
        hint = f"No run has a {what}." if what != "experiment" else "No run was read."
    else:
        rest = len(known) - len(names)
        hint = f"There is {', '.join(names)}" + (f" and {rest:,} more." if rest else ".")
    return UnknownKey(f"There is no {what} {one_line(key, 100)}.", hint)


class KeyedValues(dict[str, "Any"]):
    """The params, metrics or tags of one run by key; for a missing key, the error suggests a similar one.

    Raises:
        UnknownKey: by indexing with a missing key; it is a KeyError too. `get` returns None, as for any dict.
    """

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        """Wrap the values of a run.

        Args:
            values: the values by key.
            what: the kind of the keys: `param`, `metric` or `tag`.
        """
        super().__init__(values)
        self._what = what

    def __missing__(self, key: str) -> NoReturn:
        raise unknown_key(key, self, self._what)
