"""The input of the rules of findings: histories are read once for all rules, batch by batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings.evidence import Evidence, collect_evidence
from qualia_lab.errors import StoreError
from qualia_lab.runs.evaluated import models_of_runs, traces_of_runs
from qualia_lab.stores.protocol import UNREAD_HISTORIES, ReadsGenAI
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.runs.loaded import Loaded

    ReadHistory = Callable[[Sequence[str], Sequence[str]], Iterable[pa.RecordBatch]]


KEPT = "evidence for findings"
_MOST_KEPT = 100_000  # histories: 25 MB, and 32 MB of points at most


def evidence_for_findings(loaded: Loaded) -> Evidence:
    """Collect what the rules need with the usual thresholds, and keep it for the findings, which come soon after."""
    evidence = take_evidence(loaded, {}, None)
    if len(evidence.series.run) <= _MOST_KEPT:
        loaded.answers[KEPT] = evidence
    return evidence


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
        if rule in chosen and getattr(chosen[rule], name) != getattr(type(chosen[rule]), name)
    }
    if keys is None and not limits and KEPT in loaded.answers:
        kept: Evidence = loaded.answers[KEPT]
        return kept
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
    return replace(evidence, unread=unread.rstrip("."), **_of_mlflow_3(loaded))


def _of_mlflow_3(loaded: Loaded) -> dict[str, Any]:
    """The models, traces and evaluation datasets of the runs, as far as there are any and they can be read."""
    store = loaded.store
    if not isinstance(store, ReadsGenAI):
        return {}
    try:
        models, traces = models_of_runs(loaded), traces_of_runs(loaded)
        found: dict[str, Any] = {"models": models if models.models.num_rows + models.versions.num_rows else None}
        if traces.traces.num_rows:
            experiments = loaded.tables.experiments.column("experiment_id").to_pylist()
            datasets = store.read_evaluation_datasets(experiments)
            found |= {"traces": traces, "evaluation_datasets": datasets, "read_spans": store.read_spans}
    except StoreError:
        return {}
    return found
