"""A metric, param, tag or experiment that is not there is named, with what might have been meant."""

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
    """Raise UnknownKey unless the key is among these.

    Args:
        key: what was asked for.
        known: the keys that there are.
        what: what it was taken for: `metric`, `param`, `tag`, `experiment`.
    """
    if key not in known:
        raise unknown_key(key, known, what)


def unknown_key(key: str, known: Collection[str], what: str) -> UnknownKey:
    """`There is no metric val_auk. Did you mean val_auc?`, as an error to be raised."""
    near = get_close_matches(key, known, n=1)
    names = [one_line(one, 60) for one in sorted(known)[:_LISTED]]
    if near:
        hint = f"Did you mean {one_line(near[0], 100)}?"
    elif not names:
        hint = f"No run has a {what}." if what != "experiment" else "No run was read."
    else:
        rest = len(known) - len(names)
        hint = f"There is {', '.join(names)}" + (f" and {rest:,} more." if rest else ".")
    return UnknownKey(f"There is no {what} {one_line(key, 100)}.", hint)


class KeyedValues(dict[str, "Any"]):
    """The params, metrics or tags of one run by key; a key that it has not is named, with what might have been meant.

    Raises:
        UnknownKey: for such a key; it is a KeyError too, and `get` gives None as of any dict.
    """

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        """what: `param`, `metric` or `tag`."""
        super().__init__(values)
        self._what = what

    def __missing__(self, key: str) -> NoReturn:
        raise unknown_key(key, self, self._what)
