"""The runs of a notebook whose artifacts its generated cells show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.endings import endings
from qualia_lab.sections.section import RUNS_SHOWN
from qualia_lab.study.statuses import FAILED

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# The artifacts of this many failed runs are always included, because their logs show the cause.
_FAILED_RUNS = 10


def runs_with_artifacts(tables: RunTables) -> list[str]:
    """Return the ids of the first runs, the first failed runs and the last run, each once.

    Args:
        tables: the tables of the runs, in the order of the notebook.
    """
    failed = [run_id for ending in endings(tables) if ending.status in FAILED for run_id in ending.run_ids]
    return list(dict.fromkeys((*tables.run_ids[:RUNS_SHOWN], *failed[:_FAILED_RUNS], *tables.run_ids[-1:])))
