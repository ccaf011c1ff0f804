"""What a person holds in a notebook: `runs = load_runs(TRACKING_URI, RUN_IDS)`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qualia_lab.notebook.execute import SNAPSHOT_VARIABLE
from qualia_lab.runs.artifact_comparisons import ArtifactComparisons
from qualia_lab.runs.candidates import Candidates
from qualia_lab.runs.comparisons import Comparisons
from qualia_lab.runs.curves import Curves
from qualia_lab.runs.differences import Differences
from qualia_lab.runs.failures import Failures
from qualia_lab.runs.frames import Frames
from qualia_lab.runs.galleries import Galleries
from qualia_lab.runs.pictures import Pictures
from qualia_lab.runs.provenance import Provenance
from qualia_lab.runs.relations import Relations
from qualia_lab.stores.open import open_store
from qualia_lab.stores.uri import with_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.stores.protocol import TrackingStore

__all__ = ["Runs", "load_runs"]


def load_runs(
    tracking_uri: str,
    run_ids: Sequence[str],
    *,
    primary_metric: str | None = None,
    greater_is_better: bool | None = None,
) -> Runs:
    """Read runs, all at once; those that are missing or damaged are named in the result, and the rest is there.

    tracking_uri: as in MLflow, or a path. Where it lacks a password, the one of MLFLOW_TRACKING_URI is used if that
    is the same URI otherwise.
    primary_metric, greater_is_better: by default what the experiments' tags say, else by the metrics' names.
    Raises a StoreError when the store itself cannot be read.
    """
    store = _open(tracking_uri)
    return Runs(store, store.read(list(run_ids)), primary_metric, greater_is_better)


def _open(tracking_uri: str) -> TrackingStore:
    """The store at the URI, or the snapshot of it that the executing command has left for this kernel."""
    snapshot = os.environ.get(SNAPSHOT_VARIABLE)
    if snapshot:
        from qualia_lab.stores.snapshot.store import SnapshotStore

        store = SnapshotStore(Path(snapshot))
        if store.source_uri == tracking_uri:
            return store
    return open_store(with_credentials(tracking_uri))


class Runs(
    Frames,
    Candidates,
    Comparisons,
    Differences,
    ArtifactComparisons,
    Galleries,
    Curves,
    Failures,
    Relations,
    Provenance,
    Pictures,
):
    """Some runs and everything that was read about them.

    `params`, `metrics` and `tags` are DataFrames with a row per run; `history`, `artifacts` and the methods that
    draw read what they need when they are called. `tables` are the tidy Arrow tables behind it all.
    """
