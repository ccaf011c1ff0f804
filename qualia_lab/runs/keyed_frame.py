"""`KeyedFrame`: a DataFrame with keys of metrics, params or tags as columns, which suggests similar keys on errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Callable


class KeyedFrame(pd.DataFrame):
    """A DataFrame whose KeyError for a missing column suggests similar keys; derived frames are plain DataFrames."""

    _metadata: ClassVar[list[str]] = ["_what"]
    _what: str

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __getitem__(self, key: Any) -> Any:
        """A column or rows, as in pandas. Raises UnknownKey, a subclass of KeyError, for a key that no run has."""
        keys = [key] if isinstance(key, str) else key if isinstance(key, list) else []
        for column in keys:
            if isinstance(column, str) and column not in self.columns:
                raise unknown_key(column, list(self.columns), self._what)
        return super().__getitem__(key)


def keyed_frame(frame: pd.DataFrame, what: str) -> KeyedFrame:
    """Wrap a frame whose columns are keys.

    Args:
        frame: a row per run, a column per key.
        what: the kind of the keys: `metric`, `param` or `tag`.
    """
    keyed = KeyedFrame(frame)
    keyed._what = what
    return keyed
