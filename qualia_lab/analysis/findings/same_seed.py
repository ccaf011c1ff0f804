"""Runs that should have come to the same result: of one configuration, with the same seed, code and data."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from qualia_lab.analysis.origins import origins
from qualia_lab.by_run import ByRun
from qualia_lab.study.factor_names import is_fold
from qualia_lab.study.values import NONE, canonical
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study import Configuration

_ORIGIN = ("git commit", "dataset", "source", "entry point")  # have to agree for results to have to agree


def compared(evidence: Evidence, run_ids: Sequence[str]) -> list[str]:
    """The task's objective, and others and metrics of training of known direction, that all of these have, finite."""
    objective, metrics = evidence.study.task_of[run_ids[0]].objective, evidence.study.metric
    others = [key for key in evidence.study.of_role("objective", "training") if metrics[key].better is not None]
    wanted = [*([objective.key] if objective else []), *others]
    values = [evidence.metrics[run_id] for run_id in run_ids]
    return [key for key in dict.fromkeys(wanted) if all(math.isfinite(one.get(key, math.nan)) for one in values)]


def differ(evidence: Evidence, run_ids: Sequence[str], key: str) -> bool:
    """Whether these runs, which all have it, do not have the same value of a metric."""
    return len({evidence.metrics[run_id][key] for run_id in run_ids}) > 1


def same_seed(evidence: Evidence) -> Iterator[list[str]]:
    """Runs of one configuration with the same seed, code and data that ran as long and ended with other scores."""
    study = evidence.study
    aside = {*study.left_out, *evidence.diverged, *(one.run_id for one in study.short_runs)}
    candidates = [same for one in study.configurations for same in _alike_in_seed(one, aside)]
    said = origins(evidence.tables) if candidates else {}
    for run_ids in candidates:
        by_origin: dict[object, list[str]] = defaultdict(list)
        for run_id in run_ids:
            own = said[run_id].items()
            by_origin[tuple(sorted((name, text) for name, text in own if name.startswith(_ORIGIN)))].append(run_id)
        for same in by_origin.values():
            if _differ_in_one(evidence, same):
                yield same


def _alike_in_seed(configuration: Configuration, aside: set[str]) -> Iterator[list[str]]:
    """Its runs that count with the same seeds; where only a fold is recorded, or none, there is no seed."""
    if len(configuration.run_ids) < 2:
        return
    by_seed: dict[object, list[str]] = defaultdict(list)
    for run_id, repeat in zip(configuration.run_ids, configuration.repeats, strict=True):
        values = [(name, canonical(value)) for name, value in repeat]
        if run_id not in aside and any(not is_fold(name) and value != NONE for name, value in values):
            by_seed[tuple(sorted(values, key=str))].append(run_id)
    yield from (one for one in by_seed.values() if len(one) > 1)


def alike_in_labels(evidence: Evidence, sets: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of sets of runs those together that share the labels which may say what was different, and differ in results.

    Such are labels whose values come again in other runs, and tags of the person's own that are labels only since no
    value comes again.
    """
    study, runs = evidence.study, len(evidence.run_ids)
    labels = [
        one
        for one in (*study.params, *study.tags)
        if one.role == "label" and (1 < one.values <= runs / 2 or (one.kind == "tag" and one.source == "data"))
    ]
    tags = rows_with(evidence.tables.tags, "key", [one.key for one in labels if one.kind == "tag"])
    tables = {"param": evidence.params, "tag": ByRun(evidence.places, tags)}
    found = []
    for run_ids in sets:
        by_labels: dict[object, list[str]] = defaultdict(list)
        for run_id in run_ids:
            by_labels[tuple(tables[one.kind][run_id].get(one.key) for one in labels)].append(run_id)
        found += [alike for alike in by_labels.values() if _differ_in_one(evidence, alike)]
    return found


def _differ_in_one(evidence: Evidence, run_ids: Sequence[str]) -> bool:
    return len(run_ids) > 1 and any(differ(evidence, run_ids, key) for key in compared(evidence, run_ids))
