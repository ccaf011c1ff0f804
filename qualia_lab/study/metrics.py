"""Describe the metrics of runs: role, direction, split and family, and the source of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qualia_lab.study.metric_names import read_name, stored_key
from qualia_lab.study.metric_sweeps import directions_of_sweeps
from qualia_lab.study.study import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.inventory import MetricCount
    from qualia_lab.study.settings import Better, MetricRole, Source, StudySettings

PRIMARY_TAG = "mlflow.experiment.primaryMetric.name"
GREATER_TAG = "mlflow.experiment.primaryMetric.greaterIsBetter"
# Families of metrics that are total rewards, whose terms are below it in the path.
_REWARDS = ("reward", "episode reward")


def direction_of(
    key: str, settings: StudySettings, experiment_tags: Sequence[tuple[str, str]] = ()
) -> tuple[Better | None, Source]:
    """The direction of one metric and its source: the user, the settings, the tags of the experiment, or the name.

    Args:
        key: the key of the metric.
        settings: settings that override what is inferred.
        experiment_tags: keys and values of the tags of its experiment, or of all experiments.

    Returns:
        "higher" or "lower", None if unknown; and the source.

    Example:
        >>> direction_of("val_auc", StudySettings())
        ('higher', 'name')
    """
    for named in dict.fromkeys((key, stored_key(key))):
        if named in settings.better:
            return settings.better[named], settings.source_or_person(f"better.{named}")
        tagged = _tagged_direction(named, experiment_tags)
        if tagged is not None:
            return tagged, "tag"
    better = read_name(key).better
    return better, "unknown" if better is None else "name"


def describe_metrics(
    counts: Sequence[MetricCount], settings: StudySettings, experiment_tags: pa.Table, run_tags: pa.Table
) -> tuple[Metric, ...]:
    """Describe each metric, sorted by key.

    Args:
        counts: the metrics of the inventory, including system metrics.
        settings: settings that override what is inferred.
        experiment_tags: the tags of the experiments.
        run_tags: the tags of the runs, in which sweepers write directions.
    """
    tags = list(
        zip(experiment_tags.column("key").to_pylist(), experiment_tags.column("value").to_pylist(), strict=True)
    )
    keys = sorted({one.key for one in counts})
    objectives = [key for key in keys if read_name(key).role == "objective"]
    swept = directions_of_sweeps(run_tags, objectives)
    return _with_twins(_with_parts([_described(key, settings, tags, swept) for key in keys], settings), settings)


def _described(
    key: str, settings: StudySettings, tags: Sequence[tuple[str, str]], swept: Mapping[str, Better]
) -> Metric:
    """One metric, without regard to the others."""
    name = read_name(key)
    better, source = direction_of(key, settings, tags)
    if source in ("name", "unknown") and key in swept:
        better, source = swept[key], "tag"
    role: MetricRole = name.role
    named = _with_given_role(key, settings)
    if named is not None:
        role = settings.metric_roles[named]
        has_better = key in settings.better or named in settings.better
        source = source if has_better else settings.source_or_person(f"metric_roles.{named}")
        if role in ("spread", "count", "machine") and not has_better:
            better = None
    elif source == "unknown" and name.known:
        source = "name"
    return Metric(key, role, better, source, name.split, name.family)


def _with_given_role(key: str, settings: StudySettings) -> str | None:
    """The key by which the settings give a metric its role: its own, or the one that it was split from."""
    return next((one for one in (key, stored_key(key)) if one in settings.metric_roles), None)


def _tagged_direction(key: str, tags: Sequence[tuple[str, str]]) -> Better | None:
    """The direction by MLflow's tags of an experiment for its primary metric; None if experiments disagree."""
    directions: set[Better] = set()
    primary = False
    for name, value in tags:
        if name == PRIMARY_TAG:
            primary |= value == key
        elif name == GREATER_TAG and value.lower() in ("true", "false"):
            directions.add("higher" if value.lower() == "true" else "lower")
    return directions.pop() if primary and len(directions) == 1 else None


def _with_parts(metrics: list[Metric], settings: StudySettings) -> list[Metric]:
    """Give the role `part` to losses with another word (`loss_cls`) and rewards under a reward, if the total exists.

    The total loss has to be of the same split, since a sum is logged with its terms.
    """
    splits_of_totals = {one.split for one in metrics if one.role == "objective" and one.family == "loss"}
    has_total_reward = any(one.role == "objective" and one.family in _REWARDS for one in metrics)

    def is_part(one: Metric) -> bool:
        if one.role != "objective" or _with_given_role(one.key, settings):
            return False
        if stored_key(one.key) != one.key:  # the same on other data or of another model
            return False
        if "loss" in one.family.split() and one.family != "loss":
            return read_name(one.key).loss and one.split in splits_of_totals
        return has_total_reward and "/" in one.key and one.family.startswith(tuple(f"{reward} " for reward in _REWARDS))

    return [replace(one, role="part") if is_part(one) else one for one in metrics]


def _with_twins(metrics: list[Metric], settings: StudySettings) -> tuple[Metric, ...]:
    """Give the role `training` to metrics of training data, or without a split, whose family exists on held-out data.

    A metric without a split next to those of single folds is their mean, and not of training data.
    """
    held_out: dict[str, list[Metric]] = {}
    for one in metrics:
        if one.role == "objective" and one.split in ("validation", "test", "fold"):
            held_out.setdefault(one.family, []).append(one)
    twins: dict[str, str] = {}
    described = []
    for one in metrics:
        trained = one.split == "training" or (one.split == "" and _with_given_role(one.key, settings) is None)
        if one.role in ("objective", "training") and trained and one.family in held_out:
            candidates = [other for other in held_out[one.family] if one.split or other.split != "fold"]
            if not candidates:
                described.append(one)
                continue
            twin = min(candidates, key=partial(_distance, one))
            twins.setdefault(twin.key, one.key)
            if one.split == "training":  # preferred over one without a split
                twins[twin.key] = min(
                    (twins[twin.key], one.key), key=lambda key: (read_name(key).split != "training", key)
                )
            named = _with_given_role(one.key, settings)
            role: MetricRole = "training" if named is None else settings.metric_roles[named]
            described.append(replace(one, role=role, twin=twin.key))
        else:
            described.append(one)
    return tuple(replace(one, twin=twins.get(one.key, one.twin)) for one in described)


def _distance(training: Metric, held_out: Metric) -> tuple[bool, int, str]:
    """The sort key of held-out metrics for a training metric: same thresholds first, then validation, test, a fold."""
    splits = ("validation", "test", "fold")
    apart = read_name(training.key).stem != read_name(held_out.key).stem
    return apart, splits.index(held_out.split), held_out.key
