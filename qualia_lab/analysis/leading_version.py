"""Which evaluated version leads by the main scorer, and from which others it can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.row_pairs import pair_rows
from qualia_lab.analysis.two_samples import holm
from qualia_lab.analysis.version_comparison import ScorerComparison, compare_scorer, with_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.analysis.evaluations import Evaluation
    from qualia_lab.analysis.scorers import Scorer
    from qualia_lab.analysis.version_comparison import Verdict


_NEARLY_ALL = 0.9  # share of the rows


@dataclass(frozen=True)
class VersionScore:
    """The mean of a version by one scorer over its own rows with a value.

    Attributes:
        run_id: the run.
        mean: the mean.
        n: the rows with a value.
        rows: all of its rows.
        failed: the rows without a value whose trace failed.
    """

    run_id: str
    mean: float
    n: int
    rows: int
    failed: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether nearly all of its rows have a value; the others may be the ones that it gets wrong."""
        return self.n >= _NEARLY_ALL * self.rows


@dataclass(frozen=True)
class Rival:
    """Another version against the one with the best mean, over the rows with the same inputs.

    Attributes:
        run_id: the run.
        verdict: what these rows say of it; p is corrected for all pairs of versions and all scorers, as in
            `compare_with_reference`.
        pairs: the number of these rows with a value on both sides.
        wins: those on which it is better than the version with the best mean.
    """

    run_id: str
    verdict: Verdict
    pairs: int
    wins: int


@dataclass(frozen=True)
class LeadingVersion:
    """The versions by the main scorer.

    Attributes:
        scorer: the scorer: the one with a known direction that tells versions apart, judged most of them, then most
            rows, and whose direction is known by its name.
        ranked: the versions with a value, the best mean first.
        rivals: all but the first of them, in the same order.
    """

    scorer: Scorer
    ranked: tuple[VersionScore, ...]
    rivals: tuple[Rival, ...]

    @property
    def is_decided(self) -> bool:
        """Whether the first has a value on nearly all of its rows, and is better than all others over the same rows."""
        return self.ranked[0].is_complete and all(one.verdict == "worse" for one in self.rivals)


def leading_version(evaluations: Sequence[Evaluation], scorers: Mapping[str, Scorer]) -> LeadingVersion | None:
    """Rank the versions by the main scorer.

    The leader is the best of k by the same rows that it is tested on, so that its lead is biased upwards; that others
    are worse is corrected for all pairs of versions.

    Args:
        evaluations: the evaluations.
        scorers: their scorers.

    Returns:
        The versions; None if no scorer has a known direction and a value.
    """
    found: tuple[tuple[bool, int, int, bool], Scorer, list[VersionScore]] | None = None
    for scorer in scorers.values():
        if scorer.greater_is_better is None:
            continue
        scores = [score for one in evaluations if (score := _score(one, scorer)) is not None]
        means = {score.mean for score in scores}
        # A scorer that says the same of all versions ranks none.
        rank = (len(means) > 1, len(scores), sum(score.n for score in scores), scorer.is_named)
        if scores and (found is None or rank > found[0]):
            sign = -1 if scorer.greater_is_better else 1
            found = rank, scorer, sorted(scores, key=lambda score: (sign * score.mean, score.run_id))
    if found is None:
        return None
    _, scorer, ranked = found
    by_run = {one.run_id: one for one in evaluations}
    compared = compare_with_reference(by_run[ranked[0].run_id], evaluations, scorers, is_leader=True)
    of_run = {
        run_id: Rival(run_id, one.verdict, one.test.n, one.wins) for run_id, one in compared if one.scorer == scorer
    }
    return LeadingVersion(scorer, tuple(ranked), tuple(of_run[one.run_id] for one in ranked[1:]))


def compare_with_reference(
    reference: Evaluation, evaluations: Sequence[Evaluation], scorers: Mapping[str, Scorer], *, is_leader: bool = False
) -> list[tuple[str, ScorerComparison]]:
    """Compare every other version with one, by every scorer that judged either; p is corrected over all of them.

    Args:
        reference: the version to compare with.
        evaluations: all versions.
        scorers: the scorers.
        is_leader: whether it is compared because it is best by these rows: p is then corrected for all pairs.

    Returns:
        (run id, comparison: the version minus the reference) pairs, by scorer, then in the order of the versions.
    """
    others = [one for one in evaluations if one.run_id != reference.run_id]
    pairs = {one.run_id: pair_rows(reference, one).pairs for one in others}
    found = [
        (one.run_id, compare_scorer(scorer, pairs[one.run_id]))
        for name, scorer in scorers.items()
        for one in others
        if name in {*one.scorer_names, *reference.scorer_names}
    ]
    ps = [one.test.p for _, one in found]
    tests = sum(p is not None for p in ps)
    if is_leader:  # each version could have been it: all pairs of versions are the family, with p of at most 1
        tests = tests * len(evaluations) // 2
        ps += [1.0] * (tests - len(ps))
    corrected = holm(ps)[: len(found)]
    return [(run_id, with_verdict(one, p, tests)) for (run_id, one), p in zip(found, corrected, strict=True)]


def _score(evaluation: Evaluation, scorer: Scorer) -> VersionScore | None:
    values = [
        number
        for row in evaluation.rows
        if scorer.name in row.judgements and (number := row.judgements[scorer.name].number(scorer)) is not None
    ]
    if not values:
        return None
    failed = sum(row.failed and scorer.name not in row.judgements for row in evaluation.rows)
    return VersionScore(evaluation.run_id, float(np.mean(values)), len(values), len(evaluation.rows), failed)
