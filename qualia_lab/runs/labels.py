"""What each run is called wherever it is shown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qualia_lab.escaping import one_line, shortened

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

_WIDTH = 60
_ID_SHOWN = 8  # characters


def labels_of(tables: RunTables) -> dict[str, str]:
    """A label per run, no two alike: its name, with its id where another run has the same name or there is none."""
    names = [one_line(name or "") for name in tables.runs.column("run_name").to_pylist()]
    counts = Counter(names)
    starts = Counter(run_id[:_ID_SHOWN] for run_id in tables.run_ids)
    told = []
    for run_id, name in zip(tables.run_ids, names, strict=True):
        short = run_id if starts[run_id[:_ID_SHOWN]] > 1 else run_id[:_ID_SHOWN]
        told.append((name if counts[name] == 1 else f"{name} ({one_line(short)})") if name else one_line(short))
    return dict(zip(tables.run_ids, shortened(told, _WIDTH), strict=True))
