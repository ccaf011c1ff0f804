"""Runs of one comparison that used other data."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import NAMED, Finding, Number, Rule, listed
from qualia_lab.analysis.findings.goes_with import factor_of
from qualia_lab.columns import texts_of
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study.study import Task

_COLUMNS = ("run_id", "context", "name", "digest", "source_type", "schema")
_MOST_SETS = 100  # that are compared with each other
_AUTOMATIC = "dataset"  # the name that autologging gives to data without one

Entry = tuple[str, str, str]  # name, digest, and how the digest was computed
Data = frozenset[Entry]


@dataclass(frozen=True)
class Thresholds:
    """fewest: runs on other data than most, from which on they are worth a word."""

    fewest: int = 1


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per task and context (training, validation, ...) in which runs used other data than most.

    Data are other data where a name that both runs logged has other digests of one kind, or where they share no name.
    A digest depends on what computed it (a table's rows, an array's bytes): those of different kinds are not compared.
    Runs that logged no dataset in a context are not counted: what they used is not known.
    """
    findings = []
    for task, context, used in _used(evidence):
        ordered = _sets(used)
        others = [run_id for _, run_ids in ordered[1:] for run_id in run_ids]
        if len(ordered) > 1 and len(others) >= thresholds.fewest:
            findings.append(_finding(evidence, task, context, ordered))
    return findings


def unexamined(evidence: Evidence, _thresholds: Thresholds) -> list[str]:
    """That digests were not compared, since they were computed in different ways."""
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
    """By task and context, then by run of the task that competes, the data that it logged."""
    return evidence.once("data used", lambda: list(_read_used(evidence)))


def _read_used(evidence: Evidence) -> Iterator[tuple[Task, str, dict[str, Data]]]:
    place_of = {task.experiment_id: place for place, task in enumerate(evidence.study.tasks)}
    task_of = {run_id: place_of[one.experiment_id] for one in evidence.study.configurations for run_id in one.run_ids}
    found: dict[tuple[int, str], dict[str, set[Entry]]] = defaultdict(lambda: defaultdict(set))
    columns = (texts_of(evidence.tables.datasets.column(name)) for name in _COLUMNS)
    for run_id, context, name, digest, source_type, schema in zip(*columns, strict=True):
        if run_id in task_of:
            entry = (name or "", digest or "", f"{source_type} {_kind(schema)}")
            found[task_of[run_id], context or ""][run_id].add(entry)
    for (place, context), used in sorted(found.items(), key=lambda item: item[0]):
        in_order = sorted(used, key=evidence.places.__getitem__)
        yield evidence.study.tasks[place], context, {run_id: frozenset(used[run_id]) for run_id in in_order}


def _kind(schema: str | None) -> str:
    """What sort of data a schema is of: MLflow's JSON begins with it (`mlflow_colspec`, `mlflow_tensorspec`)."""
    return (schema or "").partition(":")[0].strip(' {"')


def _sets(used: Mapping[str, Data]) -> list[tuple[Data, list[str]]]:
    """Runs in sets of the same data, the largest first; data that cannot be compared are taken for the same.

    Of very many different data only those of the most frequent kind of digest are looked at.
    """
    runs_on = _alike(used)
    if len(runs_on) > _MOST_SETS:
        kinds = Counter(kind for data in used.values() for _, _, kind in data)
        [(most, _)] = kinds.most_common(1)
        comparable = {run_id: frozenset(one for one in data if one[2] == most) for run_id, data in used.items()}
        runs_on = _alike({run_id: data for run_id, data in comparable.items() if data})
        return sorted(runs_on.items(), key=_largest_first)
    found: list[tuple[Data, list[str]]] = []
    for data, run_ids in sorted(runs_on.items(), key=_largest_first):
        same = next((place for place, (known, _) in enumerate(found) if not _are_other(known, data)), None)
        if same is None:
            found.append((data, list(run_ids)))
        else:
            found[same][1].extend(run_ids)
    return sorted(found, key=_largest_first)


def _alike(used: Mapping[str, Data]) -> dict[Data, list[str]]:
    runs_on: dict[Data, list[str]] = defaultdict(list)
    for run_id, data in used.items():
        runs_on[data].append(run_id)
    return runs_on


def _largest_first(item: tuple[Data, list[str]]) -> tuple[int, list[Entry]]:
    return -len(item[1]), sorted(item[0])


def _are_other(a: Data, b: Data) -> bool:
    """Whether two runs used other data for sure.

    Under a name that both have, digests of one kind differ; or no name is shared, nor a digest of one kind. What
    autologging calls `dataset` has no name that could differ.
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
    factor = factor_of(
        evidence.study, task, {run_id: place for place, (_, runs) in enumerate(ordered) for run_id in runs}
    )
    clauses = []
    for place, (data, run_ids) in enumerate(ordered[:NAMED]):
        on = listed((f"{name} @ {one_line(digest, 16)}" for name, digest, _ in sorted(data)), 2)
        who = aside(listed(map(evidence.name, run_ids), 3), ends=True) if place else ""
        clauses.append(f"{counted(len(run_ids), 'run')} used {on}{who}")
    more = f"; and {len(ordered) - NAMED:,} others" if len(ordered) > NAMED else ""
    where = f" in the context {one_line(context, 30)}" if context else ""
    goes_with = f" The data go with {factor}." if factor else ""
    return Finding(
        "other_data",
        "provenance",
        "note" if factor else "warning",
        f"{evidence.where(task)}Not all runs used the same data{where}: {'; '.join(clauses)}{more}.{goes_with}",
        others,
        tuple(sorted({name for data, _ in ordered for name, *_ in data})),
        numbers=tuple(
            Number(f"runs on data {place + 1}", len(run_ids)) for place, (_, run_ids) in enumerate(ordered[:NAMED])
        ),
        section="origins",
        code=(
            'runs.tables.datasets.to_pandas().assign(data=lambda rows: rows["name"] + " @ " + rows["digest"])'
            '.sort_values("data").groupby(["context", "run_id"], dropna=False)["data"].agg(", ".join)'
            '.groupby("context", dropna=False).value_counts()'
        ),
        next=f"Do not put a difference down to {factor} alone."
        if factor
        else "Compare runs on the same data only, or run these again on the data of the others.",
        experiment=evidence.experiment(task),
    )


RULE = Rule(
    "other_data",
    "runs of one task logged datasets with other digests of one kind, or other names, in one context",
    "",
    Thresholds(),
    find,
    unexamined,
)
