"""Filters of logged models and of versions without one, evaluated on ModelTables."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qualia_lab.columns import column
from qualia_lab.query.conditions import And, Comparison, Condition, Field, Not, Or
from qualia_lab.query.evaluate import predicate
from qualia_lab.query.model_parser import parse_model_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qualia_lab.genai_tables import ModelTables

    # The id of a logged model, or the name and the number of a version that has none.
    Subject = str | tuple[str, int]

__all__ = ["parse_model_filter", "select_models"]

_OF_MODELS = ("models", "outputs", "params", "tags", "metrics")
_OF_VERSIONS = ("versions", "version_tags", "aliases")


def select_models(condition: Condition | None, tables: ModelTables) -> ModelTables:
    """The models that match with their versions, and the versions without a logged model that match.

    As in MLflow: a model that lacks a field matches no comparison with it but IS NULL; one of several points of a
    metric, at whatever step and on whatever dataset, is enough. `accuracy (valid)` means the points of `accuracy` on
    the dataset `valid` only.

    Args:
        condition: the parsed filter; None matches every model.
        tables: the models.

    Returns:
        The same tables with fewer rows.
    """
    if condition is None:
        return tables
    subjects = _Subjects(tables)
    kept = subjects.matching(condition)
    versions = {place for place, owner in subjects.owners.items() if owner in kept}
    smaller = {
        name: _filtered(table, [one in kept for one in table.column("model_id").to_pylist()])
        for name in _OF_MODELS
        for table in [getattr(tables, name)]
    }
    for name in _OF_VERSIONS:
        table = getattr(tables, name)
        places = zip(table.column("name").to_pylist(), table.column("version").to_pylist(), strict=True)
        smaller[name] = _filtered(table, [place in versions for place in places])
    return replace(tables, **smaller)


def _filtered(table: pa.Table, rows: list[bool]) -> pa.Table:
    return table.filter(column(rows, pa.bool_()))


class _Subjects:
    """What can match: logged models, and versions without one."""

    def __init__(self, tables: ModelTables) -> None:
        self.tables = tables
        self.models = {row["model_id"]: row for row in tables.models.to_pylist()}
        self.versions = {(row["name"], row["version"]): row for row in tables.versions.to_pylist()}
        # What each version belongs to.
        self.owners: dict[tuple[str, int], Subject] = {
            place: row["model_id"] if row["model_id"] in self.models else place for place, row in self.versions.items()
        }

    @cached_property
    def all(self) -> set[Subject]:
        """All subjects."""
        return {*self.models, *self.owners.values()}

    def matching(self, condition: Condition) -> set[Subject]:
        """The subjects of which the condition is true."""
        if isinstance(condition, Not):
            return self.all - self.matching(condition.part)
        if isinstance(condition, And):
            return set.intersection(*map(self.matching, condition.parts))
        if isinstance(condition, Or):
            return set.union(*map(self.matching, condition.parts))
        if condition.operator == "IS NULL":
            return self.all - self.matching(Comparison(condition.field, "IS NOT NULL"))
        holds = predicate(condition)
        return {one for one, value in self.values(condition.field) if value is not None and holds(value)} & self.all

    def values(self, field: Field) -> Iterable[tuple[Subject, Any]]:
        """The values of a field with what they belong to."""
        if field.kind == "metric":
            return self._points(field.key)
        if field.kind in ("param", "tag"):
            rows = getattr(self.tables, f"{field.kind}s").to_pylist()
            return [(row["model_id"], row["value"]) for row in rows if row["key"] == field.key]
        if field.key in ("registered_name", "version", "stage"):
            name = "name" if field.key == "registered_name" else field.key
            return [(self.owners[place], row[name]) for place, row in self.versions.items()]
        if field.key == "alias":
            rows = self.tables.aliases.to_pylist()
            places = [((row["name"], row["version"]), row["alias"]) for row in rows]
            return [(self.owners[place], alias) for place, alias in places if place in self.owners]
        if field.key == "step":
            return [(row["model_id"], row["step"]) for row in self.tables.outputs.to_pylist()]
        own = [(model_id, row[field.key]) for model_id, row in self.models.items()]
        # A version without a logged model is named after its registered model.
        alone = [(place, row.get(field.key)) for place, row in self.versions.items() if self.owners[place] == place]
        return [*own, *alone]

    def _points(self, key: str) -> Iterator[tuple[Subject, float | None]]:
        for row in self.tables.metrics.to_pylist():
            if key in (row["key"], f"{row['key']} ({row['dataset_name']})"):
                yield row["model_id"], row["value"]
