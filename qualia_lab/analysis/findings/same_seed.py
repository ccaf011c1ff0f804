"""Runs that should have the same result: equal configuration, seed, code and data."""

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
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.study import Configuration
    from qualia_lab.study.study import Setting

_WITHOUT_SEED = 0
_ORIGIN = (
    "git commit",
    "dataset",
    "source",
    "entry point",
)  # prefixes of origins that have to be equal for results to be comparable


def compared_metrics(evidence: Evidence, run_ids: Sequence[str]) -> list[str]:
    """The metrics that all these runs have with finite values: objectives, then training metrics with a direction."""
    objective, metrics = evidence.study.task_of[run_ids[0]].objective, evidence.study.metric
    others = [key for key in evidence.study.of_role("objective", "training") if metrics[key].better is not None]
    wanted = [*([objective.key] if objective else []), *others]
    values = [evidence.metrics[run_id] for run_id in run_ids]
    return [key for key in dict.fromkeys(wanted) if all(math.isfinite(one.get(key, math.nan)) for one in values)]


def has_different_values(evidence: Evidence, run_ids: Sequence[str], key: str) -> bool:
    """Whether these runs, which all have the metric, have different values of it."""
    return len({evidence.metrics[run_id][key] for run_id in run_ids}) > 1


def same_seed_different_scores(evidence: Evidence) -> Iterator[list[str]]:
    """Yield runs of one configuration with equal seed, code and data and equal length, but different scores."""
    study = evidence.study
    excluded = {*study.left_out, *evidence.diverged, *(one.run_id for one in study.short_runs)}
    # Equal repeats are one object in a study, whose identity is compared a hundred times as fast as texts.
    repeats = {id(repeat): repeat for of in study.configurations for repeat in of.repeats}
    numbers: dict[tuple[object, ...], int] = {(): _WITHOUT_SEED}
    number_of = {own: numbers.setdefault(_seeds(repeat), len(numbers)) for own, repeat in repeats.items()}
    candidates = [same for one in study.configurations for same in _runs_by_seed(one, excluded, number_of)]
    origin_of = origins(evidence.tables) if candidates else {}
    for run_ids in candidates:
        by_origin: dict[object, list[str]] = defaultdict(list)
        for run_id in run_ids:
            own = origin_of[run_id].items()
            by_origin[tuple(sorted((name, text) for name, text in own if name.startswith(_ORIGIN)))].append(run_id)
        for same in by_origin.values():
            if _differ_in_any_metric(evidence, same):
                yield same


def _seeds(repeat: tuple[Setting, ...]) -> tuple[object, ...]:
    """The seeds of a run in one spelling, sorted; () without any: a fold on its own is not a seed."""
    values = [(name, canonical(value)) for name, value in repeat]
    has_seed = any(not is_fold(name) and value != NONE for name, value in values)
    return tuple(sorted(values, key=str)) if has_seed else ()


def _runs_by_seed(
    configuration: Configuration, excluded: set[str], number_of: Mapping[int, int]
) -> Iterator[list[str]]:
    """Yield the included runs of a configuration with equal seeds; `number_of` is by the identity of a repeat."""
    seeds = [number_of[id(repeat)] for repeat in configuration.repeats]
    if len(set(seeds)) == len(seeds):
        return
    by_seed: dict[int, list[str]] = defaultdict(list)
    for run_id, seed in zip(configuration.run_ids, seeds, strict=True):
        if seed != _WITHOUT_SEED and run_id not in excluded:
            by_seed[seed].append(run_id)
    yield from (one for one in by_seed.values() if len(one) > 1)


def split_by_labels(evidence: Evidence, sets: Sequence[Sequence[str]]) -> list[list[str]]:
    """Split sets of runs by labels that may explain a difference, and return the parts with different results.

    Such labels are those whose values recur in other runs, and the user's own tags that are labels only because no
    value recurs.
    """
    if not sets:
        return []
    study, runs = evidence.study, len(evidence.run_ids)
    labels = [
        label
        for label in (*study.params, *study.tags)
        if label.role == "label" and (1 < label.values <= runs / 2 or (label.kind == "tag" and label.source == "data"))
    ]
    tags = rows_with(evidence.tables.tags, "key", [label.key for label in labels if label.kind == "tag"])
    tables = {"param": evidence.params, "tag": ByRun(evidence.positions, tags)}
    differing = []
    for run_ids in sets:
        by_labels: dict[object, list[str]] = defaultdict(list)
        for run_id in run_ids:
            by_labels[tuple(tables[one.kind][run_id].get(one.key) for one in labels)].append(run_id)
        differing += [alike for alike in by_labels.values() if _differ_in_any_metric(evidence, alike)]
    return differing


def _differ_in_any_metric(evidence: Evidence, run_ids: Sequence[str]) -> bool:
    return len(run_ids) > 1 and any(
        has_different_values(evidence, run_ids, key) for key in compared_metrics(evidence, run_ids)
    )
