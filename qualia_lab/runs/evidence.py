"""The input of the rules of findings: histories are read once for all rules, batch by batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.evidence import Evidence, collect_evidence
from qualia_lab.errors import StoreError
from qualia_lab.stores.protocol import UNREAD_HISTORIES
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.runs.loaded import Loaded

    ReadHistory = Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]]


def take_evidence(loaded: Loaded, chosen: Mapping[str, Any], keys: tuple[str, ...] | None) -> Evidence:
    """Collect what the rules need from these runs.

    Args:
        loaded: the runs.
        chosen: thresholds by rule, as `chosen_thresholds` makes them.
        keys: the metrics whose histories are read; None for all but system metrics.
    """
    limits = {
        name: getattr(chosen[rule], name)
        for rule, name in (("diverged", "growth"), ("spikes", "deviations"))
        if rule in chosen
    }
    problems = rows_with(loaded.tables.problems, "subject", [UNREAD_HISTORIES]).column("reason").to_pylist()
    unread = next(iter(problems), "")

    def collected(read: ReadHistory) -> Evidence:
        return collect_evidence(
            loaded.tables, loaded.study, loaded.labels, read, now=loaded.now, keys=keys, limits=limits
        )

    try:
        evidence = collected(loaded.store.read_metric_history)
    except StoreError as error:
        # Incomplete histories could make a rule claim something false: use none, and report the error.
        unread = error.message
        evidence = collected(lambda _ids, _keys: ())
    return replace(evidence, unread=unread.rstrip(".")) if unread else evidence
