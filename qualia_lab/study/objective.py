"""Which metric leads in a task, and which others could."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from qualia_lab.columns import numbers_of, whole
from qualia_lab.study.metric_names import read_name
from qualia_lab.study.metrics import PRIMARY_TAG, direction_of
from qualia_lab.study.study import Objective

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.study.settings import Better, Source, StudySettings
    from qualia_lab.study.study import Metric

# XGBoost numbers its evaluation sets, stops early by the last, and is often given the training data first.
_EVALUATION_SET = re.compile(r"validation_(\d+)-")


@dataclass(frozen=True)
class Presence:
    """Which metrics the runs of one task have.

    runs_with: of each key, how many runs have a finite latest value.  steps: the last step of any.  varies: whether
    not all are equal.  experiment_tags: of the task.  pairs: places in `keys` and of runs, one for each such value.
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
        metrics: latest values of its runs; those of runs that are no competitors were left out.
        experiment_tags: keys and values of its experiment's tags.
    """
    rows = metrics.filter(pc.is_finite(metrics.column("value")))
    if not rows.num_rows:
        return Presence({}, {}, {}, tuple(experiment_tags))
    keys = whole(rows.column("key")).dictionary_encode()
    names, codes = tuple(keys.dictionary.to_pylist()), numbers_of(keys.indices)
    runs = numbers_of(whole(rows.column("run_id")).dictionary_encode().indices)
    values, steps = numbers_of(rows.column("value")), numbers_of(rows.column("step"))
    least, largest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    last = np.zeros(len(names), np.int64)
    np.minimum.at(least, codes, values)
    np.maximum.at(largest, codes, values)
    np.maximum.at(last, codes, steps)
    return Presence(
        runs_with=dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True)),
        steps=dict(zip(names, last.tolist(), strict=True)),
        varies=dict(zip(names, (least < largest).tolist(), strict=True)),
        experiment_tags=tuple(experiment_tags),
        keys=names,
        pairs=(codes, runs),
    )


def choose_objective(metrics: Sequence[Metric], settings: StudySettings, presence: Presence) -> Objective | None:
    """The metric that leads in a task, None where none can.

    The person's word, the settings', the experiment's tag; then by name: validation before training, a score before a
    loss, what more runs have. A metric that was asked for and is not in this task is passed over.

    Args:
        metrics: all that were described; those that no run of the task has take no part.
        settings: what overrules the rest.
        presence: what the runs of the task have.
    """
    there = {one.key: one for one in metrics if presence.runs_with.get(one.key)}
    ranked = _ranked(list(there.values()), presence)
    chosen, source = _inferred(there, ranked, presence)
    if settings.metric in there:
        asked, said = there[settings.metric], settings.source("metric")
        # A cell that repeats what was inferred says nothing new; one that was edited is the person's word.
        if said != "unknown" or chosen is None or asked.key != chosen.key:
            chosen, source = asked, settings.said_it("metric")
    if chosen is None:
        return None
    rivals = tuple(one.key for one in ranked if one.key != chosen.key and one.role == "objective")
    return Objective(chosen.key, _direction(chosen, settings, presence), source, rivals)


def _inferred(
    there: Mapping[str, Metric], ranked: Sequence[Metric], presence: Presence
) -> tuple[Metric | None, Source]:
    """The metric that leads where nobody says which: the one that the experiment's tag names, else the first."""
    for name, value in presence.experiment_tags:
        if name == PRIMARY_TAG and value in there:
            return there[value], "tag"
    if not ranked:
        return None, "unknown"
    return ranked[0], "name" if read_name(ranked[0].key).known else ranked[0].source


def _direction(chosen: Metric, settings: StudySettings, presence: Presence) -> Better | None:
    """The direction of the metric in this task, whose experiment may say more than all experiments together do."""
    better, source = direction_of(chosen.key, settings, presence.experiment_tags)
    return better if source == "tag" else chosen.better


def _ranked(metrics: Sequence[Metric], presence: Presence) -> list[Metric]:
    """The metrics that may lead, the one that does first: objectives, else parts of a loss, else costs."""
    for role in ("objective", "training", "part", "cost"):
        of_role = [one for one in metrics if one.role == role and (role == "objective" or one.better is not None)]
        if of_role:
            return _by_rank(of_role, presence)
    return []


def _by_rank(metrics: Sequence[Metric], presence: Presence) -> list[Metric]:
    """Metrics of one role, the one that leads first."""
    runs = presence.runs_with_any([one.key for one in metrics])

    def rank(one: Metric) -> tuple[object, ...]:
        name = read_name(one.key)
        validates = one.split == "validation" and 2 * presence.runs_with[one.key] >= runs
        return (
            one.better is None,
            not presence.varies.get(one.key, False),
            (one.split == "training") + (one.split in ("", "training") and name.loss),
            one.split == "fold",
            not validates,
            one.role == "cost" and one.better != "higher",
            name.loss,
            -presence.runs_with[one.key],
            name.partial,
            one.better != "higher",
            name.qualifiers,
            -int(evaluated[1]) if (evaluated := _EVALUATION_SET.match(one.key)) else 0,
            one.key,
        )

    return sorted(metrics, key=rank)
