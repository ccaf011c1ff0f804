"""The displayed name of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables


def labels_of(tables: RunTables) -> dict[str, str]:
    """A distinct label per run: its name, with its id if the name is empty or not unique."""
    run_ids = tables.run_ids
    names = [name or "" for name in tables.runs.column("run_name").to_pylist()]
    return dict(zip(run_ids, distinct_names(names, run_ids), strict=True))
