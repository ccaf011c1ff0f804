"""`cached`: compute once and keep the result in a dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


def cached(cache: dict[Hashable, Any], key: Hashable, compute: Callable[[], T]) -> T:
    """Return the result for this key in the cache; compute it on first use.

    Args:
        cache: the results so far, which gets the new one.
        key: what the result is of.
        compute: computes it.
    """
    if key not in cache:
        cache[key] = compute()
    return cast("T", cache[key])
