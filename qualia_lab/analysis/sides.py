"""The two sides of a comparison: which runs a text means, and what of their settings, code and data differs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.made_with import differing_labels
from qualia_lab.columns import texts_of
from qualia_lab.errors import FilterError, NoRunMatches, SelectionError
from qualia_lab.escaping import one_line
from qualia_lab.study.values import canonical
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.query.evaluate import ReadHistory
    from qualia_lab.study import Study
    from qualia_lab.tables import RunTables

What = Literal["param", "tag", "commit", "data", "library"]

COMMIT = "mlflow.source.git.commit"
_COMMIT_SHOWN = 8  # digits
_SHOWN = 6  # values of a side, and of those that a key has


@dataclass(frozen=True)
class Differs:
    """Something that is not the same on both sides: its values on each, () where a side has none."""

    what: What
    key: str
    a: tuple[str, ...]
    b: tuple[str, ...]

    @property
    def named(self) -> str:
        """What it is called in a sentence."""
        return "commit" if self.what == "commit" else one_line(self.key, 60)

    def shown(self, values: tuple[str, ...]) -> str:
        """The values of a side on one line; a commit by its start."""
        cut = [short_commit(value) if self.what == "commit" else one_line(value, 40) for value in values]
        more = f" and {len(cut) - _SHOWN:,} more" if len(cut) > _SHOWN else ""
        return ", ".join(cut[:_SHOWN]) + more if cut else "none"


def short_commit(commit: str) -> str:
    """The start of a commit, as long as git shows it."""
    return one_line(commit[:_COMMIT_SHOWN])


def read_side(tables: RunTables, study: Study, text: str, read_history: ReadHistory | None = None) -> tuple[str, ...]:
    """The runs that one side of a comparison means, in their order.

    It is read as a run id, else as a run's name, else as `KEY=VALUE` of a param or a tag, else as a filter in the
    language of `qualia_lab.query`.

    Args:
        tables: all runs that may be meant.
        study: of these runs.
        text: as a person writes it.
        read_history: for a filter with statistics of metrics.

    Raises:
        NoRunMatches: a key or a filter that no run meets.
        SelectionError: a text that is none of these.
    """
    asked = text.strip()
    if asked in set(tables.run_ids):
        return (asked,)
    names = texts_of(tables.runs.column("run_name"))
    found = tuple(run_id for run_id, name in zip(tables.run_ids, names, strict=True) if name and name == asked)
    if found:
        return found
    key, equals, value = asked.partition("=")
    kind, key = _kind_of(tables, study, key.strip()) if equals and not key.endswith(("!", "<", ">")) else (None, "")
    if kind is None:
        return _filtered(tables, asked, read_history)
    found = _with_value(tables, kind, key, value.strip().strip("'\""))
    if found:
        return found
    try:
        return _filtered(tables, asked, read_history)
    except SelectionError:
        raise _no_value(tables, kind, key, value) from None


def _kind_of(tables: RunTables, study: Study, name: str) -> tuple[Literal["params", "tags"] | None, str]:
    """Where a key stands, and the key there; None where no run has it."""
    for one in (*study.params, *study.tags):
        if name in (one.name, f"{one.kind}s.{one.key}"):
            return ("params" if one.kind == "param" else "tags"), one.key
    part, dot, rest = name.partition(".")
    for table, key in (("params", name), ("tags", name), (part, rest if dot else "")):
        if table in ("params", "tags") and key and rows_with(getattr(tables, table), "key", [key]).num_rows:
            return ("params" if table == "params" else "tags"), key
    return None, ""


def _with_value(tables: RunTables, kind: str, key: str, value: str) -> tuple[str, ...]:
    rows = rows_with(getattr(tables, kind), "key", [key])
    texts = dict(zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True))
    wanted = canonical(value)
    found = {run_id for run_id, text in texts.items() if text is not None and canonical(text) == wanted}
    return tuple(run_id for run_id in tables.run_ids if run_id in found)


def _no_value(tables: RunTables, kind: str, key: str, value: str) -> NoRunMatches:
    texts = texts_of(rows_with(getattr(tables, kind), "key", [key]).column("value"))
    there = list(dict.fromkeys(one_line(text, 40) for text in texts if text is not None))
    near = get_close_matches(value, there, n=3) or there
    return NoRunMatches(
        f"No run has {one_line(key, 60)}={one_line(value.strip(), 60)}.", f"Its values are: {', '.join(near[:_SHOWN])}."
    )


def _filtered(tables: RunTables, text: str, read_history: ReadHistory | None) -> tuple[str, ...]:
    from qualia_lab.query.evaluate import select_runs
    from qualia_lab.query.parse import parse_filter

    said = one_line(text, 80)
    try:
        condition = parse_filter(text)
    except FilterError as error:
        names = [name for name in dict.fromkeys(texts_of(tables.runs.column("run_name"))) if name]
        near = get_close_matches(text, names, n=3)
        hint = f"Did you mean {', '.join(one_line(name, 60) for name in near)}?" if near else error.message
        raise SelectionError(
            f"{said} is no run id, no run's name, no KEY=VALUE of a param or tag, and no filter.", hint
        ) from None
    found = set(select_runs(condition, (), tables, read_history)) if condition is not None else set()
    if not found:
        raise NoRunMatches(f"No run matches {said}.", "Look at the runs with: qualia runs")
    return tuple(run_id for run_id in tables.run_ids if run_id in found)


def settings_of(study: Study, run_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Of each of these runs the factors that it has, and those that are tied to them, by name; not its seeds."""
    factors = {one.name for one in study.factors}
    wanted = set(run_ids)
    return {
        run_id: {name: value for name, value in one.settings if name in factors}
        for one in study.configurations
        if not wanted.isdisjoint(one.run_ids)
        for run_id in one.run_ids
        if run_id in wanted
    }


def differing(
    tables: RunTables,
    study: Study,
    a: Sequence[str],
    b: Sequence[str],
    environments: Mapping[str, Mapping[str, str]] | None = None,
    *,
    also: str | None = None,
) -> tuple[Differs, ...]:
    """What two sets of runs do not have in common, of what can explain a difference of their results.

    The factors among params and tags, by their values whatever the spelling; the commit; of data sets of one name and
    kind of source the digest, and their names; labels that say with which commit, data or library a run was made; the
    versions of libraries. Seeds, other labels, and what one side does not say of its code, data and libraries, are set
    aside.

    Args:
        tables: of the runs.
        study: of the same runs.
        a: the runs of one side, which count.
        b: those of the other.
        environments: of some runs the version of each library.
        also: a param or tag that is looked at, whatever it is.
    """
    of_run = settings_of(study, (*a, *b))
    kinds = {one.name: one.kind for one in study.factors}
    found = [
        Differs(kinds[name], name, *sides)
        for name in kinds
        if (sides := _two_sides(*(tuple(of_run.get(run, {}).get(name) for run in side) for side in (a, b)))) is not None
    ]
    commits = _texts(rows_with(tables.tags, "key", [COMMIT]), (*a, *b))
    sides = _two_sides(*(tuple(commits.get(run) for run in side) for side in (a, b)))
    if sides is not None and all(sides):
        found.append(Differs("commit", COMMIT, *sides))
    found += _data(tables, a, b)
    found += [
        Differs(one.what, one.key, one.a, one.b)
        for one in differing_labels(tables, study, a, b, also)
        if one.what != "commit" or not any(other.what == "commit" for other in found)
    ]
    if environments:
        found += _libraries(environments, a, b)
    return tuple(found)


def _two_sides(a: Sequence[str | None], b: Sequence[str | None]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The different values of each side, in their order; None where both have the same."""
    told: list[dict[Hashable, str]] = []
    for side in (a, b):
        spelled: dict[Hashable, str] = {}
        for value in side:
            if value is not None:
                spelled.setdefault(canonical(value), value)
        told.append(spelled)
    missing = None in a, None in b
    if told[0].keys() == told[1].keys() and missing[0] == missing[1]:
        return None
    return tuple(told[0].values()), tuple(told[1].values())


def _texts(rows: pa.Table, run_ids: Iterable[str]) -> dict[str, str]:
    wanted = set(run_ids)
    pairs = zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True)
    return {run_id: value for run_id, value in pairs if run_id in wanted and value}


def _data(tables: RunTables, a: Sequence[str], b: Sequence[str]) -> list[Differs]:
    """Data sets by their context: other names, or other digests of one name and one kind of source."""
    of_side: list[dict[str, dict[tuple[str, str], set[str]]]] = []
    for side in (a, b):
        known: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
        for row in rows_with(tables.datasets, "run_id", side).to_pylist():
            known[row["context"] or ""][row["name"] or "", row["source_type"] or ""].add(row["digest"] or "")
        of_side.append(known)
    found = []
    for context in of_side[0]:
        first, second = of_side[0][context], of_side[1].get(context, {})
        names = {name for name, _ in first}, {name for name, _ in second}
        if second and names[0] != names[1]:
            found.append(Differs("data", context or "dataset", *(tuple(sorted(one)) for one in names)))
            continue
        found += [
            Differs(
                "data",
                f"{name} ({context})" if context else name,
                *(tuple(sorted(one[name, source])) for one in (first, second)),
            )
            for name, source in first
            if (name, source) in second and first[name, source] != second[name, source]
        ]
    return found


def _libraries(environments: Mapping[str, Mapping[str, str]], a: Sequence[str], b: Sequence[str]) -> list[Differs]:
    known: list[dict[str, set[str]]] = []
    for side in (a, b):
        versions: dict[str, set[str]] = defaultdict(set)
        for run_id in side:
            for name, version in environments.get(run_id, {}).items():
                versions[name].add(version)
        known.append(versions)
    return [
        Differs("library", name, *(tuple(sorted(one[name])) for one in known))
        for name in known[0]
        if name in known[1] and known[0][name] != known[1][name]
    ]


def as_json(differs: Differs) -> dict[str, Any]:
    """What `--json` shows of it: a value as text, several joined, None where a side has none."""
    a, b = (", ".join(values) or None for values in (differs.a, differs.b))
    return {"what": differs.what, "key": differs.key, "a": a, "b": b}
