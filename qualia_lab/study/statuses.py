"""The statuses of runs, and which statuses count in means."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from qualia_lab.tables import RunTables

FINISHED = "FINISHED"
WITHOUT = "without a finite value"
FAILED = ("FAILED", "KILLED")
UNFINISHED = ("RUNNING", "SCHEDULED")
# Characters available in the fonts of any browser.
_SIGNS = {"FINISHED": "✓", "FAILED": "✗", "KILLED": "✗", "RUNNING": "…", "SCHEDULED": "…"}

_SEVERAL = {"copy": "copies", "parent": "parents"}
_ORDER = (*FAILED, *UNFINISHED)
_STATUSES = (FINISHED, *FAILED, *UNFINISHED)


def statuses_of(tables: RunTables) -> Mapping[str, str]:
    """FINISHED, FAILED, ... by run id; UNKNOWN if the store has no status.

    Args:
        tables: the tables of the runs.
    """

    def by_run() -> dict[str, str]:
        statuses = texts_of(tables.runs.column("status"))
        return {run_id: status or "UNKNOWN" for run_id, status in zip(tables.run_ids, statuses, strict=True)}

    return tables.once("statuses", by_run)


def status_text(status: str) -> str:
    """A status with its sign: `✓ finished`."""
    return f"{_SIGNS.get(status, '?')} {status.lower()}"


def counted_statuses(present: Iterable[str], statuses: Sequence[str] | None = None) -> tuple[str, ...]:
    """The statuses whose runs count in means: the given ones, else finished runs, else all.

    The last value of a run that did not finish is a value during training; averaged with others it does not tell what
    training yields. If no run finished, this holds for all of them, and showing them is more useful than an empty
    table.

    Args:
        present: the statuses of the runs.
        statuses: the statuses to count; None to infer them.

    Raises:
        QualiaLabError: a status that does not exist.
    """
    present = dict.fromkeys(present)
    if statuses is None:
        return (FINISHED,) if FINISHED in present else tuple(sorted(present, key=place_of))
    wanted = tuple(status.upper() for status in ([statuses] if isinstance(statuses, str) else statuses))
    for status in wanted:
        if status not in _STATUSES and status not in present:
            raise QualiaLabError(f"There is no status {one_line(status, 60)}.", f"There are {', '.join(_STATUSES)}.")
    return wanted


def left_out(status: Mapping[str, str], statuses: Sequence[str] | None = None) -> dict[str, str]:
    """The runs whose status does not count, with their status.

    Args:
        status: run id → status, for all runs.
        statuses: the statuses to count; None to infer them.
    """
    counted = counted_statuses(status.values(), statuses)
    return {run_id: one for run_id, one in status.items() if one not in counted}


def kind_of(reason: str) -> str:
    """The kind of a reason for leaving a run out: `copy` for `copy of NAME`, `continued` for `continued in NAME`.

    Args:
        reason: a reason, as in `Study.left_out`.
    """
    return reason.partition(" of ")[0].partition(" in ")[0]


def runs_with_value(
    run_ids: Sequence[str], values: Container[str], uncounted: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
    """The runs that count and have a value, and how many of the others do not for each kind of reason.

    Args:
        run_ids: the runs.
        values: the runs that have a value.
        uncounted: the reason for each run that does not count.

    Returns:
        The runs in order, and pairs of a kind of reason and a count.
    """
    scored = tuple([run_id for run_id in run_ids if run_id in values and run_id not in uncounted])
    if len(scored) == len(run_ids):
        return scored, ()
    others = (run_id for run_id in run_ids if run_id in uncounted or run_id not in values)
    reasons = Counter(kind_of(uncounted[run_id]) if run_id in uncounted else WITHOUT for run_id in others)
    return scored, tuple(reasons.items())


def counts_text(counts: Iterable[tuple[str, int]]) -> str:
    """Format counts as `2 failed, 1 running, 3 copies`, sorted by status.

    Args:
        counts: pairs of a word and a count; counts of equal words are added.
    """
    total: dict[str, int] = {}
    for word, count in counts:
        total[word] = total.get(word, 0) + count
    words = sorted(total, key=lambda word: place_of(word.upper()))
    return ", ".join(f"{total[word]:,} {_SEVERAL.get(word, word) if total[word] > 1 else word}" for word in words)


def place_of(status: str) -> tuple[int, str]:
    """Sort key for statuses: failed ones first, then unfinished ones, then the others."""
    return (_ORDER.index(status) if status in _ORDER else len(_ORDER), status)
