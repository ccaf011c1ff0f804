"""Param values that set failed runs apart from those that finished."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import Finding, Number, Rule
from qualia_lab.columns import texts_of
from qualia_lab.escaping import one_line
from qualia_lab.study.statuses import FAILED
from qualia_lab.tables import by_key, rows_with

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """alpha: of the corrected p.  fewest: failed runs, under which a shared value means nothing."""

    alpha: float = 0.05
    fewest: int = 2


@dataclass(frozen=True)
class ValueOfFailed:
    """How runs with one value of a param ended, and how those without it.

    p: of Fisher's exact test, one-sided: as many failed runs with this value by chance alone.
    corrected: p times the number of values that could have reached alpha at all (Tarone 1990), at most 1.
    """

    param: str
    value: str
    failed_with: int
    failed_without: int
    finished_with: int
    finished_without: int
    p: float
    corrected: float

    @property
    def is_exact(self) -> bool:
        """Whether all failed runs have the value and no finished one has."""
        return not self.failed_without and not self.finished_with


def values_of_failed(evidence: Evidence, alpha: float = 0.05) -> list[ValueOfFailed]:
    """Every param value that more than one failed run has, the smallest p first; empty without failed or finished runs.

    Fisher's exact test (Fisher 1935) of failed or killed against finished runs. Values that these counts could never
    make significant are not corrected for (Tarone 1990, Biometrics 46:515).
    """
    failed = [run_id for run_id in evidence.run_ids if evidence.status[run_id] in FAILED]
    finished = [run_id for run_id in evidence.run_ids if evidence.status[run_id] == "FINISHED"]
    if not failed or not finished:
        return []
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for side, run_ids in enumerate((failed, finished)):
        for key, rows in by_key(rows_with(evidence.tables.params, "run_id", run_ids)):
            for value, how_often in Counter(texts_of(rows.column("value"))).items():
                counts[key, value][side] += how_often
    all_of_them, total = len(failed) + len(finished), len(failed)
    # One set of runs may share several values: as a test it is the same one, and counts once for the least p.
    least = [
        hypergeometric_tail(min(total, sum(both)), sum(both), total, all_of_them)
        for both in counts.values()
        if sum(both) < all_of_them
    ]
    tests = testable(sorted(least), alpha)
    rows = []
    for (param, value), (failed_with, finished_with) in counts.items():
        if failed_with < 2 or failed_with + finished_with == all_of_them:
            continue
        p = hypergeometric_tail(failed_with, failed_with + finished_with, total, all_of_them)
        rows.append(
            ValueOfFailed(
                param,
                value,
                failed_with,
                total - failed_with,
                finished_with,
                len(finished) - finished_with,
                p,
                min(1.0, p * tests),
            )
        )
    return sorted(rows, key=lambda row: (row.p, row.param, row.value))


def hypergeometric_tail(failed_with: int, with_it: int, failed: int, runs: int) -> float:
    """P(X >= failed_with) where `failed` of `runs` are drawn and `with_it` of them have the value: hypergeometric."""
    ways = sum(
        comb(with_it, k) * comb(runs - with_it, failed - k) for k in range(failed_with, min(with_it, failed) + 1)
    )
    return ways / comb(runs, failed)


def testable(least: list[float], alpha: float) -> int:
    """The smallest k for which at most k tests can reach alpha / k; at least 1."""
    k = 1
    while sum(p <= alpha / k for p in least) > k:
        k += 1
    return k


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per param value whose corrected p is small enough, and per value that failed runs alone share.

    The second is said to be possible chance where it is. Values that the same runs have are one finding, and a value
    whose failed runs all have one that says more already is none.
    """
    groups: dict[tuple[str, ...], list[ValueOfFailed]] = defaultdict(list)
    explained: set[str] = set()
    for row in values_of_failed(evidence, thresholds.alpha):
        sure = row.corrected <= thresholds.alpha
        if row.failed_with + row.failed_without < thresholds.fewest or not (sure or row.is_exact):
            continue
        run_ids = _runs_with(evidence, row)
        failed = {run_id for run_id in run_ids if evidence.status[run_id] in FAILED}
        if run_ids in groups or not explained.issuperset(failed):
            groups[run_ids].append(row)
            explained |= failed
    return [_finding(evidence, run_ids, same, thresholds.alpha) for run_ids, same in groups.items()]


def _runs_with(evidence: Evidence, row: ValueOfFailed) -> tuple[str, ...]:
    of_param = rows_with(evidence.tables.params, "key", [row.param])
    with_it = set(rows_with(of_param, "value", [row.value]).column("run_id").to_pylist())
    return tuple(
        run_id for run_id in evidence.run_ids if run_id in with_it and evidence.status[run_id] in (*FAILED, "FINISHED")
    )


def _finding(evidence: Evidence, run_ids: tuple[str, ...], same: list[ValueOfFailed], alpha: float) -> Finding:
    first = same[0]
    failed, finished = first.failed_with + first.failed_without, first.finished_with + first.finished_without
    values = " and ".join(f"{row.param} = {one_line(row.value, 40)}" for row in same[:3])
    values += f" and {len(same) - 3:,} more" if len(same) > 3 else ""
    who = (
        ("Both" if failed == 2 else f"All {failed:,}") + " failed runs"
        if not first.failed_without
        else f"{first.failed_with:,} of {failed:,} failed runs"
    )
    others = (
        f"none of the {finished:,} finished ones"
        if not first.finished_with
        else (f"{first.finished_with:,} of {finished:,} finished ones")
    )
    sure = first.corrected <= alpha
    end = f"p = {first.corrected:.2g} after correction" + ("" if sure else ", so it may be chance")
    what = (
        ("failed with it", first.failed_with),
        ("failed", failed),
        ("finished with it", first.finished_with),
        ("finished", finished),
        ("corrected p", first.corrected),
    )
    return Finding(
        "failed_apart",
        "problem",
        "problem" if sure else "note",
        f"{who} and {others} have {values} ({end}).",
        tuple(run_id for run_id in run_ids if evidence.status[run_id] in FAILED),
        tuple(row.param for row in same),
        numbers=tuple(Number(name, value) for name, value in what),
        section="params",
        code=f"runs.failures_by_value().loc[[{code.param(evidence, first.param)}]]",
    )


RULE = Rule(
    "failed_apart",
    "a param value is more frequent among failed runs than chance explains, or all failed runs have it and no other",
    "Fisher 1935; Tarone 1990",
    Thresholds(),
    find,
)
