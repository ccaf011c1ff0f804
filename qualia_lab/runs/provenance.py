"""Provenance of the runs and of the analysis: store, selection, times, versions, code and data."""

from __future__ import annotations

import os
import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from qualia_lab import __version__
from qualia_lab.analysis.endings import endings
from qualia_lab.analysis.origins import origins
from qualia_lab.escaping import one_line
from qualia_lab.runs.frames import datetimes
from qualia_lab.stores.snapshot.hand_over import SNAPSHOT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from qualia_lab.runs.loaded import Loaded

_VALUES_LISTED = 12
_WIDTH = 200  # characters of a value


def provenance_table(loaded: Loaded, chosen_by: Mapping[str, Any]) -> pd.DataFrame:
    """The table of `Origins.provenance`."""
    import pandas as pd

    tables = loaded.tables
    rows: list[tuple[str, str, int | None]] = [("store", _source(loaded), None)]
    for experiment in tables.experiments.to_pylist():
        inside = tables.runs.column("experiment_id").to_pylist().count(experiment["experiment_id"])
        rows.append(("experiment", f"{experiment['name']} (id {experiment['experiment_id']})", inside))
    rows += [("chosen by", words, None) for words in _chosen(chosen_by)]
    rows += [("status", one.status.lower(), len(one.run_ids)) for one in endings(tables)]
    starts = datetimes(pd.Series(tables.runs.column("start_time").to_pylist(), dtype="Int64")).dropna()
    if len(starts):
        rows.append(("first start", f"{starts.min():%Y-%m-%d %H:%M} UTC", None))
        rows.append(("last start", f"{starts.max():%Y-%m-%d %H:%M} UTC", None))
    # A snapshot was read from its store earlier, unless it was handed over to this kernel.
    if getattr(loaded.store, "source_uri", None) is None or SNAPSHOT_VARIABLE in os.environ:
        rows.append(("read", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", None))
    rows += [(name, value, None) for name, value in _versions()]
    entries = origins(tables)
    for name in sorted({name for entry in entries.values() for name in entry}):
        counts = Counter(entry[name] for entry in entries.values() if name in entry)
        listed = counts.most_common(_VALUES_LISTED)
        rows += [(name, value, count) for value, count in listed]
        if len(counts) > len(listed):
            rest = len(counts) - len(listed)
            rows.append((name, f"and {rest:,} more", sum(counts.values()) - sum(count for _, count in listed)))
        if without := len(entries) - sum(counts.values()):
            rows.append((name, "not recorded", without))
    frame = pd.DataFrame([(what, one_line(value, _WIDTH), runs) for what, value, runs in rows])
    frame.columns = pd.Index(["what", "value", "runs"])
    frame["runs"] = frame["runs"].astype("Int64").astype(object).fillna("")
    return frame.set_index("what").rename_axis(None)


def _source(loaded: Loaded) -> str:
    """The tracking URI without secrets; for a snapshot that was read in place of a store, the store's."""
    return getattr(loaded.store, "source_uri", None) or loaded.store.uri


def _chosen(chosen_by: Mapping[str, Any]) -> list[str]:
    """The conditions, one per line."""
    if chosen_by.get("run_ids"):
        return ["picked one by one"]
    words = [f"{name.replace('_', ' ')}: {_joined(value)}" for name, value in chosen_by.items() if value]
    return words or ["all runs"]


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _versions() -> Sequence[tuple[str, str]]:
    found = [("qualia-lab here", __version__), ("Python here", platform.python_version())]
    for package, name in (("mlflow", "MLflow here"), ("mlflow-skinny", "MLflow here")):
        try:
            return [*found, (name, version(package))]
        except PackageNotFoundError:
            continue
    return found
