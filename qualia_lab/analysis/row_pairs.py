"""Pair the rows of two evaluations that have the same inputs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.row_keys import KEY_KINDS

if TYPE_CHECKING:
    from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow
    from qualia_lab.analysis.row_keys import KeyKind


@dataclass(frozen=True)
class RowPair:
    """The rows of two evaluations with one key; several where an evaluation has the same inputs more than once."""

    key: str
    first: tuple[EvaluationRow, ...]
    second: tuple[EvaluationRow, ...]


@dataclass(frozen=True)
class RowPairs:
    """The paired rows of two evaluations.

    Attributes:
        by: what they are paired by.
        pairs: one for each key that both have, in the order of the first evaluation.
        only_first, only_second: the rows whose key only one of them has.
        without_key: the rows of either that have no such key, as those whose request is known only in part.
        repeated: the number of pairs with several rows on a side, whose values are averaged.
    """

    by: KeyKind
    pairs: tuple[RowPair, ...]
    only_first: tuple[EvaluationRow, ...]
    only_second: tuple[EvaluationRow, ...]
    without_key: int
    repeated: int


def pair_rows(first: Evaluation, second: Evaluation) -> RowPairs:
    """Pair rows by the kind of key that pairs most of them; of equally good ones by records, then by request ids.

    Rows with the same key within an evaluation are one row of the pair, so that n counts different inputs.

    Args:
        first: the evaluation of the first version.
        second: that of the second.

    Returns:
        The pairs, and the rows without one.
    """
    found = [_paired(first, second, kind) for kind in KEY_KINDS]
    return max(found, key=lambda pairs: len(pairs.pairs))


def _paired(first: Evaluation, second: Evaluation, by: KeyKind) -> RowPairs:
    before, after = _by_key(first, by), _by_key(second, by)
    pairs = tuple(RowPair(key, tuple(rows), tuple(after[key])) for key, rows in before.items() if key and key in after)
    return RowPairs(
        by,
        pairs,
        tuple(row for key, rows in before.items() if key and key not in after for row in rows),
        tuple(row for key, rows in after.items() if key and key not in before for row in rows),
        len(before.get("", ())) + len(after.get("", ())),
        sum(len(pair.first) > 1 or len(pair.second) > 1 for pair in pairs),
    )


def _by_key(evaluation: Evaluation, by: KeyKind) -> dict[str, list[EvaluationRow]]:
    rows: dict[str, list[EvaluationRow]] = defaultdict(list)
    for row in evaluation.rows:
        rows[row.keys.of(by)].append(row)
    return dict(rows)
