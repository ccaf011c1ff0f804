"""Which values, thresholds and pairs of them distinguish failed runs from finished ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.fisher import log_fisher, most_significant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Counts = NDArray[np.int64]

    _Candidate = tuple[float, "tuple[Term, ...]", Flags]  # the logarithm of p, the terms, the runs for which they hold

ALPHA = 0.05
_MOST_VALUES = 200  # distinct values of a param up to which each value and threshold is tested
_MOST_THRESHOLDS = 32  # thresholds tested for a param with more values, at equal shares of its runs
_PER_PARAM = 3  # conditions of one param that are combined with those of others
_MOST_IN_PAIRS = 24  # conditions that are combined into pairs, those with the smallest p
_CLEARLY = 0.1  # the p of a pair must be at most this fraction of the p of each of its parts

Relation = Literal["=", ">=", "<="]


@dataclass(frozen=True)
class Term:
    """A comparison of one param with a value.

    Attributes:
        param: the name of the param.
        relation: how it is compared.
        value: the value or threshold, as first written.
    """

    param: str
    relation: Relation
    value: str


@dataclass(frozen=True)
class Condition:
    """One term, or two that both hold, with counts of the runs.

    Attributes:
        terms: the terms.
        failed_with, failed_without: the failed runs for which it holds, and for which it does not.
        finished_with, finished_without: the same for the finished runs.
        p: the one-sided p value of Fisher's exact test.
        corrected: p, corrected for all tests.
        rows: the indices of the runs for which it holds.
    """

    terms: tuple[Term, ...]
    failed_with: int
    failed_without: int
    finished_with: int
    finished_without: int
    p: float
    corrected: float
    rows: tuple[int, ...]

    @property
    def is_exact(self) -> bool:
        """Whether it holds for all failed runs and for no finished one."""
        return not self.failed_without and not self.finished_with


@dataclass(frozen=True)
class _ParamConditions:
    """All single conditions of one param that are tested."""

    param: str
    codes: Counts  # index of each run's value in `texts`, -1 without one; numbers are sorted
    texts: tuple[str, ...]
    relations: tuple[tuple[Relation, int], ...]
    sizes: Counts
    failed: Counts

    def holds(self, place: int) -> Flags:
        """Whether each run meets the condition at this index, shape (runs,)."""
        relation, value = self.relations[place]
        mask: Flags = self.codes == value
        if relation == ">=":
            mask = self.codes >= value
        elif relation == "<=":
            mask = (self.codes <= value) & (self.codes >= 0)
        return mask

    def term(self, place: int) -> Term:
        """The term of the condition at this index."""
        relation, value = self.relations[place]
        return Term(self.param, relation, self.texts[value])


def failure_conditions(
    columns: Mapping[str, Sequence[str | None]], failed: Sequence[bool] | Flags, alpha: float = ALPHA
) -> list[Condition]:
    """The simplest conditions under which runs failed more often than chance explains.

    The test is Fisher's exact test (Fisher 1935), one-sided. Tested are single values, thresholds where all values of a
    param are numbers, and pairs of the most significant of these. Half of `alpha` goes to single conditions, corrected
    for the number that could be significant however the runs ended (Tarone 1990, Biometrics 46:515); the other half
    goes to pairs, corrected for all pairs of conditions (Bonferroni), because the failures decide which pairs are
    tested.

    The smallest p comes first; each further condition has to be significant on the runs that those before it leave
    unexplained. A pair must have at most a tenth of the p of each of its parts. Of conditions that hold for the same
    runs the simplest is kept, and among those the first by name.

    Args:
        columns: the text of each param in every run; None where it is missing.
        failed: whether each run failed; the others finished.
        alpha: the significance level of the corrected p value.

    Returns:
        The conditions, smallest p first.
    """
    mask = np.asarray(failed, dtype=np.bool_)
    tested = _conditions_of_all(columns, mask)
    if not tested:
        return []
    sizes = np.concatenate([of_param.sizes for of_param in tested])
    singles = _tests(sizes, mask, alpha)
    pairs = len(sizes) * (len(sizes) + 1) // 2
    conditions: list[Condition] = []
    unexplained = np.ones(len(mask), dtype=np.bool_)
    for log_p, terms, holds in _candidates(tested, mask):
        tests = math.log(2 * (singles if len(terms) == 1 else pairs))
        if max(log_p, _log_p(holds[unexplained], mask[unexplained])) + tests > math.log(alpha):
            continue
        unexplained &= ~holds
        conditions.append(_condition(terms, holds, mask, log_p, tests))
    return conditions


def single_conditions(
    columns: Mapping[str, Sequence[str | None]], failed: Sequence[bool] | Flags, alpha: float = ALPHA
) -> list[Condition]:
    """Every value and threshold of at least two failed runs that failed more often than the others, smallest p first.

    Of conditions of one param that hold for the same runs, a value takes precedence over a threshold.

    Args:
        columns: as in `failure_conditions`.
        failed: as in `failure_conditions`.
        alpha: as in `failure_conditions`; it affects only the correction of p.

    Returns:
        The conditions, significant or not.
    """
    mask = np.asarray(failed, dtype=np.bool_)
    tested = _conditions_of_all(columns, mask)
    if not tested:
        return []
    tests = math.log(2 * _tests(np.concatenate([of_param.sizes for of_param in tested]), mask, alpha))
    conditions: dict[tuple[str, tuple[int, ...]], Condition] = {}
    for of_param in tested:
        logs = log_fisher(of_param.failed, of_param.sizes, mask)
        for place in np.flatnonzero((logs < 0) & (of_param.failed > 1)).tolist():
            condition = _condition((of_param.term(place),), of_param.holds(place), mask, float(logs[place]), tests)
            conditions.setdefault((of_param.param, condition.rows), condition)
    return sorted(conditions.values(), key=lambda of_param: (of_param.p, of_param.terms[0].param, len(of_param.rows)))


def is_testable(columns: Mapping[str, Sequence[str | None]], failed: Sequence[bool] | Flags) -> bool:
    """Whether any condition can be tested; arguments as in `failure_conditions`."""
    return bool(_conditions_of_all(columns, np.asarray(failed, dtype=np.bool_)))


def _conditions_of_all(columns: Mapping[str, Sequence[str | None]], mask: Flags) -> list[_ParamConditions]:
    """The conditions of all params; none where all runs failed or none did."""
    if not mask.any() or mask.all():
        return []
    return [
        conditions
        for name in sorted(columns)
        if (conditions := _param_conditions(name, columns[name], mask)) is not None
    ]


def _tests(sizes: Counts, failed: Flags, alpha: float) -> int:
    """How many single conditions could reach half of alpha; p is corrected for twice as many tests."""
    return most_significant(log_fisher(np.minimum(sizes, failed.sum()), sizes, failed), alpha / 2)


def _condition(terms: tuple[Term, ...], holds: Flags, mask: Flags, log_p: float, tests: float) -> Condition:
    """A condition with its counts; `tests` is the logarithm of the number of tests."""
    size, failures_with, failures = int(holds.sum()), int((holds & mask).sum()), int(mask.sum())
    finished = len(mask) - failures - size + failures_with
    rows = tuple(np.flatnonzero(holds).tolist())
    p, corrected = math.exp(log_p), math.exp(min(0.0, log_p + tests))
    return Condition(terms, failures_with, failures - failures_with, size - failures_with, finished, p, corrected, rows)


def _param_conditions(param: str, values: Sequence[str | None], mask: Flags) -> _ParamConditions | None:
    """The values and thresholds of one param that at least two runs have, but not all."""
    places: dict[str | None, int] = {}
    codes = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64, len(values))
    order, texts, is_numeric = _in_order([value for value in places if value is not None])
    sorted_code = np.array([-1 if value is None else order[value] for value in places])
    codes = sorted_code[codes]
    has_value = codes >= 0
    sizes = np.bincount(codes[has_value], minlength=len(texts))
    failed = np.bincount(codes[has_value & mask], minlength=len(texts))
    relations: list[tuple[Relation, int]] = []
    counts: list[tuple[int, int]] = []
    if len(texts) <= _MOST_VALUES:
        relations += [("=", place) for place in range(len(texts))]
        counts += list(zip(sizes.tolist(), failed.tolist(), strict=True))
    if is_numeric and len(texts) > 2:
        below = np.cumsum(sizes)
        thresholds = (
            np.arange(len(texts))
            if len(texts) <= _MOST_VALUES
            else np.unique(
                np.searchsorted(below, np.linspace(0, has_value.sum(), min(len(texts), _MOST_THRESHOLDS) + 1)[1:-1])
            )
        )
        for threshold in thresholds[thresholds < len(texts) - 1].tolist():
            size_below, failed_below = int(below[threshold]), int(failed[: threshold + 1].sum())
            relations += [("<=", threshold), (">=", threshold + 1)]
            counts += [
                (size_below, failed_below),
                (int(has_value.sum()) - size_below, int(failed.sum()) - failed_below),
            ]
    usable = [place for place, (size, _) in enumerate(counts) if 1 < size < len(mask)]
    if not usable:
        return None
    table = np.array([counts[place] for place in usable], dtype=np.int64)
    return _ParamConditions(param, codes, texts, tuple(relations[place] for place in usable), table[:, 0], table[:, 1])


def _in_order(texts: list[str]) -> tuple[dict[str, int], tuple[str, ...], bool]:
    """The index of each text among the distinct values, the values as first written, and whether they are numbers."""
    try:
        numbers = {text: float(text) for text in texts}
    except ValueError:
        return {text: place for place, text in enumerate(texts)}, tuple(texts), False
    if not all(map(math.isfinite, numbers.values())):
        return {text: place for place, text in enumerate(texts)}, tuple(texts), False
    first_spelling: dict[float, str] = {}
    for text, number in numbers.items():
        first_spelling.setdefault(number, text)
    index_of = {number: place for place, number in enumerate(sorted(first_spelling))}
    return (
        {text: index_of[number] for text, number in numbers.items()},
        tuple(first_spelling[number] for number in index_of),
        True,
    )


def _candidates(tested: list[_ParamConditions], mask: Flags) -> list[_Candidate]:
    """The most significant conditions and pairs of them, smallest p first, each set of runs once."""
    ranked = []
    for of_param in tested:
        logs = log_fisher(of_param.failed, of_param.sizes, mask)
        best = np.argsort(logs, kind="stable")[:_PER_PARAM]
        ranked += [(float(logs[place]), of_param.param, int(place), of_param) for place in best]
    ranked.sort(key=lambda row: row[:3])
    candidates: dict[bytes, _Candidate] = {}
    for log_p, _, place, of_param in ranked:
        holds = of_param.holds(place)
        candidates.setdefault(holds.tobytes(), (log_p, (of_param.term(place),), holds))
        if len(candidates) == _MOST_IN_PAIRS:
            break
    for log_p, first, second in _pairs(list(candidates.values()), mask):
        both = first[2] & second[2]
        candidates.setdefault(both.tobytes(), (log_p, (*first[1], *second[1]), both))
    return sorted(candidates.values(), key=lambda row: (row[0], len(row[1])))


def _pairs(singles: list[_Candidate], mask: Flags) -> Iterator[tuple[float, _Candidate, _Candidate]]:
    """The pairs of conditions on two params that are clearly more significant than each of their parts."""
    holds = np.array([single[2] for single in singles], dtype=np.float32)
    sizes, failed = ((holds * weights) @ holds.T for weights in (np.float32(1), mask.astype(np.float32)))
    first, second = np.triu_indices(len(singles), 1)
    logs = log_fisher(failed[first, second].astype(np.int64), sizes[first, second].astype(np.int64), mask)
    log_ps = np.array([single[0] for single in singles])
    is_clear = (logs <= math.log(_CLEARLY) + np.minimum(log_ps[first], log_ps[second])) & (failed[first, second] > 1)
    for pair in np.flatnonzero(is_clear):
        a, b = singles[first[pair]], singles[second[pair]]
        if a[1][0].param != b[1][0].param:
            yield float(logs[pair]), a, b


def _log_p(holds: Flags, mask: Flags) -> float:
    """The logarithm of p for one condition."""
    return float(log_fisher(np.array([(holds & mask).sum()]), np.array([holds.sum()]), mask)[0])
