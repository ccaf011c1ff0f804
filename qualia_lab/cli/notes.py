"""What a command says beside its output: excluded runs, masked values, and what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab import console
from qualia_lab.counts import and_more

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from qualia_lab.selection import Selection
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.tables import RunTables

_MOST_LISTED = 5  # unreadable runs and values that are listed; the others are only counted


def print_notes(selection: Selection, tables: RunTables, shown: Callable[[str], bool] | None = None) -> None:
    """Print what the output does not show: excluded runs, masked values and what could not be read.

    Args:
        selection: the selected runs.
        tables: the tables that the output was made from.
        shown: whether the output shows what has a name in `masked_keys`; None if it shows everything.
    """
    from qualia_lab.masking.tables import masked_keys

    print_excluded(selection)
    print_masked(list(filter(shown, masked_keys(tables))))
    print_unread(tables)


def print_excluded(selection: Selection) -> None:
    """Print how many runs named by id are excluded, and why; and notes on how the filter was read."""
    from qualia_lab.no_runs import describe_named_runs

    for note in selection.query.notes:
        console.say(note)
    if selection.excluded or selection.missing:
        console.say(describe_named_runs(selection))


def print_masked(masked: Sequence[str], command: str = "runs") -> None:
    """Print which names were masked in the output, and which command shows their values."""
    from qualia_lab.escaping import for_terminal

    if masked:
        names = and_more(list(map(for_terminal, masked)), 10)
        console.say(
            f"masked, as they look like secrets: {names}; qualia {command} --show-secrets shows them on a terminal"
        )


def print_left_out(store: TrackingStore) -> None:
    """Print what of people's words was left out of all that was read from a store."""
    from qualia_lab.stores.masked import left_out_of

    for sentence in left_out_of(store):
        console.say(sentence)


def print_unread(tables: RunTables) -> None:
    """Print which runs are missing and what could not be read."""
    lines = [f"run {row['run_id']} is missing: {row['reason']}" for row in tables.missing.to_pylist()]
    for row in tables.problems.to_pylist():
        of_run = "" if row["run_id"] is None else f"run {row['run_id']}: "
        lines.append(f"{of_run}{row['subject']}: {row['reason']}")
    _print_lines(lines)


def print_problems(problems: pa.Table) -> None:
    """Print what could not be read of models or traces (schema.UNREAD)."""
    _print_lines([f"{row['subject']}: {row['reason']}" for row in problems.to_pylist()])


def _print_lines(lines: Sequence[str]) -> None:
    """Print the first lines, and how many others there are."""
    from qualia_lab.escaping import for_terminal

    for line in lines[:_MOST_LISTED]:
        console.say(for_terminal(line))
    if len(lines) > _MOST_LISTED:
        console.say(f"and {len(lines) - _MOST_LISTED:,} more that could not be read.")
