"""Evaluate conditions and orders on RunTables, reading metric histories only where statistics are needed."""

from __future__ import annotations

import operator
import re
import sys
from typing import TYPE_CHECKING, Any

from qualia_lab.query.conditions import (
    And,
    Comparison,
    Condition,
    Field,
    Not,
    Or,
    Order,
    conjuncts,
    is_numeric,
    needed_statistics,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from qualia_lab.tables import RunTables

    # (run ids, metric keys) -> batches of points, as TrackingStore.read_metric_history returns them.
    ReadHistory = Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "IN": lambda value, values: value in values,
    "NOT IN": lambda value, values: value not in values,
}
# The text of a param or tag that counts as a number, the same in every store: not `nan`, `inf`, `1_000` or ` 1`.
NUMBER_PATTERN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
# A number that overflows counts as the largest float, which is how MLflow's databases store infinity.
LARGEST = sys.float_info.max
_NUMBER = re.compile(NUMBER_PATTERN)
# ILIKE folds ASCII letters only, as SQLite does, so that it means the same in every store.
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def select_runs(
    condition: Condition | None,
    orders: Sequence[Order],
    tables: RunTables,
    read_history: ReadHistory | None = None,
) -> list[str]:
    """The ids of the runs that match, sorted by `orders`, then newest first, then by run id.

    Args:
        condition: the parsed filter; None matches every run.
        orders: sort keys, the most significant first.
        tables: the runs; only the tables that `needed_tables` names have to be filled.
        read_history: reads metric histories; required for statistics. It is called only for the runs that are left
            after all conditions without statistics.

    Returns:
        Run ids.

    Raises:
        TypeError: statistics are used and `read_history` is None.
    """
    evaluation = _Evaluation(tables)
    for _ in evaluation.narrow(condition, orders, read_history):
        pass
    return evaluation.ordered(evaluation.remaining, orders)


def count_runs(
    condition: Condition | None, tables: RunTables, read_history: ReadHistory | None = None
) -> Iterator[tuple[Condition, int]]:
    """Each operand of the top-level AND in the order of evaluation, with the number of runs left after it."""
    yield from _Evaluation(tables).narrow(condition, (), read_history)


class _Evaluation:
    """The state of one evaluation: the tables, the runs that still match, and the field values looked up so far."""

    def __init__(self, tables: RunTables) -> None:
        self.tables = tables
        self.remaining = set(tables.run_ids)
        self.values_of: dict[Field, list[tuple[str, Any]]] = {}

    def narrow(
        self, condition: Condition | None, orders: Sequence[Order], read_history: ReadHistory | None
    ) -> Iterator[tuple[Condition, int]]:
        """Filter the runs by one part of the condition after another; yield each part and the number of runs left."""
        parts = conjuncts(condition)
        statistics = needed_statistics(condition, orders)
        cheap = [part for part in parts if not needed_statistics(part, ())]
        for part in cheap:
            self.remaining = self.matching(part)
            yield part, len(self.remaining)
        if statistics:
            self.read_statistics(statistics, read_history)
        for part in parts:
            if part not in cheap:
                self.remaining = self.matching(part)
                yield part, len(self.remaining)

    def read_statistics(self, statistics: Sequence[Field], read_history: ReadHistory | None) -> None:
        """Compute the statistics from the histories of the runs that are left."""
        from qualia_lab.query.statistics import take_statistics

        if read_history is None:
            raise TypeError("statistics of metrics need read_history")
        keys = sorted({field.key for field in statistics})
        batches = read_history(sorted(self.remaining), keys) if self.remaining else ()
        self.values_of |= {
            field: list(by_run.items()) for field, by_run in take_statistics(batches, statistics).items()
        }

    def matching(self, condition: Condition) -> set[str]:
        """The ids of the runs for which the condition is true."""
        if isinstance(condition, Not):
            return self.remaining - self.matching(condition.part)
        if isinstance(condition, And):
            return set.intersection(*(self.matching(part) for part in condition.parts))
        if isinstance(condition, Or):
            return set.union(*(self.matching(part) for part in condition.parts))
        values = self.values(condition.field)
        if condition.operator == "IS NULL":
            return self.remaining - {run_id for run_id, _ in values}
        holds = predicate(condition)
        return self.remaining.intersection(run_id for run_id, value in values if holds(value))

    def values(self, field: Field) -> list[tuple[str, Any]]:
        """(run id, value) for every run that has the field; a run with several datasets occurs several times."""
        if field not in self.values_of:
            self.values_of[field] = [(run_id, value) for run_id, value in self.read(field) if value is not None]
        return self.values_of[field]

    def read(self, field: Field) -> Iterator[tuple[str, Any]]:
        if field.kind == "attribute":
            yield from zip(self.tables.run_ids, self.read_attribute(field.key), strict=True)
            return
        table = getattr(self.tables, field.table)
        column = field.key
        if field.kind != "dataset":
            import pyarrow.compute as pc

            table, column = table.filter(pc.equal(table.column("key"), field.key)), "value"
        values = table.column(column).to_pylist()
        if field.kind == "metric":  # files hold infinity, databases the largest float
            values = [value if value is None else min(max(value, -LARGEST), LARGEST) for value in values]
        yield from zip(table.column("run_id").to_pylist(), values, strict=True)

    def read_attribute(self, key: str) -> list[Any]:
        """The values of an attribute, one for each row of the runs table."""
        runs = self.tables.runs
        if key == "duration":
            from qualia_lab.times import possible_runs

            possible = possible_runs(runs)
            pairs = zip(*(possible.column(name).to_pylist() for name in ("start_time", "end_time")), strict=True)
            return [None if first is None or last is None else (last - first) / 1000 for first, last in pairs]
        if key == "experiment_name":
            experiments = self.tables.experiments
            ids, names = experiments.column("experiment_id").to_pylist(), experiments.column("name").to_pylist()
            name_of = dict(zip(ids, names, strict=True))
            return [name_of.get(experiment_id) for experiment_id in runs.column("experiment_id").to_pylist()]
        values: list[Any] = runs.column(key).to_pylist()
        return [value or None for value in values] if key == "run_name" else values

    def ordered(self, run_ids: set[str], orders: Sequence[Order]) -> list[str]:
        """The runs sorted by all keys; the least significant key is applied first, because sorting is stable."""
        newest = Order(Field("attribute", "start_time"), descending=True)
        result = sorted(run_ids)
        for order in reversed([*orders, newest]):
            value_of = dict(self.values(order.field))
            present = [run_id for run_id in result if run_id in value_of and value_of[run_id] == value_of[run_id]]
            present.sort(key=value_of.__getitem__, reverse=order.descending)
            nan = [run_id for run_id in result if run_id in value_of and value_of[run_id] != value_of[run_id]]
            result = present + nan + [run_id for run_id in result if run_id not in value_of]
        return result


def predicate(comparison: Comparison) -> Callable[[Any], bool]:
    """A function that tells whether a value that is not null, as stored, satisfies the comparison."""
    if comparison.operator == "IS NOT NULL":
        return lambda _: True
    operand: Any = comparison.value
    negated, _, like = comparison.operator.rpartition(" ")
    if like in ("LIKE", "ILIKE", "RLIKE"):
        matches = _rlike(operand) if like == "RLIKE" else _like(operand, fold=like == "ILIKE")
        return (lambda value: not matches(value)) if negated else matches
    compare = _COMPARE[comparison.operator]
    if is_numeric(operand) and comparison.field.kind in ("param", "tag", "metadata", "span_attribute"):
        return lambda text: _NUMBER.fullmatch(text) is not None and compare(_number(text), operand)
    return lambda value: compare(value, operand)


def _number(text: str) -> float:
    return min(max(float(text), -LARGEST), LARGEST)


def _rlike(pattern: str) -> Callable[[str], bool]:
    """RLIKE as in MLflow on SQLite: a regular expression of Python that occurs somewhere in the text."""
    search = re.compile(pattern).search
    return lambda text: search(text) is not None


def _like(pattern: str, *, fold: bool) -> Callable[[str], bool]:
    """LIKE with SQLite's semantics: `%` is any text, `_` any character, and there is no escape character.

    The pieces between the `%` are matched one after the other, each at the first position where it fits. That takes
    linear time per piece; one regular expression for the whole pattern could backtrack.
    """
    pieces = (pattern.translate(ASCII_LOWER) if fold else pattern).split("%")
    first, *rest = [
        (re.compile("".join("." if char == "_" else re.escape(char) for char in piece), re.DOTALL), len(piece))
        for piece in pieces
    ]

    def matches(text: str) -> bool:
        text = text.translate(ASCII_LOWER) if fold else text
        if not rest:
            return first[0].fullmatch(text) is not None
        if first[0].match(text) is None:
            return False
        position = first[1]
        for piece, length in rest[:-1]:
            match = piece.search(text, position)
            if match is None:
                return False
            position = match.start() + length
        last, length = rest[-1]
        return len(text) - length >= position and last.match(text, len(text) - length) is not None

    return matches
