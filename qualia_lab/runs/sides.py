"""Compare two sides of the loaded runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.runs.environments import environments_of_some

if TYPE_CHECKING:
    from qualia_lab.analysis.compare import SideComparison
    from qualia_lab.runs.loaded import Loaded

_RUNS_READ_PER_SIDE = 3  # runs per side whose library versions are looked up: each costs several requests to a server


def compare(loaded: Loaded, a: str, b: str, metric: str | None, claimed: str | None) -> SideComparison:
    """Compare two sides, see `Runs.compare`."""
    from qualia_lab.analysis.compare import compare_sides
    from qualia_lab.analysis.sides import read_side

    loaded.check_metrics([metric] if metric is not None else [])
    sides = [read_side(loaded.tables, loaded.study, text, loaded.store.read_metric_history) for text in (a, b)]
    run_ids = [run_id for side in sides for run_id in side[:_RUNS_READ_PER_SIDE]]
    return compare_sides(
        loaded.tables,
        loaded.study,
        sides[0],
        sides[1],
        metric,
        claimed,
        labels=(a, b),
        environments=environments_of_some(loaded.store, loaded.tables, run_ids),
        without=loaded.diverged,
    )
