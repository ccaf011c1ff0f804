"""Slices of an evaluation on which a version is worse, though it is better on all rows together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.paired_test import FEWEST_PAIRS
from qualia_lab.analysis.two_samples import holm
from qualia_lab.analysis.version_comparison import ALPHA, ScorerComparison, compare_scorer, with_verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.row_pairs import RowPair
    from qualia_lab.analysis.version_comparison import VersionComparison

# A tag with more values than this is an id or a text, not a slice.
MOST_VALUES = 20


@dataclass(frozen=True)
class Slice:
    """One scorer on the rows with one value of a tag.

    Attributes:
        tag: the tag of the trace or of the dataset record.
        value: its value.
        compared: the comparison on these rows, with the p value corrected over all slices and scorers.
        overall: the comparison on all rows.
    """

    tag: str
    value: str
    compared: ScorerComparison
    overall: ScorerComparison

    @property
    def is_hidden_regression(self) -> bool:
        """Whether the version is worse on the slice, and better in the mean of all rows."""
        difference = self.overall.test.difference
        return (
            self.compared.verdict == "worse" and difference is not None and bool(self.overall.scorer.better(difference))
        )


def compare_slices(comparison: VersionComparison, alpha: float = ALPHA) -> tuple[Slice, ...]:
    """Compare two versions on every slice, corrected over all slices and scorers (Holm 1979).

    A slice is a value of a tag that both rows of a pair have, with at least 6 pairs, and not all of them; tags with
    more than 20 values are no slices. Two slices of the same rows are tested once.

    Args:
        comparison: the comparison of the versions.
        alpha: the significance level of all of them together.

    Returns:
        The slices, the smallest p value first.
    """
    tested = [
        (tag, value, compare_scorer(overall.scorer, pairs), overall)
        for tag, value, pairs in _slices(comparison.rows.pairs)
        for overall in comparison.scorers
        if overall.scorer.greater_is_better is not None
    ]
    tested = [one for one in tested if one[2].test.n >= FEWEST_PAIRS]
    corrected = holm([compared.test.p for _, _, compared, _ in tested])
    slices = [
        Slice(tag, value, with_verdict(compared, p, len(tested), alpha), overall)
        for (tag, value, compared, overall), p in zip(tested, corrected, strict=True)
    ]
    return tuple(sorted(slices, key=lambda one: one.compared.test.p or 0.0))


def _slices(pairs: Sequence[RowPair]) -> list[tuple[str, str, tuple[RowPair, ...]]]:
    """The values of tags with their pairs, each set of pairs once."""
    rows: dict[str, dict[str, list[RowPair]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        sides = [dict(row.tags) for row in (*pair.first, *pair.second)]
        for tag in sorted(set.intersection(*(set(tags) for tags in sides))):
            values = {tags[tag] for tags in sides}
            if len(values) == 1:
                rows[tag][values.pop()].append(pair)
    found: dict[tuple[str, ...], tuple[str, str, tuple[RowPair, ...]]] = {}
    for tag in sorted(rows):
        if len(rows[tag]) > MOST_VALUES:
            continue
        for value, members in sorted(rows[tag].items()):
            if FEWEST_PAIRS <= len(members) < len(pairs):
                found.setdefault(tuple(pair.key for pair in members), (tag, value, tuple(members)))
    return list(found.values())
