"""How runs ended, and whose values count in means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qualia_lab.tables import RunTables

FINISHED = "FINISHED"
WITHOUT = "without a finite value"
FAILED = ("FAILED", "KILLED")
UNFINISHED = ("RUNNING", "SCHEDULED")

_SEVERAL = {"copy": "copies", "parent": "parents"}
_ORDER = (*FAILED, *UNFINISHED)
_STATUSES = (FINISHED, *FAILED, *UNFINISHED)


def statuses_of(tables: RunTables) -> dict[str, str]:
    """FINISHED, FAILED, ... by run id; UNKNOWN where the store has no status."""
    return {
        run_id: status or "UNKNOWN"
        for run_id, status in zip(tables.run_ids, texts_of(tables.runs.column("status")), strict=True)
    }


def counted_statuses(present: Iterable[str], statuses: Sequence[str] | None = None) -> tuple[str, ...]:
    """The statuses whose runs count in means: these, or those that finished; where none did, all that are present.

    A run that did not finish has the last value that it came to, and no mean of it with others says what training
    gives. Where no run finished, all are alike in that, and a look at what there is says more than an empty table.
    Raises QualiaLabError for a word that is no status.
    """
    present = dict.fromkeys(present)
    if statuses is None:
        return (FINISHED,) if FINISHED in present else tuple(sorted(present, key=place_of))
    wanted = tuple(status.upper() for status in ([statuses] if isinstance(statuses, str) else statuses))
    for status in wanted:
        if status not in _STATUSES and status not in present:
            raise QualiaLabError(f"There is no status {one_line(status, 60)}.", f"There are {', '.join(_STATUSES)}.")
    return wanted


def left_out(status: dict[str, str], statuses: Sequence[str] | None = None) -> dict[str, str]:
    """The status of every run that is in no mean, by run id; status: of all runs."""
    counted = counted_statuses(status.values(), statuses)
    return {run_id: one for run_id, one in status.items() if one not in counted}


def kind_of(reason: str) -> str:
    """What runs that are left out are counted by: `copy` of `copy of NAME`, `continued` of `continued in NAME`."""
    return reason.partition(" of ")[0].partition(" in ")[0]


def counts_text(counts: Iterable[tuple[str, int]]) -> str:
    """`2 failed, 1 running, 3 copies`, in the order of endings."""
    total: dict[str, int] = {}
    for word, count in counts:
        total[word] = total.get(word, 0) + count
    words = sorted(total, key=lambda word: place_of(word.upper()))
    return ", ".join(f"{total[word]:,} {_SEVERAL.get(word, word) if total[word] > 1 else word}" for word in words)


def place_of(status: str) -> tuple[int, str]:
    """What statuses are sorted by: failed ones first, then those without an end, then the rest."""
    return (_ORDER.index(status) if status in _ORDER else len(_ORDER), status)
