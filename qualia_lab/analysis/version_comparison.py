"""Compare two evaluations row by row: wins, losses and ties per scorer, tested over the paired rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.evaluations import scorers_of
from qualia_lab.analysis.paired_test import PairedTest, paired_test
from qualia_lab.analysis.row_pairs import pair_rows
from qualia_lab.analysis.two_samples import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.evaluations import Evaluation, EvaluationRow
    from qualia_lab.analysis.row_pairs import RowPair, RowPairs
    from qualia_lab.analysis.scorers import Scorer

ALPHA = 0.05

Verdict = Literal["better", "worse", "higher", "lower", "not told apart", "too few pairs to tell", "not comparable"]


@dataclass(frozen=True)
class Missing:
    """What one side lacks among the paired rows, for one scorer.

    Attributes:
        missing: pairs whose rows the scorer did not judge.
        failed: pairs whose judgements all failed or were undecided.
        no_number: pairs whose values are no numbers.
        partly_failed: pairs that have a value although some of their judgements failed; they take part.
    """

    missing: int = 0
    failed: int = 0
    no_number: int = 0
    partly_failed: int = 0


@dataclass(frozen=True)
class ScorerComparison:
    """The second version against the first by one scorer.

    Attributes:
        scorer: the scorer.
        test: the paired test over the pairs with a value on both sides, second minus first.
        keys: the keys of these pairs, in order.
        first_values, second_values: their values as numbers.
        first_lacks, second_lacks: the pairs without a value or with failed judgements, counted for each side.
        corrected: the p value corrected over the scorers (Holm 1979); None without a test.
        verdict: what it says of the second version: better or worse; higher or lower where the direction is unknown.
    """

    scorer: Scorer
    test: PairedTest
    keys: tuple[str, ...]
    first_values: tuple[float, ...]
    second_values: tuple[float, ...]
    first_lacks: Missing
    second_lacks: Missing
    corrected: float | None = None
    verdict: Verdict = "not comparable"

    @property
    def wins(self) -> int:
        """In how many pairs the second version is better; higher, where the direction is unknown."""
        return self.test.below if self.scorer.greater_is_better is False else self.test.above

    @property
    def losses(self) -> int:
        """In how many pairs the second version is worse; lower, where the direction is unknown."""
        return self.test.above if self.scorer.greater_is_better is False else self.test.below

    @property
    def ties(self) -> int:
        """In how many pairs both are equal."""
        return self.test.n - self.test.above - self.test.below

    @property
    def first_mean(self) -> float | None:
        """The mean of the first version over the pairs."""
        return float(np.mean(self.first_values)) if self.first_values else None

    @property
    def second_mean(self) -> float | None:
        """The mean of the second version over the pairs."""
        return float(np.mean(self.second_values)) if self.second_values else None


@dataclass(frozen=True)
class VersionComparison:
    """Two evaluations compared.

    Attributes:
        first_run, second_run: the ids of their runs.
        rows: the paired rows.
        scorers: the comparison by each scorer that judged either.
    """

    first_run: str
    second_run: str
    rows: RowPairs
    scorers: tuple[ScorerComparison, ...]


@dataclass(frozen=True)
class ChangedRow:
    """A pair of rows that one version gets right and the other wrong, or by which their numbers differ.

    Attributes:
        pair: the rows.
        scorer: the name of the scorer.
        first_value, second_value: the values as numbers.
        is_better: whether the second version is better; None if the direction is unknown.
        first_rationale, second_rationale: the reasons that the judges gave.
    """

    pair: RowPair
    scorer: str
    first_value: float
    second_value: float
    is_better: bool | None
    first_rationale: str
    second_rationale: str


def compare_versions(
    first: Evaluation, second: Evaluation, scorers: Mapping[str, Scorer] | None = None
) -> VersionComparison:
    """Compare the second version with the first over the rows with equal inputs.

    A failed or missing judgement is counted and takes part in no mean. The p values are corrected over the scorers.

    Args:
        first: the evaluation of the version to compare with.
        second: that of the other version.
        scorers: what the scorers are; None to read them from all values of both.

    Returns:
        The comparison.
    """
    known = scorers_of((first, second)) if scorers is None else scorers
    rows = pair_rows(first, second)
    names = sorted({*first.scorer_names, *second.scorer_names})
    compared = [compare_scorer(known[name], rows.pairs) for name in names]
    ps = [one.test.p for one in compared]
    tests = sum(p is not None for p in ps)
    return VersionComparison(
        first.run_id,
        second.run_id,
        rows,
        tuple(with_verdict(one, p, tests) for one, p in zip(compared, holm(ps), strict=True)),
    )


def compare_scorer(scorer: Scorer, pairs: Sequence[RowPair]) -> ScorerComparison:
    """Compare by one scorer over some pairs of rows, without correction and verdict."""
    sides: tuple[list[float | None], list[float | None]] = ([], [])
    lacks: list[Missing] = []
    for place in (0, 1):
        counts = {"missing": 0, "failed": 0, "no_number": 0, "partly_failed": 0}
        for pair in pairs:
            number, why = _value(scorer, pair.second if place else pair.first)
            sides[place].append(number)
            if why:
                counts[why] += 1
        lacks.append(Missing(**counts))
    both = [
        (pair.key, before, after)
        for pair, before, after in zip(pairs, *sides, strict=True)
        if before is not None and after is not None
    ]
    before, after = (np.array([one[place] for one in both], np.float64) for place in (1, 2))
    return ScorerComparison(
        scorer,
        paired_test(before, after),
        tuple(key for key, _, _ in both),
        tuple(before.tolist()),
        tuple(after.tolist()),
        lacks[0],
        lacks[1],
    )


def with_verdict(
    compared: ScorerComparison, corrected: float | None, tests: int, alpha: float = ALPHA
) -> ScorerComparison:
    """The comparison with a corrected p value and what follows from it.

    Args:
        compared: the comparison.
        corrected: the p value, corrected over the family of tests; None without a test.
        tests: the number of tests in the family: the pairs are too few where even if all of them differed in the same
            direction, the corrected p value, 2 / 2^n times this, would be above alpha.
        alpha: the significance level.
    """
    difference = compared.test.difference
    verdict: Verdict = "not told apart"
    if corrected is None or difference is None:
        verdict = "not comparable" if compared.scorer.kind in ("category", "mixed") else "too few pairs to tell"
    elif corrected <= alpha:
        words: dict[bool | None, Verdict] = {True: "better", False: "worse"}
        verdict = words.get(compared.scorer.better(difference), "higher" if difference > 0 else "lower")
    elif 2.0 ** (1 - compared.test.n) * tests > alpha:
        verdict = "too few pairs to tell"
    return replace(compared, corrected=corrected, verdict=verdict)


def changed_rows(comparison: VersionComparison, name: str) -> tuple[ChangedRow, ...]:
    """The rows by which the versions differ in one scorer: those that got worse first, then by the size of the change.

    For a binary scorer these are the rows that one version gets wrong and the other right.

    Args:
        comparison: the comparison.
        name: the name of the scorer.

    Returns:
        The rows.
    """
    compared = next(one for one in comparison.scorers if one.scorer.name == name)
    pairs = {pair.key: pair for pair in comparison.rows.pairs}
    changed = [
        ChangedRow(
            pairs[key],
            name,
            before,
            after,
            compared.scorer.better(after - before),
            _rationale(pairs[key].first, name),
            _rationale(pairs[key].second, name),
        )
        for key, before, after in zip(compared.keys, compared.first_values, compared.second_values, strict=True)
        if before != after
    ]
    return tuple(sorted(changed, key=lambda row: (row.is_better is True, -abs(row.second_value - row.first_value))))


def _value(scorer: Scorer, rows: Sequence[EvaluationRow]) -> tuple[float | None, str]:
    """The mean of the values of rows with one key, and what it or they lack: a field of Missing, "" for nothing."""
    judgements = [row.judgements[scorer.name] for row in rows if scorer.name in row.judgements]
    numbers = [number for one in judgements if (number := one.number(scorer)) is not None]
    if numbers:
        return sum(numbers) / len(numbers), "partly_failed" if any(one.error for one in judgements) else ""
    if not judgements:
        return None, "missing"
    return None, "no_number" if any(one.values for one in judgements) else "failed"


def _rationale(rows: Sequence[EvaluationRow], name: str) -> str:
    reasons = [row.judgements[name].rationale for row in rows if name in row.judgements]
    return " / ".join(dict.fromkeys(filter(None, reasons)))
