"""Conditions and orders evaluated on RunTables, and on histories where they ask for statistics: the runs that match."""

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

    # TrackingStore.read_metric_history: the points of these runs and metrics.
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
# A param or tag is a number when it is written like this: the same in every store, so no `nan`, `inf`, `1_000` or ` 1`.
NUMBER_PATTERN = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
# One that overflows counts as the largest number, as MLflow's databases store infinity.
LARGEST = sys.float_info.max
_NUMBER = re.compile(NUMBER_PATTERN)
# ILIKE folds the letters that SQLite folds, so that it means the same in every store.
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def select_runs(
    condition: Condition | None,
    orders: Sequence[Order],
    tables: RunTables,
    read_history: ReadHistory | None = None,
) -> list[str]:
    """The ids of the runs that match, in order: by the orders, then newest first, then by run id.

    read_history: needed for statistics; asked only of runs that the conditions without any leave.
    """
    evaluation = _Evaluation(tables)
    for _ in evaluation.kept(condition, orders, read_history):
        pass
    return evaluation.ordered(evaluation.everything, orders)


def count_runs(
    condition: Condition | None, tables: RunTables, read_history: ReadHistory | None = None
) -> Iterator[tuple[Condition, int]]:
    """The conditions that must all hold, in the order in which they are evaluated, and how many runs each leaves."""
    yield from _Evaluation(tables).kept(condition, (), read_history)


class _Evaluation:
    """The tables, the runs that are left of them, and what was looked up so far."""

    def __init__(self, tables: RunTables) -> None:
        self.tables = tables
        self.everything = set(tables.run_ids)
        self.known: dict[Field, list[tuple[str, Any]]] = {}

    def kept(
        self, condition: Condition | None, orders: Sequence[Order], read_history: ReadHistory | None
    ) -> Iterator[tuple[Condition, int]]:
        """Leave only the runs for which the condition holds, part by part: each, and how many runs are left then."""
        parts = conjuncts(condition)
        statistics = needed_statistics(condition, orders)
        cheap = [part for part in parts if not needed_statistics(part, ())]
        for part in cheap:
            self.everything = self.matching(part)
            yield part, len(self.everything)
        if statistics:
            self.read_statistics(statistics, read_history)
        for part in parts:
            if part not in cheap:
                self.everything = self.matching(part)
                yield part, len(self.everything)

    def read_statistics(self, statistics: Sequence[Field], read_history: ReadHistory | None) -> None:
        """Take the statistics out of the histories of the runs that are left."""
        from qualia_lab.query.statistics import take_statistics

        if read_history is None:
            raise TypeError("statistics of metrics need their histories")
        keys = sorted({field.key for field in statistics})
        batches = read_history(sorted(self.everything), keys) if self.everything else ()
        self.known |= {field: list(of.items()) for field, of in take_statistics(batches, statistics).items()}

    def matching(self, condition: Condition) -> set[str]:
        """The ids of the runs for which the condition holds."""
        if isinstance(condition, Not):
            return self.everything - self.matching(condition.part)
        if isinstance(condition, And):
            return set.intersection(*(self.matching(part) for part in condition.parts))
        if isinstance(condition, Or):
            return set.union(*(self.matching(part) for part in condition.parts))
        values = self.values(condition.field)
        if condition.operator == "IS NULL":
            return self.everything - {run_id for run_id, _ in values}
        holds = predicate(condition)
        return self.everything.intersection(run_id for run_id, value in values if holds(value))

    def values(self, field: Field) -> list[tuple[str, Any]]:
        """(run id, value) of every run that has the field; several of a run for datasets."""
        if field not in self.known:
            self.known[field] = [(run_id, value) for run_id, value in self.read(field) if value is not None]
        return self.known[field]

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
        if field.kind == "metric":  # files hold infinity, MLflow's databases the largest number
            values = [value if value is None else min(max(value, -LARGEST), LARGEST) for value in values]
        yield from zip(table.column("run_id").to_pylist(), values, strict=True)

    def read_attribute(self, key: str) -> list[Any]:
        """One value for each run, in the order of the table."""
        runs = self.tables.runs
        if key == "duration":
            from qualia_lab.times import possible_runs

            known = possible_runs(runs)
            pairs = zip(*(known.column(name).to_pylist() for name in ("start_time", "end_time")), strict=True)
            return [None if first is None or last is None else (last - first) / 1000 for first, last in pairs]
        if key == "experiment_name":
            experiments = self.tables.experiments
            ids, names = experiments.column("experiment_id").to_pylist(), experiments.column("name").to_pylist()
            name_of = dict(zip(ids, names, strict=True))
            return [name_of.get(experiment_id) for experiment_id in runs.column("experiment_id").to_pylist()]
        values: list[Any] = runs.column(key).to_pylist()
        return [value or None for value in values] if key == "run_name" else values

    def ordered(self, run_ids: set[str], orders: Sequence[Order]) -> list[str]:
        """The runs sorted by each key in turn; the last key first, because sorting is stable."""
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
    """Whether a value that is there, as the store has it, satisfies the comparison."""
    if comparison.operator == "IS NOT NULL":
        return lambda _: True
    wanted: Any = comparison.value
    negated, _, like = comparison.operator.rpartition(" ")
    if like in ("LIKE", "ILIKE"):
        matches = _like(wanted, fold=like == "ILIKE")
        return (lambda value: not matches(value)) if negated else matches
    compare = _COMPARE[comparison.operator]
    if is_numeric(wanted) and comparison.field.kind in ("param", "tag"):
        return lambda text: _NUMBER.fullmatch(text) is not None and compare(_number(text), wanted)
    return lambda value: compare(value, wanted)


def _number(text: str) -> float:
    return min(max(float(text), -LARGEST), LARGEST)


def _like(pattern: str, *, fold: bool) -> Callable[[str], bool]:
    """LIKE as SQLite has it: `%` is any text, `_` any character, nothing escapes them.

    Piece by piece between the `%`, each at the first place where it fits, so no pattern takes more than linear time
    for each piece, as one regular expression would.
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
            found = piece.search(text, position)
            if found is None:
                return False
            position = found.start() + length
        last, length = rest[-1]
        return len(text) - length >= position and last.match(text, len(text) - length) is not None

    return matches
