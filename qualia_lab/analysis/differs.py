"""Something that differs between the two sides of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qualia_lab.counts import and_more
from qualia_lab.escaping import one_line

What = Literal["param", "tag", "commit", "data", "library"]

_COMMIT_SHOWN = 8  # digits
_SHOWN = 6  # values listed for a side


@dataclass(frozen=True)
class Differs:
    """Something that differs between the two sides.

    Attributes:
        what: the kind of thing.
        key: its name.
        a, b: its values on each side; () where a side has none.
    """

    what: What
    key: str
    a: tuple[str, ...]
    b: tuple[str, ...]

    @property
    def named(self) -> str:
        """Its name in a sentence."""
        return "commit" if self.what == "commit" else one_line(self.key, 60)

    def shown(self, values: tuple[str, ...]) -> str:
        """The values of a side on one line; commits abbreviated."""
        cut = [short_commit(value) if self.what == "commit" else one_line(value, 40) for value in values]
        return and_more(cut, _SHOWN) or "none"


def short_commit(commit: str) -> str:
    """A commit, abbreviated as git does."""
    return one_line(commit[:_COMMIT_SHOWN])
