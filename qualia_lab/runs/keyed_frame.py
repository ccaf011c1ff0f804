"""KeyedFrame: a DataFrame whose columns are keys of metrics, params or tags; one that is not there is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from qualia_lab.study.known_keys import unknown_key

if TYPE_CHECKING:
    from collections.abc import Callable


class KeyedFrame(pd.DataFrame):
    """A DataFrame that says what was meant by a column that is not there; what is made from it is a plain one."""

    _metadata: ClassVar[list[str]] = ["_what"]
    _what: str

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __getitem__(self, key: Any) -> Any:
        """A column or rows, as in pandas. Raises UnknownKey, a KeyError too, for a key that no run has."""
        wanted = [key] if isinstance(key, str) else key if isinstance(key, list) else []
        for one in wanted:
            if isinstance(one, str) and one not in self.columns:
                raise unknown_key(one, list(self.columns), self._what)
        return super().__getitem__(key)


def keyed_frame(frame: pd.DataFrame, what: str) -> KeyedFrame:
    """The frame with keys of this kind as its columns.

    Args:
        frame: a row per run, a column per key.
        what: `metric`, `param` or `tag`.
    """
    keyed = KeyedFrame(frame)
    keyed._what = what
    return keyed
