"""Runs of one task that used different data."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.coinciding_factor import coinciding_factor
from qualia_lab.analysis.findings.finding import MOST_NAMED, Finding, Number, Rule, listed
from qualia_lab.columns import texts_of
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_COLUMNS = ("run_id", "context", "name", "digest", "source_type", "schema")
_MOST_SETS = 100  # groups of runs compared with each other
_AUTOMATIC = "dataset"  # the name that autologging gives to unnamed data

Entry = tuple[str, str, str]  # name, digest, and kind of digest
Data = frozenset[Entry]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of runs on other data than most.
    """

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task and context (training, validation, ...) in which runs used other data than most.

    Two runs used different data if a data set name that both logged has different digests of one kind, or if they share
    no name. A digest depends on what it was computed from (rows of a table, bytes of an array), so digests of different
    kinds are not compared. Runs without a data set in a context are not counted, since their data is unknown.
    """
    findings = []
    for task, context, used in _used(evidence):
        ordered = _group_by_data(used)
        others = [run_id for _, run_ids in ordered[1:] for run_id in run_ids]
        if len(ordered) > 1 and len(others) >= thresholds.fewest:
            findings.append(_finding(evidence, task, context, ordered))
    return findings


def unexamined(evidence: Evidence, _thresholds: Thresholds) -> list[str]:
    """That digests were not compared because they were computed in different ways."""
    names = set()
    for _, _, used in _used(evidence):
        digests: dict[str, dict[str, str]] = defaultdict(dict)  # by name, then by kind
        for data in used.values():
            for name, digest, kind in data:
                digests[name][kind] = digest
        names |= {name for name, by_kind in digests.items() if len(set(by_kind.values())) > 1}
    if not names:
        return []
    return [f"whether {listed(sorted(names), 3)} is the same data in all runs: its digests were computed differently"]


def _used(evidence: Evidence) -> list[tuple[Task, str, dict[str, Data]]]:
    """The logged data by task and context, then by run, for the runs included in configurations."""
    return evidence.cached("data used", lambda: list(_read_used(evidence)))


def _read_used(evidence: Evidence) -> Iterator[tuple[Task, str, dict[str, Data]]]:
    position_of = {task.experiment_id: position for position, task in enumerate(evidence.study.tasks)}
    task_of = {
        run_id: position_of[one.experiment_id] for one in evidence.study.configurations for run_id in one.run_ids
    }
    used_by_task_context: dict[tuple[int, str], dict[str, set[Entry]]] = defaultdict(lambda: defaultdict(set))
    columns = (texts_of(evidence.tables.datasets.column(name)) for name in _COLUMNS)
    for run_id, context, name, digest, source_type, schema in zip(*columns, strict=True):
        if run_id in task_of:
            entry = (name or "", digest or "", f"{source_type} {_kind(schema)}")
            used_by_task_context[task_of[run_id], context or ""][run_id].add(entry)
    for (position, context), used in sorted(used_by_task_context.items(), key=lambda item: item[0]):
        in_order = sorted(used, key=evidence.positions.__getitem__)
        yield evidence.study.tasks[position], context, {run_id: frozenset(used[run_id]) for run_id in in_order}


def _kind(schema: str | None) -> str:
    """The kind of data that a schema describes: MLflow's JSON begins with `mlflow_colspec` or `mlflow_tensorspec`."""
    return (schema or "").partition(":")[0].strip(' {"')


def _group_by_data(used: Mapping[str, Data]) -> list[tuple[Data, list[str]]]:
    """Group runs by their data, largest group first; data that cannot be compared count as the same.

    With more than _MOST_SETS different data, only those with the most frequent kind of digest are compared.
    """
    runs_on = _runs_by_data(used)
    if len(runs_on) > _MOST_SETS:
        kinds = Counter(kind for data in used.values() for _, _, kind in data)
        [(most, _)] = kinds.most_common(1)
        comparable = {run_id: frozenset(one for one in data if one[2] == most) for run_id, data in used.items()}
        runs_on = _runs_by_data({run_id: data for run_id, data in comparable.items() if data})
        return sorted(runs_on.items(), key=_largest_first)
    grouped: list[tuple[Data, list[str]]] = []
    for data, run_ids in sorted(runs_on.items(), key=_largest_first):
        same = next((position for position, (known, _) in enumerate(grouped) if not _are_different(known, data)), None)
        if same is None:
            grouped.append((data, list(run_ids)))
        else:
            grouped[same][1].extend(run_ids)
    return sorted(grouped, key=_largest_first)


def _runs_by_data(used: Mapping[str, Data]) -> dict[Data, list[str]]:
    runs_on: dict[Data, list[str]] = defaultdict(list)
    for run_id, data in used.items():
        runs_on[data].append(run_id)
    return runs_on


def _largest_first(item: tuple[Data, list[str]]) -> tuple[int, list[Entry]]:
    return -len(item[1]), sorted(item[0])


def _are_different(a: Data, b: Data) -> bool:
    """Whether two runs certainly used different data.

    Either digests of one kind differ under a name that both have; or they share neither a name nor a digest of one
    kind. Data that autologging calls `dataset` has no name that could differ.
    """
    named_a, named_b = ({(name, kind): digest for name, digest, kind in sorted(one)} for one in (a, b))
    shared = named_a.keys() & named_b.keys()
    if {name for name, _ in named_a} & {name for name, _ in named_b}:
        return any(named_a[one] != named_b[one] for one in shared)
    of_kind_a, of_kind_b = ({(kind, digest) for _, digest, kind in one} for one in (a, b))
    kinds = {kind for kind, _ in of_kind_a} & {kind for kind, _ in of_kind_b}
    without_name = any(name == _AUTOMATIC for name, _ in (*named_a, *named_b))
    return bool(kinds) and not of_kind_a & of_kind_b and not without_name


def _finding(evidence: Evidence, task: Task, context: str, ordered: list[tuple[Data, list[str]]]) -> Finding:
    others = tuple(run_id for _, run_ids in ordered[1:] for run_id in run_ids)
    factor = coinciding_factor(
        evidence.study, task, {run_id: position for position, (_, runs) in enumerate(ordered) for run_id in runs}
    )
    clauses = []
    for position, (data, run_ids) in enumerate(ordered[:MOST_NAMED]):
        on = listed((f"{name} @ {one_line(digest, 16)}" for name, digest, _ in sorted(data)), 2)
        names = aside(listed(map(evidence.name, run_ids), 3), ends=True) if position else ""
        clauses.append(f"{counted(len(run_ids), 'run')} used {on}{names}")
    further = f"; and {len(ordered) - MOST_NAMED:,} others" if len(ordered) > MOST_NAMED else ""
    where = f" in the context {one_line(context, 30)}" if context else ""
    goes_with = f" The data change together with {factor}." if factor else ""
    return Finding(
        "other_data",
        "provenance",
        "note" if factor else "warning",
        f"{evidence.prefix(task)}Not all runs used the same data{where}: {'; '.join(clauses)}{further}.{goes_with}",
        others,
        tuple(sorted({name for data, _ in ordered for name, *_ in data})),
        numbers=tuple(
            Number(f"runs on data {position + 1}", len(run_ids))
            for position, (_, run_ids) in enumerate(ordered[:MOST_NAMED])
        ),
        section="origins",
        code=(
            'runs.tables.datasets.to_pandas().assign(data=lambda rows: rows["name"] + " @ " + rows["digest"])'
            '.sort_values("data").groupby(["context", "run_id"], dropna=False)["data"].agg(", ".join)'
            '.groupby("context", dropna=False).value_counts()'
        ),
        next=f"Do not attribute a difference to {factor} alone."
        if factor
        else "Compare runs on the same data only, or run these again on the data of the others.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "other_data",
    "runs of one task logged data sets with different digests of one kind, or different names, in one context",
    "",
    Thresholds(),
    find,
    unexamined,
)
