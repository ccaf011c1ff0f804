"""Sentences that stand where a table or a chart would."""

from __future__ import annotations

from qualia_lab.escaping import one_line

# What runs are that stand beside others and are no rivals of them, as `kind_of` says it.
ASIDE = ("parent", "part", "continued")


class Said:
    """A sentence in the place of something that cannot be shown."""

    def __init__(self, sentence: str) -> None:
        self._sentence = one_line(sentence, 300)

    def __repr__(self) -> str:
        return self._sentence
