"""The two sides of a comparison: which runs a text selects, and which settings, code and data differ between them."""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.analysis.differing_labels import differing_labels
from qualia_lab.analysis.differs import Differs
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

COMMIT = "mlflow.source.git.commit"
_SHOWN = 6  # values or runs listed


def read_side(tables: RunTables, study: Study, text: str, read_history: ReadHistory | None = None) -> tuple[str, ...]:
    """The runs that the text for one side of a comparison selects, in the order of the tables.

    The text is tried as a run id, then as the name of a run, then as `KEY=VALUE` of a param or tag, then as a filter in
    the language of `qualia_lab.query`.

    Args:
        tables: the tables of all runs that can be selected.
        study: the study of the same runs.
        text: as typed by the user.
        read_history: reads histories for a filter with statistics of metrics.

    Returns:
        The run ids.

    Raises:
        NoRunMatches: no run has the value or matches the filter.
        SelectionError: the text is none of these.
    """
    name_or_filter = text.strip()
    if name_or_filter in set(tables.run_ids):
        return (name_or_filter,)
    names = texts_of(tables.runs.column("run_name"))
    found = tuple(run_id for run_id, name in zip(tables.run_ids, names, strict=True) if name and name == name_or_filter)
    if found:
        return found
    key, equals, value = name_or_filter.partition("=")
    kind, key = _kind_of(tables, study, key.strip()) if equals and not key.endswith(("!", "<", ">")) else (None, "")
    if kind is None:
        return _filtered(tables, name_or_filter, read_history)
    found = _with_value(tables, kind, key, value.strip().strip("'\""))
    if found:
        return found
    try:
        return _filtered(tables, name_or_filter, read_history)
    except SelectionError:
        raise _value_error(tables, kind, key, value) from None


def _kind_of(tables: RunTables, study: Study, name: str) -> tuple[Literal["params", "tags"] | None, str]:
    """Whether a name is that of a param or a tag, and its key; None where no run has it."""
    for factor in (*study.params, *study.tags):
        if name in (factor.name, f"{factor.kind}s.{factor.key}"):
            return ("params" if factor.kind == "param" else "tags"), factor.key
    part, dot, rest = name.partition(".")
    for table, key in (("params", name), ("tags", name), (part, rest if dot else "")):
        if table in ("params", "tags") and key and rows_with(getattr(tables, table), "key", [key]).num_rows:
            return ("params" if table == "params" else "tags"), key
    return None, ""


def _with_value(tables: RunTables, kind: str, key: str, value: str) -> tuple[str, ...]:
    """The runs where a param or tag has a value, whatever its spelling."""
    rows = rows_with(getattr(tables, kind), "key", [key])
    texts = dict(zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True))
    wanted = canonical(value)
    matching = {run_id for run_id, text in texts.items() if text is not None and canonical(text) == wanted}
    return tuple(run_id for run_id in tables.run_ids if run_id in matching)


def _value_error(tables: RunTables, kind: str, key: str, value: str) -> NoRunMatches:
    """The error for a value that no run has, with the values that exist."""
    texts = texts_of(rows_with(getattr(tables, kind), "key", [key]).column("value"))
    values = list(dict.fromkeys(one_line(text, 40) for text in texts if text is not None))
    suggestions = get_close_matches(value, values, n=3) or values
    return NoRunMatches(
        f"No run has {one_line(key, 60)}={one_line(value.strip(), 60)}.",
        f"Its values are: {', '.join(suggestions[:_SHOWN])}.",
    )


def _filtered(tables: RunTables, text: str, read_history: ReadHistory | None) -> tuple[str, ...]:
    """The runs that match a filter."""
    from qualia_lab.query.evaluate import select_runs
    from qualia_lab.query.parse import parse_filter

    shown = one_line(text, 80)
    try:
        condition = parse_filter(text)
    except FilterError as error:
        names = [name for name in dict.fromkeys(texts_of(tables.runs.column("run_name"))) if name]
        suggestions = get_close_matches(text, names, n=3)
        hint = (
            f"Did you mean {', '.join(one_line(name, 60) for name in suggestions)}?" if suggestions else error.message
        )
        raise SelectionError(
            f"{shown} is no run id, no run's name, no KEY=VALUE of a param or tag, and no filter.", hint
        ) from None
    matching = set(select_runs(condition, (), tables, read_history)) if condition is not None else set()
    if not matching:
        raise NoRunMatches(f"No run matches {shown}.", "Look at the runs with: qualia runs")
    return tuple(run_id for run_id in tables.run_ids if run_id in matching)


def settings_of(study: Study, run_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """For each of these runs the values of its factors and of params tied to them, by name; seeds are left out."""
    factors = {factor.name for factor in study.factors}
    wanted = set(run_ids)
    places = sorted({study.place_of[run_id] for run_id in wanted if run_id in study.place_of})
    return {
        run_id: {name: value for name, value in configuration.settings if name in factors}
        for configuration in (study.configurations[place] for place in places)
        for run_id in configuration.run_ids
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
    """What differs between two sets of runs and could explain a difference of their results.

    Compared are the factors among params and tags, by value whatever the spelling; the commit; for data sets with the
    same name and kind of source the digest, and the names of the data sets; labels that say which commit, data or
    library a run used; and the versions of libraries. Seeds, other labels, and code, data or libraries that only one
    side records are ignored.

    Args:
        tables: the tables of the runs.
        study: the study of the same runs.
        a: the ids of the runs of side A that count.
        b: the ids of the runs of side B that count.
        environments: the version of each library, by run id; not every run needs an entry.
        also: a further param or tag to compare, whatever it is.

    Returns:
        The differences.
    """
    settings = settings_of(study, (*a, *b))
    kinds = {one.name: one.kind for one in study.factors}
    differences = [
        Differs(kinds[name], name, *sides)
        for name in kinds
        if (sides := _differing_values(*(tuple(settings.get(run, {}).get(name) for run in side) for side in (a, b))))
        is not None
    ]
    commits = _values_by_run(rows_with(tables.tags, "key", [COMMIT]), (*a, *b))
    sides = _differing_values(*(tuple(commits.get(run) for run in side) for side in (a, b)))
    if sides is not None and all(sides):
        differences.append(Differs("commit", COMMIT, *sides))
    differences += _data(tables, a, b)
    differences += [
        one
        for one in differing_labels(tables, study, a, b, also)
        if one.what != "commit" or not any(other.what == "commit" for other in differences)
    ]
    if environments:
        differences += _libraries(environments, a, b)
    return tuple(differences)


def _differing_values(
    a: Sequence[str | None], b: Sequence[str | None]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The distinct values of each side, in their order; None where both sides have the same."""
    values_by_side: list[dict[Hashable, str]] = []
    for side in (a, b):
        spelled: dict[Hashable, str] = {}
        for value in side:
            if value is not None:
                spelled.setdefault(canonical(value), value)
        values_by_side.append(spelled)
    missing = None in a, None in b
    if values_by_side[0].keys() == values_by_side[1].keys() and missing[0] == missing[1]:
        return None
    return tuple(values_by_side[0].values()), tuple(values_by_side[1].values())


def _values_by_run(rows: pa.Table, run_ids: Iterable[str]) -> dict[str, str]:
    """The values of rows by run id, for the wanted runs; empty ones are dropped."""
    wanted = set(run_ids)
    pairs = zip(texts_of(rows.column("run_id")), texts_of(rows.column("value")), strict=True)
    return {run_id: value for run_id, value in pairs if run_id in wanted and value}


def _data(tables: RunTables, a: Sequence[str], b: Sequence[str]) -> list[Differs]:
    """Data sets by their context: different names, or different digests of one name and kind of source."""
    of_side: list[dict[str, dict[tuple[str, str], set[str]]]] = []
    for side in (a, b):
        digests: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
        for row in rows_with(tables.datasets, "run_id", side).to_pylist():
            digests[row["context"] or ""][row["name"] or "", row["source_type"] or ""].add(row["digest"] or "")
        of_side.append(digests)
    differences = []
    for context in of_side[0]:
        first, second = of_side[0][context], of_side[1].get(context, {})
        names = {name for name, _ in first}, {name for name, _ in second}
        if second and names[0] != names[1]:
            differences.append(Differs("data", context or "dataset", *(tuple(sorted(one)) for one in names)))
            continue
        differences += [
            Differs(
                "data",
                f"{name} ({context})" if context else name,
                *(tuple(sorted(one[name, source])) for one in (first, second)),
            )
            for name, source in first
            if (name, source) in second and first[name, source] != second[name, source]
        ]
    return differences


def _libraries(environments: Mapping[str, Mapping[str, str]], a: Sequence[str], b: Sequence[str]) -> list[Differs]:
    """The libraries that both sides record with different versions."""
    versions_by_side: list[dict[str, set[str]]] = []
    for side in (a, b):
        versions: dict[str, set[str]] = defaultdict(set)
        for run_id in side:
            for name, version in environments.get(run_id, {}).items():
                versions[name].add(version)
        versions_by_side.append(versions)
    return [
        Differs("library", name, *(tuple(sorted(one[name])) for one in versions_by_side))
        for name in versions_by_side[0]
        if name in versions_by_side[1] and versions_by_side[0][name] != versions_by_side[1][name]
    ]


def as_json(differs: Differs) -> dict[str, Any]:
    """The JSON object of a difference: values as text, several joined, None where a side has none."""
    a, b = (", ".join(values) or None for values in (differs.a, differs.b))
    return {"what": differs.what, "key": differs.key, "a": a, "b": b}
