"""The query plan of a search: which parts the store evaluates itself, and which parts this process evaluates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from qualia_lab.counts import counted
from qualia_lab.query.conditions import needed_statistics
from qualia_lab.query.evaluate import count_runs
from qualia_lab.query.parse import parse_filter, parse_order_by
from qualia_lab.query.write import filter_text, orders_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.query.conditions import Condition, Order
    from qualia_lab.query.evaluate import ReadHistory
    from qualia_lab.selection import Query
    from qualia_lab.tables import RunTables

_HISTORIES = "reads histories"

Place = Literal["database", "server", "files", "snapshot", "here"]


@dataclass(frozen=True)
class Part:
    """One step of a query plan.

    Attributes:
        place: what evaluates the step; "here" is this process.
        text: a filter, `ORDER BY …`, `LIMIT …`, or (first step) a description of the runs that are searched.
        runs: the number of runs left after the step; None where it removes none, or counting would cost too much.
        note: a remark about its cost, or "".
    """

    place: Place
    text: str
    runs: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """A query plan.

    Attributes:
        parts: the steps in the order in which they are evaluated.
        sql: the complete SQL statement for a database, otherwise "".
    """

    parts: tuple[Part, ...]
    sql: str = ""


def choice_part(query: Query, place: Place, runs: int | None) -> Part:
    """The first step: the runs that the filter is applied to."""
    if query.run_ids:
        text = f"{counted(len(query.run_ids), 'run')} by id"
    else:
        view = "" if query.view == "all" else f"{query.view} "
        count = len(query.experiment_ids)
        text = f"{view}runs of " + (counted(count, "experiment") if count else "every experiment")
    return Part(place, text, runs)


def parts_here(condition: Condition | None, tables: RunTables, read_history: ReadHistory) -> Iterator[Part]:
    """The steps of conditions that this process evaluates, with the number of runs left after each."""
    for part, runs in count_runs(condition, tables, read_history):
        yield Part("here", filter_text(part), runs, _HISTORIES if needed_statistics(part, ()) else "")


def order_parts(orders: Sequence[Order], limit: int | None, place: Place) -> Iterator[Part]:
    """The steps for sorting and for the limit, if any."""
    if orders:
        note = _HISTORIES if place == "here" and needed_statistics(None, orders) else ""
        yield Part(place, f"ORDER BY {orders_text(orders)}", note=note)
    if limit is not None:
        yield Part(place, f"LIMIT {limit}")


def explain_tables(query: Query, place: Place, tables: RunTables, read_history: ReadHistory) -> Explanation:
    """The query plan of a store that cannot filter: this process evaluates everything."""
    condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
    return Explanation(
        (
            choice_part(query, place, tables.runs.num_rows),
            *parts_here(condition, tables, read_history),
            *order_parts(orders, query.limit, "here"),
        )
    )
