"""The best of several configurations: its mean corrected for having been selected, and which ones are told from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.intervals import t_quantile
from qualia_lab.analysis.power import spread_nodes
from qualia_lab.analysis.two_samples import holm, welch_p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers

ALPHA = 0.05
FEWEST_DEGREES = 3  # of the pooled spread, from which on configurations of one run take part

# pooled: one spread for all; own: spreads differ, each its own; alike: repeats do not differ at all; one: there is
# nothing to select from; none: too few repeats to know a spread.
How = Literal["pooled", "own", "alike", "one", "none"]


@dataclass(frozen=True)
class Apart:
    """A configuration that is told from the leader: the leader's mean less its own, and p corrected for all pairs."""

    place: int
    difference: float
    p: float


@dataclass(frozen=True)
class BestOf:
    """The configuration with the best mean of k, by its place among those given.

    mean: as observed, which is too good by selection.  corrected: without that.  low, high: the 95 % interval of the
    true mean of whichever is selected.  level: the places of those that are not told from the leader.
    """

    place: int
    mean: float
    corrected: float | None
    low: float | None
    high: float | None
    level: tuple[int, ...]
    apart: tuple[Apart, ...]
    k: int
    how: How


def best_of(groups: Sequence[Sequence[float]], *, greater_is_better: bool, alpha: float = ALPHA) -> BestOf | None:
    """Select the best mean; None where no group has a value. All values are finite.

    The interval is M - a e to M + b e around the leader's mean M with the error e of the pooled spread. Above it lies
    its true mean no more often than of a configuration named beforehand, since being selected and having been drawn
    low exclude each other; so b is Student's quantile. Below it counts that the best of k was drawn high: a is the
    quantile of the largest of k studentised means (one-sided projection of Andrews, Kitagawa and McCloskey 2024,
    "Inference on Winners", QJE 139:305). As in their hybrid, k is first cut down to what may compete at all.

    The corrected mean is their hybrid median-unbiased one: of the normal distribution cut off where the second would
    lead.

    Args:
        groups: the values of each configuration.
        greater_is_better: the direction.
        alpha: how often in stores of noise alone any pair may be called apart.
    """
    sign = 1.0 if greater_is_better else -1.0
    places = [place for place, values in enumerate(groups) if len(values)]
    if not places:
        return None
    samples = [sign * np.asarray(groups[place], dtype=np.float64) for place in places]
    means = np.array([float(values.mean()) for values in samples])
    first = int(means.argmax())
    spread = _spread(samples)
    others = [place for row, place in enumerate(places) if row != first]
    if spread is None:
        rest = BestOf(places[first], sign * means[first], None, None, None, tuple(others), (), len(places), "none")
        return rest
    ps = _corrected_ps(samples, means, first, spread)
    apart = tuple(
        Apart(place, float(sign * (means[first] - means[row])), float(ps[row]))
        for row, place in enumerate(places)
        if row != first and ps[row] < alpha
    )
    told = {one.place for one in apart}
    low, corrected, high = _interval(samples, means, first, spread)
    ends = sorted((sign * low, sign * high))
    return BestOf(
        places[first], float(sign * means[first]), sign * corrected, ends[0], ends[1],
        tuple(place for place in others if place not in told), apart, len(places), spread.how,
    )  # fmt: skip
