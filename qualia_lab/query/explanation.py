"""Which part of a question a store answers itself and which part is evaluated here, as a value that can be shown."""

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
    """One part of a question.

    text: a filter, `ORDER BY …`, `LIMIT …`, or the runs that all begins with.
    runs: how many are left after it; None where it changes none, or counting them would cost too much.
    """

    place: Place
    text: str
    runs: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """The parts of a question in the order in which they are answered; sql: the database's whole query, or ""."""

    parts: tuple[Part, ...]
    sql: str = ""


def choice_part(query: Query, place: Place, runs: int | None) -> Part:
    """The runs that the filter is asked of."""
    if query.run_ids:
        text = f"{counted(len(query.run_ids), 'run')} by id"
    else:
        view = "" if query.view == "all" else f"{query.view} "
        count = len(query.experiment_ids)
        text = f"{view}runs of " + (counted(count, "experiment") if count else "every experiment")
    return Part(place, text, runs)


def parts_here(condition: Condition | None, tables: RunTables, read_history: ReadHistory) -> Iterator[Part]:
    """The conditions that are evaluated here, and how many runs each leaves."""
    for part, runs in count_runs(condition, tables, read_history):
        yield Part("here", filter_text(part), runs, _HISTORIES if needed_statistics(part, ()) else "")


def order_parts(orders: Sequence[Order], limit: int | None, place: Place) -> Iterator[Part]:
    """The order and the limit, where there are any."""
    if orders:
        note = _HISTORIES if place == "here" and needed_statistics(None, orders) else ""
        yield Part(place, f"ORDER BY {orders_text(orders)}", note=note)
    if limit is not None:
        yield Part(place, f"LIMIT {limit}")


def explain_tables(query: Query, place: Place, tables: RunTables, read_history: ReadHistory) -> Explanation:
    """The explanation of a store that only reads: all is evaluated here."""
    condition, orders = parse_filter(query.filter), parse_order_by(query.order_by)
    return Explanation(
        (
            choice_part(query, place, tables.runs.num_rows),
            *parts_here(condition, tables, read_history),
            *order_parts(orders, query.limit, "here"),
        )
    )
