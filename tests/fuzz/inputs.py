"""Inputs for a target: its seeds with words and bytes put in, taken out, doubled and exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.fuzz.targets import Target


@st.composite
def inputs(draw: st.DrawFn, target: Target) -> bytes:
    """Bytes near one of the target's seeds, or any."""
    data = draw(st.sampled_from((*target.seeds, b"")))
    piece = st.one_of(st.binary(max_size=8), st.sampled_from((*target.words, b" ")), st.sampled_from(target.seeds))
    for _ in range(draw(st.integers(0, 6))):
        first, last = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        change = draw(st.sampled_from(("put in", "take out", "double", "exchange")))
        if change == "put in":
            data = data[:first] + draw(piece) + data[first:]
        elif change == "take out":
            data = data[:first] + data[last:]
        elif change == "double":
            data = data[:last] + data[first:]
        else:
            data = data[:first] + draw(piece) + data[last:]
        data = data[:20_000]
    return data
