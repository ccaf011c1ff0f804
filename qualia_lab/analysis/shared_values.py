"""What runs that went wrong have in common and others do not: params, tags, code, data and day, counted and tested."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from qualia_lab.analysis.failure_conditions import single_conditions
from qualia_lab.analysis.origins import origins

if TYPE_CHECKING:
    from collections.abc import Collection

    from qualia_lab.analysis.failure_conditions import Relation
    from qualia_lab.study import Study
    from qualia_lab.tables import RunTables

Kind = Literal["param", "tag", "origin", "time"]
Fact = tuple[Kind, str]

# Tags that describe how a run ended cannot be its cause.
_OUTCOME = re.compile(r"(?i)(.*[^a-z])?(error|exception|traceback|fail(ed|ure)?|exit_?code|status|reason)([^a-z].*)?")


@dataclass(frozen=True)
class SharedValue:
    """How often a value, or a number beyond a threshold, occurs in the runs that went wrong and in the others.

    Attributes:
        kind: what the value belongs to.
        key: the name of the param, tag or other fact.
        relation: how the value is compared.
        value: the value or the threshold; None where the runs lack it.
        wrong_with, wrong: how many of the runs that went wrong have it, and how many there are.
        others_with, others: the same for the other runs.
        p: the one-sided p value of Fisher's exact test.
        corrected_p: corrected for all conditions that could have been significant, as in `failure_conditions`.
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
    """Every value and threshold that two runs that went wrong have, and more often than the others; smallest p first.

    Args:
        tables: the tables of the runs.
        study: which params and tags only repeat a configuration or name a run, and so are skipped.
        wrong: the ids of the runs that went wrong.
        others: the ids of the runs to compare to. With none on either side there is nothing to compare.

    Returns:
        The values with their counts.
    """
    wrong_ids, compared = set(wrong), {*wrong, *others}
    run_ids = [run_id for run_id in tables.run_ids if run_id in compared]
    columns: dict[str, list[str | None]] = {}
    facts: dict[str, tuple[Fact, bool]] = {}
    for fact, values in _facts(tables, study, compared).items():
        run_values = [values.get(run_id) for run_id in run_ids]
        for is_missing in (False, True):
            name = " ".join((*fact, "missing" if is_missing else "there"))
            columns[name] = ["" if value is None else None for value in run_values] if is_missing else run_values
            facts[name] = fact, is_missing
    shared = []
    for condition in single_conditions(columns, [run_id in wrong_ids for run_id in run_ids]):
        [term] = condition.terms
        fact, is_missing = facts[term.param]
        counts = condition.failed_with, condition.failed_with + condition.failed_without
        finished = condition.finished_with, condition.finished_with + condition.finished_without
        value = None if is_missing else term.value
        shared.append(SharedValue(*fact, term.relation, value, *counts, *finished, condition.p, condition.corrected))
    return shared


def _facts(tables: RunTables, study: Study, run_ids: set[str]) -> dict[Fact, dict[str, str]]:
    """The values of the runs by fact and then by run id; runs without the fact are missing."""
    ignored = {(factor.kind, factor.key) for factor in (*study.params, *study.tags) if factor.role in ("seed", "label")}
    facts: dict[Fact, dict[str, str]] = defaultdict(dict)
    for row in tables.params.to_pylist():
        if row["run_id"] in run_ids and ("param", row["key"]) not in ignored:
            facts["param", row["key"]][row["run_id"]] = row["value"]
    for row in tables.tags.to_pylist():
        key = row["key"]
        is_user_tag = not key.startswith("mlflow.") and ("tag", key) not in ignored
        if row["run_id"] in run_ids and is_user_tag and not _OUTCOME.fullmatch(key):
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
