"""Which values, thresholds and pairs of them set failed runs apart from those that finished."""

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

    _Candidate = tuple[float, "tuple[Term, ...]", Flags]  # the logarithm of p

ALPHA = 0.05
_MOST_VALUES = 200  # of a param, up to which each value and each threshold is asked
_MOST_THRESHOLDS = 32  # of a param of more values, at equal shares of its runs
_PER_PARAM = 3
_MOST_IN_PAIRS = 24  # conditions of which pairs are made, those with the smallest p
_CLEARLY = 0.1  # a pair has to have a tenth of the p of each of its parts

Relation = Literal["=", ">=", "<="]


@dataclass(frozen=True)
class Term:
    """One param, how it is compared, and with what."""

    param: str
    relation: Relation
    value: str


@dataclass(frozen=True)
class Condition:
    """One term or two that hold together, and how the runs ended for which they hold and for which they do not.

    p: of Fisher's exact test, one-sided.  corrected: for everything that was asked.  rows: the places of the runs for
    which it holds.
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
class _Asked:
    """All single conditions of one param: `holds(place)` gives the runs of one of them."""

    param: str
    codes: Counts  # of every run the place of its value in `texts`, -1 where it has none; of numbers in their order
    texts: tuple[str, ...]
    relations: tuple[tuple[Relation, int], ...]
    sizes: Counts
    failed: Counts

    def holds(self, place: int) -> Flags:
        relation, value = self.relations[place]
        found: Flags = self.codes == value
        if relation == ">=":
            found = self.codes >= value
        elif relation == "<=":
            found = (self.codes <= value) & (self.codes >= 0)
        return found

    def term(self, place: int) -> Term:
        relation, value = self.relations[place]
        return Term(self.param, relation, self.texts[value])


def conditions_apart(
    columns: Mapping[str, Sequence[str | None]], failed: Sequence[bool] | Flags, alpha: float = ALPHA
) -> list[Condition]:
    """The conditions under which runs failed more often than chance explains, the simplest that explain them.

    Fisher's exact test (Fisher 1935), one-sided. Asked are single values, thresholds where all values of a param are
    numbers, and pairs of the most telling of these. Half of `alpha` goes to the single ones, corrected for as many as
    could be significant however the runs ended (Tarone 1990, Biometrics 46:515), half to the pairs, corrected for all
    pairs of conditions (Bonferroni), since which are looked at depends on what failed.

    The smallest p comes first; each further condition has to explain as much of the runs that those before it leave.
    A pair has to have a tenth of the p of each of its parts; of conditions that hold for the same runs the simplest
    is kept, and of these the first by name.

    Args:
        columns: of each param its text in every run; None where it has none.
        failed: of every run whether it failed; the others finished.
        alpha: of the corrected p.
    """
    mask = np.asarray(failed, dtype=np.bool_)
    asked = _all_asked(columns, mask)
    if not asked:
        return []
    sizes = np.concatenate([one.sizes for one in asked])
    singles = _tests(sizes, mask, alpha)
    pairs = len(sizes) * (len(sizes) + 1) // 2
    found: list[Condition] = []
    left = np.ones(len(mask), dtype=np.bool_)
    for log_p, terms, holds in _candidates(asked, mask):
        tests = math.log(2 * (singles if len(terms) == 1 else pairs))
        if max(log_p, _log_p(holds[left], mask[left])) + tests > math.log(alpha):
            continue
        left &= ~holds
        found.append(_condition(terms, holds, mask, log_p, tests))
    return found


def single_conditions(
    columns: Mapping[str, Sequence[str | None]], failed: Sequence[bool] | Flags, alpha: float = ALPHA
) -> list[Condition]:
    """Every value and threshold of two failed runs or more that failed more often than the others, smallest p first.

    Arguments and numbers are those of `conditions_apart`. Of conditions of one param that hold for the same runs the
    value is told before the threshold.
    """
    mask = np.asarray(failed, dtype=np.bool_)
    asked = _all_asked(columns, mask)
    if not asked:
        return []
    tests = math.log(2 * _tests(np.concatenate([one.sizes for one in asked]), mask, alpha))
    found: dict[tuple[str, tuple[int, ...]], Condition] = {}
    for one in asked:
        logs = log_fisher(one.failed, one.sizes, mask)
        for place in np.flatnonzero((logs < 0) & (one.failed > 1)).tolist():
            condition = _condition((one.term(place),), one.holds(place), mask, float(logs[place]), tests)
            found.setdefault((one.param, condition.rows), condition)
    return sorted(found.values(), key=lambda one: (one.p, one.terms[0].param, len(one.rows)))


def _all_asked(columns: Mapping[str, Sequence[str | None]], mask: Flags) -> list[_Asked]:
    """What is asked of all params; nothing where all runs failed, or none did."""
    if not mask.any() or mask.all():
        return []
    return [one for name in sorted(columns) if (one := _asked(name, columns[name], mask)) is not None]


def _tests(sizes: Counts, mask: Flags, alpha: float) -> int:
    """How many single conditions half of alpha could make significant: p is corrected for twice as many."""
    return most_significant(log_fisher(np.minimum(sizes, mask.sum()), sizes, mask), alpha / 2)


def _condition(terms: tuple[Term, ...], holds: Flags, mask: Flags, log_p: float, tests: float) -> Condition:
    """tests: the logarithm of their number."""
    with_it, both, failures = int(holds.sum()), int((holds & mask).sum()), int(mask.sum())
    finished = len(mask) - failures - with_it + both
    rows = tuple(np.flatnonzero(holds).tolist())
    p, corrected = math.exp(log_p), math.exp(min(0.0, log_p + tests))
    return Condition(terms, both, failures - both, with_it - both, finished, p, corrected, rows)


def _asked(param: str, values: Sequence[str | None], mask: Flags) -> _Asked | None:
    """The values and thresholds of one param that two runs or more have, and not all."""
    places: dict[str | None, int] = {}
    codes = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64, len(values))
    order, texts, is_numeric = _in_order([value for value in places if value is not None])
    new = np.array([-1 if value is None else order[value] for value in places])
    codes = new[codes]
    has = codes >= 0
    sizes = np.bincount(codes[has], minlength=len(texts))
    failed = np.bincount(codes[has & mask], minlength=len(texts))
    relations: list[tuple[Relation, int]] = []
    counts: list[tuple[int, int]] = []
    if len(texts) <= _MOST_VALUES:
        relations += [("=", place) for place in range(len(texts))]
        counts += list(zip(sizes.tolist(), failed.tolist(), strict=True))
    if is_numeric and len(texts) > 2:
        below = np.cumsum(sizes)
        cuts = (
            np.arange(len(texts))
            if len(texts) <= _MOST_VALUES
            else np.unique(
                np.searchsorted(below, np.linspace(0, has.sum(), min(len(texts), _MOST_THRESHOLDS) + 1)[1:-1])
            )
        )
        for cut in cuts[cuts < len(texts) - 1].tolist():
            up_to, failed_up_to = int(below[cut]), int(failed[: cut + 1].sum())
            relations += [("<=", cut), (">=", cut + 1)]
            counts += [(up_to, failed_up_to), (int(has.sum()) - up_to, int(failed.sum()) - failed_up_to)]
    kept = [place for place, (size, _) in enumerate(counts) if 1 < size < len(mask)]
    if not kept:
        return None
    table = np.array([counts[place] for place in kept], dtype=np.int64)
    return _Asked(param, codes, texts, tuple(relations[place] for place in kept), table[:, 0], table[:, 1])


def _in_order(texts: list[str]) -> tuple[dict[str, int], tuple[str, ...], bool]:
    """Of every text its place among the different values, the values as first written, whether they are numbers."""
    try:
        numbers = {text: float(text) for text in texts}
    except ValueError:
        return {text: place for place, text in enumerate(texts)}, tuple(texts), False
    if not all(map(math.isfinite, numbers.values())):
        return {text: place for place, text in enumerate(texts)}, tuple(texts), False
    written: dict[float, str] = {}
    for text, number in numbers.items():
        written.setdefault(number, text)
    ordered = {number: place for place, number in enumerate(sorted(written))}
    return (
        {text: ordered[number] for text, number in numbers.items()},
        tuple(written[number] for number in ordered),
        True,
    )


def _candidates(asked: list[_Asked], mask: Flags) -> list[_Candidate]:
    """The most telling conditions and pairs of them, the smallest p first, each set of runs once."""
    ranked = []
    for one in asked:
        logs = log_fisher(one.failed, one.sizes, mask)
        best = np.argsort(logs, kind="stable")[:_PER_PARAM]
        ranked += [(float(logs[place]), one.param, int(place), one) for place in best]
    ranked.sort(key=lambda row: row[:3])
    found: dict[bytes, _Candidate] = {}
    for log_p, _, place, one in ranked:
        holds = one.holds(place)
        found.setdefault(holds.tobytes(), (log_p, (one.term(place),), holds))
        if len(found) == _MOST_IN_PAIRS:
            break
    for log_p, first, second in _pairs(list(found.values()), mask):
        both = first[2] & second[2]
        found.setdefault(both.tobytes(), (log_p, (*first[1], *second[1]), both))
    return sorted(found.values(), key=lambda row: (row[0], len(row[1])))


def _pairs(singles: list[_Candidate], mask: Flags) -> Iterator[tuple[float, _Candidate, _Candidate]]:
    """The pairs of conditions on two params that say clearly more than each of their parts."""
    holds = np.array([single[2] for single in singles], dtype=np.float32)
    sizes, failed = ((holds * of_them) @ holds.T for of_them in (np.float32(1), mask.astype(np.float32)))
    first, second = np.triu_indices(len(singles), 1)
    logs = log_fisher(failed[first, second].astype(np.int64), sizes[first, second].astype(np.int64), mask)
    alone = np.array([single[0] for single in singles])
    is_clear = (logs <= math.log(_CLEARLY) + np.minimum(alone[first], alone[second])) & (failed[first, second] > 1)
    for pair in np.flatnonzero(is_clear):
        a, b = singles[first[pair]], singles[second[pair]]
        if a[1][0].param != b[1][0].param:
            yield float(logs[pair]), a, b


def _log_p(holds: Flags, mask: Flags) -> float:
    return float(log_fisher(np.array([(holds & mask).sum()]), np.array([holds.sum()]), mask)[0])
