"""What runs that went wrong share and the others do not: params, tags, code, data, day, counted and tested."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Literal

import numpy as np

from qualia_lab.analysis.fisher import log_fisher, most_significant
from qualia_lab.analysis.origins import origins
from qualia_lab.inventory import is_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from qualia_lab.study import Study
    from qualia_lab.tables import RunTables

Kind = Literal["param", "tag", "origin", "time"]
Fact = tuple[Kind, str]

# What says how a run ended is no cause of it.
_OUTCOME = re.compile(r"(?i)(.*[^a-z])?(error|exception|traceback|fail(ed|ure)?|exit_?code|status|reason)([^a-z].*)?")

ALPHA = 0.05

# A number with so many values is compared by halves: no single value of it can be shared.
_HALVED_FROM = 5


@dataclass(frozen=True)
class SharedValue:
    """How often a value stands in the runs that went wrong and in the others.

    value: None where the runs have none.
    p: Fisher's exact test, one-sided: so many of them with this value by chance alone.
    corrected_p: times the number of values that could have reached 5 % at all (Tarone 1990), at most 1; one set of runs
    counts once, whatever it shares.
    """

    kind: Kind
    key: str
    value: str | None
    wrong_with: int
    wrong: int
    others_with: int
    others: int
    p: float
    corrected_p: float


def shared_values(
    tables: RunTables, study: Study, wrong: Collection[str], others: Collection[str]
) -> list[SharedValue]:
    """Every value that two or more runs have and that stands more often in the wrong ones, the smallest p first.

    wrong, others: ids of runs, in no order; others are those that went well. With none on either side there is
    nothing to compare.
    study: which params and tags only repeat a configuration or name a run, and are not looked at.
    Fisher's exact test (Fisher 1935, "The Design of Experiments"), corrected after Tarone (1990, Biometrics 46:515): of
    many tags and params most are of one run or of nearly all, which no test could tell apart, and count as no test.
    """
    wrong, others = set(wrong), set(others) - set(wrong)
    if not wrong or not others:
        return []
    carriers: dict[tuple[Kind, str, str | None], frozenset[str]] = {}
    for (kind, key), values in _facts(tables, study, wrong | others).items():
        by_value: dict[str | None, set[str]] = defaultdict(set)
        for run_id in wrong | others:
            by_value[values.get(run_id)].add(run_id)
        carriers |= {
            (kind, key, value): frozenset(run_ids)
            for value, run_ids in by_value.items()
            if 2 <= len(run_ids) < len(wrong) + len(others)
        }
    sets = list(dict.fromkeys(carriers.values()))
    mask = np.arange(len(wrong) + len(others)) < len(wrong)
    sizes = np.array([len(run_ids) for run_ids in sets], np.int64)
    logs = log_fisher(np.array([len(run_ids & wrong) for run_ids in sets], np.int64), sizes, mask)
    p_of = dict(zip(sets, np.exp(logs).tolist(), strict=True))
    tests = most_significant(log_fisher(np.minimum(len(wrong), sizes), sizes, mask), ALPHA)
    found = [
        SharedValue(
            *(kind, key, value),
            *(len(run_ids & wrong), len(wrong), len(run_ids & others), len(others)),
            *(p_of[run_ids], min(1.0, tests * p_of[run_ids])),
        )
        for (kind, key, value), run_ids in carriers.items()
        if len(run_ids & wrong) * len(others) > len(run_ids & others) * len(wrong)
    ]
    return sorted(found, key=lambda one: (one.p, one.kind, one.key, one.value or ""))


def _facts(tables: RunTables, study: Study, run_ids: set[str]) -> dict[Fact, dict[str, str]]:
    """By what is said, the value of each run that says it."""
    aside = {(one.kind, one.key) for one in (*study.params, *study.tags) if one.role in ("seed", "label")}
    facts: dict[Fact, dict[str, str]] = defaultdict(dict)
    for row in tables.params.to_pylist():
        if row["run_id"] in run_ids and ("param", row["key"]) not in aside:
            facts["param", row["key"]][row["run_id"]] = row["value"]
    for row in tables.tags.to_pylist():
        key = row["key"]
        of_a_person = not key.startswith("mlflow.") and ("tag", key) not in aside
        if row["run_id"] in run_ids and of_a_person and not _OUTCOME.fullmatch(key):
            facts["tag", key][row["run_id"]] = row["value"]
    for run_id, entry in origins(tables).items():
        if run_id in run_ids:
            for key, value in entry.items():
                facts["origin", key][run_id] = value
    starts = zip(tables.run_ids, tables.runs.column("start_time").to_pylist(), strict=True)
    days = {run_id: _day(start) for run_id, start in starts if run_id in run_ids and start is not None}
    facts["time", "started on"] = {run_id: day for run_id, day in days.items() if day}
    for fact, values in list(facts.items()):
        if len(set(values.values())) >= _HALVED_FROM and all(map(is_number, values.values())):
            facts[fact] = _halves(values)
    return facts


def _halves(values: Mapping[str, str]) -> dict[str, str]:
    """Numbers as the half that they are in: up to the median, or above it."""
    numbers = {run_id: float(value) for run_id, value in values.items()}
    middle = median(numbers.values())
    return {run_id: f"{'≤' if number <= middle else '>'} {middle:.6g}" for run_id, number in numbers.items()}


def _day(milliseconds: int) -> str:
    """The day in UTC; "" where no calendar holds it."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""
