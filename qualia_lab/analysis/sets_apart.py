"""What runs that went wrong share and the others do not: params, tags, code, data, day, counted and tested."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from qualia_lab.analysis.origins import origins
from qualia_lab.analysis.thresholds_apart import single_conditions

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.thresholds_apart import Relation
    from qualia_lab.study import Study
    from qualia_lab.tables import RunTables

Kind = Literal["param", "tag", "origin", "time"]
Fact = tuple[Kind, str]

# What says how a run ended is no cause of it.
_OUTCOME = re.compile(r"(?i)(.*[^a-z])?(error|exception|traceback|fail(ed|ure)?|exit_?code|status|reason)([^a-z].*)?")


@dataclass(frozen=True)
class SharedValue:
    """How often a value, or a number beyond a threshold, stands in the runs that went wrong and in the others.

    value: None where the runs have none.
    p: Fisher's exact test, one-sided: so many of them with this value by chance alone.
    corrected_p: for all conditions that could have told something, as in `thresholds_apart`.
    """

    kind: Kind
    key: str
    relation: Relation
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
    """Every value and threshold that two wrong runs have, and more often than the others; the smallest p first.

    Args:
        tables: the runs.
        study: which params and tags only repeat a configuration or name a run, and are not looked at.
        wrong: ids of runs.
        others: ids of those that went well. With none on either side there is nothing to compare.
    """
    of_wrong, asked = set(wrong), {*wrong, *others}
    run_ids = [run_id for run_id in tables.run_ids if run_id in asked]
    columns: dict[str, list[str | None]] = {}
    facts: dict[str, tuple[Fact, bool]] = {}
    for fact, values in _facts(tables, study, asked).items():
        of_runs = [values.get(run_id) for run_id in run_ids]
        for is_missing in (False, True):
            name = " ".join((*fact, "missing" if is_missing else "there"))
            columns[name] = ["" if value is None else None for value in of_runs] if is_missing else of_runs
            facts[name] = fact, is_missing
    found = []
    for one in single_conditions(columns, [run_id in of_wrong for run_id in run_ids]):
        [term] = one.terms
        fact, is_missing = facts[term.param]
        counts = one.failed_with, one.failed_with + one.failed_without
        finished = one.finished_with, one.finished_with + one.finished_without
        value = None if is_missing else term.value
        found.append(SharedValue(*fact, term.relation, value, *counts, *finished, one.p, one.corrected))
    return found


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
    facts["time", "started on"] = {
        run_id: datetime.fromtimestamp(start / 1000, UTC).date().isoformat()
        for run_id, start in starts
        if run_id in run_ids and start is not None
    }
    return facts
