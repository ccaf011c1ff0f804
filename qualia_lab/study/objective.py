"""Choose the objective of a task, and list the other metrics that could be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.columns import numbers_of, whole
from qualia_lab.study.metric_names import read_name, stored_key
from qualia_lab.study.metrics import PRIMARY_TAG, direction_of
from qualia_lab.study.study import Objective

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.study.settings import Better, Source, StudySettings
    from qualia_lab.study.study import Metric

# XGBoost numbers its evaluation sets and stops early by the last one; the first is often the training data.
_EVALUATION_SET = re.compile(r"validation_(\d+)-")


@dataclass(frozen=True)
class Presence:
    """Which metrics the runs of one task have.

    Attributes:
        runs_with: by key, how many runs have a finite latest value.
        steps: by key, the highest last step.
        varies: by key, whether the values differ.
        experiment_tags: keys and values of the tags of the experiment.
        keys: all keys.
        pairs: two arrays with an entry per finite value: the index of its key in `keys`, and of its run.
    """

    runs_with: Mapping[str, int]
    steps: Mapping[str, int]
    varies: Mapping[str, bool]
    experiment_tags: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    pairs: tuple[np.ndarray, np.ndarray] = field(
        default_factory=lambda: (np.empty(0, np.int32), np.empty(0, np.int32)), repr=False, compare=False
    )

    def runs_with_any(self, keys: Collection[str]) -> int:
        """How many runs have any of these metrics."""
        wanted = np.fromiter((key in keys for key in self.keys), np.bool_, len(self.keys))
        keys_of, runs_of = self.pairs
        return len(np.unique(runs_of[wanted[keys_of]])) if len(keys_of) else 0


def presence_of(metrics: pa.Table, experiment_tags: Sequence[tuple[str, str]] = ()) -> Presence:
    """Count the metrics of a task.

    Args:
        metrics: the latest values of its runs, without runs that do not compete.
        experiment_tags: keys and values of the tags of its experiment.
    """
    rows = metrics.filter(pc.is_finite(metrics.column("value")))
    if not rows.num_rows:
        return Presence({}, {}, {}, tuple(experiment_tags))
    keys = whole(rows.column("key")).dictionary_encode()
    names, codes = tuple(keys.dictionary.to_pylist()), numbers_of(keys.indices)
    runs = numbers_of(whole(rows.column("run_id")).dictionary_encode().indices)
    values, steps = numbers_of(rows.column("value")), numbers_of(rows.column("step"))
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    last = np.zeros(len(names), np.int64)
    np.minimum.at(lowest, codes, values)
    np.maximum.at(highest, codes, values)
    np.maximum.at(last, codes, steps)
    return Presence(
        runs_with=dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)),
        steps=dict(zip(names, last.tolist(), strict=True)),
        varies=dict(zip(names, (lowest < highest).tolist(), strict=True)),
        experiment_tags=tuple(experiment_tags),
        keys=names,
        pairs=(codes, runs),
    )


def choose_objective(metrics: Sequence[Metric], settings: StudySettings, presence: Presence) -> Objective | None:
    """Choose the objective of a task; None if no metric can be.

    The order of precedence is: the user, the project's settings, the tag of the experiment; then by name: validation
    before training, scores before losses, and metrics of more runs first. A requested metric that this task does not
    have is ignored.

    Args:
        metrics: all metrics; those that no run of the task has are ignored.
        settings: settings that override what is inferred.
        presence: the metrics that the runs of the task have.
    """
    present = {one.key: one for one in metrics if presence.runs_with.get(one.key)}
    ranked = _ranked(list(present.values()), presence)
    for one in ranked:  # a metric that was split is meant by its key, too: the first of its series
        present.setdefault(stored_key(one.key), one)
    chosen, source = _inferred(present, ranked, presence)
    if settings.metric in present:
        requested, origin = present[settings.metric], settings.source("metric")
        # A notebook's cell contains the inferred metric; it counts as a user's choice only if it was changed.
        if origin != "unknown" or chosen is None or requested.key != chosen.key:
            chosen, source = requested, settings.source_or_person("metric")
    if chosen is None:
        return None
    rivals = tuple(one.key for one in ranked if one.key != chosen.key and one.role == "objective")
    return Objective(chosen.key, _direction(chosen, settings, presence), source, rivals)


def _inferred(
    present: Mapping[str, Metric], ranked: Sequence[Metric], presence: Presence
) -> tuple[Metric | None, Source]:
    """The objective if no setting names one: by the tag of the experiment, else the first of the ranked metrics."""
    for name, value in presence.experiment_tags:
        if name == PRIMARY_TAG and value in present:
            return present[value], "tag"
    if not ranked:
        return None, "unknown"
    return ranked[0], "name" if read_name(ranked[0].key).known else ranked[0].source


def _direction(chosen: Metric, settings: StudySettings, presence: Presence) -> Better | None:
    """The direction of the metric in this task; the tags of its experiment alone may say more than those of all."""
    better, source = direction_of(chosen.key, settings, presence.experiment_tags)
    return better if source == "tag" else chosen.better


def _ranked(metrics: Sequence[Metric], presence: Presence) -> list[Metric]:
    """The metrics that may be the objective, best first: objectives, else parts of a loss, else costs."""
    for role in ("objective", "training", "part", "cost"):
        candidates = [one for one in metrics if one.role == role and (role == "objective" or one.better is not None)]
        if candidates:
            return _by_rank(candidates, presence)
    return []


def _by_rank(metrics: Sequence[Metric], presence: Presence) -> list[Metric]:
    """Sort metrics of one role, the best objective first."""
    runs = presence.runs_with_any([metric.key for metric in metrics])

    def rank(metric: Metric) -> tuple[object, ...]:
        name = read_name(metric.key)
        validates = metric.split == "validation" and 2 * presence.runs_with[metric.key] >= runs
        return (
            metric.better is None,
            not presence.varies.get(metric.key, False),
            (metric.split == "training") + (metric.split in ("", "training") and name.loss),
            metric.split == "fold",
            not validates,
            metric.role == "cost" and metric.better != "higher",
            name.loss,
            -presence.runs_with[metric.key],
            name.partial,
            metric.better != "higher",
            name.qualifiers,
            "best" in metric.key.lower(),  # the largest of many values is too good, and has no curve
            -int(evaluated[1]) if (evaluated := _EVALUATION_SET.match(metric.key)) else 0,
            metric.key,
        )

    return sorted(metrics, key=rank)
