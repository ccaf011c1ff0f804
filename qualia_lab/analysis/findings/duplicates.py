"""The same configuration with the same seed, more than once."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import code
from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, count, listed
from qualia_lab.analysis.origins import origins
from qualia_lab.columns import texts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.evidence import Evidence

_SAME = ("git commit", "dataset", "source", "entry point")  # of the origins: they have to agree as well


@dataclass(frozen=True)
class Thresholds:
    """fewest_params: that runs have to share before sharing all means anything.  digits: to which values are equal."""

    fewest_params: int = 1
    digits: int = 6


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Finished runs of one experiment that are equal in every param, in commit, source and datasets.

    Where every metric of the model is equal too, to six digits or to rounding and but for times, they are one run
    logged twice. Where one differs and the params hold a seed, a seed does not determine the result. Without a seed
    they are repetitions, and nothing is said.
    """
    said = origins(evidence.tables)
    homes = zip(
        *(texts_of(evidence.tables.runs.column(name)) for name in ("experiment_id", "parent_run_id")), strict=True
    )
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for run_id, home in zip(evidence.run_ids, homes, strict=True):
        if evidence.status[run_id] != "FINISHED" or evidence.params.how_many(run_id) < max(1, thresholds.fewest_params):
            continue
        origin = tuple(sorted((name, text) for name, text in said[run_id].items() if name.startswith(_SAME)))
        alike[home, origin, evidence.params.digest(run_id)].append(run_id)
    twice, unsteady = [], []
    for run_ids in alike.values():
        results = {run_id: _results(evidence, run_id) for run_id in run_ids} if len(run_ids) > 1 else {}
        same = _equal_sets(results, int(thresholds.digits))
        twice += [equal for equal in same if len(equal) > 1]
        if len(same) > 1 and any(map(evidence.is_seed, evidence.params[run_ids[0]])):
            unsteady.append([equal[0] for equal in same])
    return [
        *([_finding(evidence, twice, equal=True)] if twice else []),
        *([_finding(evidence, unsteady, equal=False)] if unsteady else []),
    ]


def _equal_sets(results: dict[str, dict[str, float]], digits: int) -> list[list[str]]:
    """Runs in sets of equal results, each compared with the first of a set; runs without any are left out.

    Of the sets only those are looked at that are near enough in the metric with the most values: among ten thousand
    repetitions hardly any, and to compare each with each would take hours.
    """
    distinct: dict[str, set[float]] = defaultdict(set)
    for values in results.values():
        for key, value in values.items():
            distinct[key].add(value)
    same: list[list[str]] = []
    by_first: dict[tuple[str, ...], list[tuple[float, int]]] = defaultdict(list)  # sorted; the sets by place
    for run_id, values in results.items():
        if not values:
            continue
        keys = tuple(sorted(values))
        value = values[max(keys, key=lambda key: len(distinct[key]))]
        place_of = value if math.isfinite(value) else math.inf
        near = 1e-3 + abs(place_of) * 10.0 ** (1 - digits) if math.isfinite(value) else 0.0
        known = by_first[keys]
        start = bisect_left(known, (place_of - near, -1))
        stop = bisect_left(known, (place_of + near, len(results)))
        candidates = sorted(place for _, place in known[start:stop])
        like = next((at for at in candidates if _are_equal(results[same[at][0]], values, digits)), None)
        if like is not None:
            same[like].append(run_id)
        else:
            insort(known, (place_of, len(same)))
            same.append([run_id])
    return same


def _results(evidence: Evidence, run_id: str) -> dict[str, float]:
    """The latest values that have to be equal."""
    return {key: value for key, value in evidence.metrics[run_id].items() if not _is_time(key)}


def _are_equal(a: dict[str, float], b: dict[str, float], digits: int) -> bool:
    """Whether two runs have the same metrics, with values equal to so many digits or to the rounding of one of them."""
    return a.keys() == b.keys() and all(_same_value(a[key], b[key], digits) for key in a)


def _same_value(a: float, b: float, digits: int = 6) -> bool:
    return f"{a:.{digits}g}" == f"{b:.{digits}g}" or _is_rounded(a, b) or _is_rounded(b, a)


def _is_rounded(value: float, rounded: float) -> bool:
    """Whether the second is the first, rounded to the three decimals or more that it has."""
    decimals = len(repr(rounded).partition(".")[2])
    return decimals >= 3 and math.isfinite(value) and "e" not in repr(rounded) and round(value, decimals) == rounded


@lru_cache(maxsize=4096)
def _is_time(key: str) -> bool:
    # TT is what PyCaret calls the time that training took.
    return key.lower() == "tt" or any(
        word in key.lower() for word in ("time", "duration", "second", "latency", "throughput", "per_sec")
    )


def _finding(evidence: Evidence, sets: Sequence[Sequence[str]], *, equal: bool) -> Finding:
    clauses, numbers = [], []
    key = _shown_metric(evidence, sets, equal=equal)
    for run_ids in sets[:NAMED]:
        params = len(evidence.params[run_ids[0]])
        clause = f"{listed(map(evidence.name, run_ids))} ({count(params, 'param')}"
        numbers.append(Number("params", params, run_ids[0]))
        shown = [run_id for run_id in run_ids[:NAMED] if math.isfinite(evidence.metrics[run_id].get(key, math.nan))]
        if shown:
            values = [evidence.metrics[run_id][key] for run_id in (shown[:1] if equal else shown)]
            clause += f", {key} {listed(_apart(values))}"
            numbers += [Number(key, value, run_id) for value, run_id in zip(values, shown, strict=False)]
        clauses.append(f"{clause})")
    more = f"; and {len(sets) - NAMED:,} more sets" if len(sets) > NAMED else ""
    shown_runs = [run_id for run_ids in sets[:NAMED] for run_id in run_ids[:NAMED]]
    seed = ", seed included," if any(map(evidence.is_seed, evidence.params[sets[0][0]])) else ""
    what = (
        f"are equal in every param{seed} and, to rounding, in every metric but times"
        if equal
        else "are equal in every param, seed included, and in the code and data that they name, and differ in results"
    )
    return Finding(
        "duplicates",
        "warning",
        f"Runs that {what}: {'; '.join(clauses)}{more}.",
        tuple(run_id for run_ids in sets for run_id in run_ids),
        (key,) if key else (),
        numbers=tuple(numbers),
        section="params",
        code=f"runs.overview(metrics=[{code.metric(evidence, key) if key else ''}])"
        f".iloc[{code.places(evidence, shown_runs)}]",
    )


def _apart(values: Sequence[float]) -> list[str]:
    """The values with so many digits that those which differ look different, six at most."""
    texts = [[f"{value:.{digits}g}" for value in values] for digits in (4, 5, 6)]
    return next((said for said in texts if len(set(said)) == len(set(texts[-1]))), texts[-1])


def _shown_metric(evidence: Evidence, sets: Sequence[Sequence[str]], *, equal: bool) -> str:
    """The metric whose values are named: the primary one, or one in which the runs differ where it does not."""
    metrics = [evidence.metrics[run_id] for run_id in sets[0]]
    keys = [key for key in (evidence.primary_metric, *evidence.keys) if key and all(key in one for one in metrics)]
    if not equal:
        differing = [
            key
            for key in keys
            if not _is_time(key) and not all(_same_value(metrics[0][key], one[key]) for one in metrics[1:])
        ]
        keys = differing or keys
    return keys[0] if keys else ""


RULE = Rule(
    "duplicates",
    "finished runs of one experiment agree in every param, in code and in data: one run twice when every metric agrees "
    "too, a seed that does not determine the result when one does not",
    "",
    Thresholds(),
    find,
)
