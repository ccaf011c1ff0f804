"""Every metric of some runs: its role, its direction, its split, its family, and who says so."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qualia_lab.study.metric_names import read_name
from qualia_lab.study.metric_sweeps import directions_of_sweeps
from qualia_lab.study.study import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from qualia_lab.inventory import MetricCount
    from qualia_lab.study.settings import Better, MetricRole, Source, StudySettings

PRIMARY_TAG = "mlflow.experiment.primaryMetric.name"
GREATER_TAG = "mlflow.experiment.primaryMetric.greaterIsBetter"
# Families of metrics that are the whole reward, whose terms stand under it in the path.
_REWARDS = ("reward", "episode reward")


def direction_of(
    key: str, settings: StudySettings, experiment_tags: Sequence[tuple[str, str]] = ()
) -> tuple[Better | None, Source]:
    """Which way one metric is better, and who says so: the person, the settings, the experiment's tags, its name.

    Args:
        key: the metric's.
        settings: what overrules the rest.
        experiment_tags: keys and values of the tags of its experiment, or of all of them.
    """
    if key in settings.better:
        return settings.better[key], settings.said_it(f"better.{key}")
    tagged = _tagged_direction(key, experiment_tags)
    if tagged is not None:
        return tagged, "tag"
    better = read_name(key).better
    return better, "unknown" if better is None else "name"


def describe_metrics(
    counts: Sequence[MetricCount], settings: StudySettings, experiment_tags: pa.Table, run_tags: pa.Table
) -> tuple[Metric, ...]:
    """What each metric is, sorted by key.

    Args:
        counts: of the inventory, the machine's own metrics too.
        settings: what overrules the rest.
        experiment_tags: of the experiments.
        run_tags: of the runs; sweepers write the direction there.
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
    """One metric, seen alone."""
    name = read_name(key)
    better, source = direction_of(key, settings, tags)
    if source in ("name", "unknown") and key in swept:
        better, source = swept[key], "tag"
    role: MetricRole = name.role
    if key in settings.metric_roles:
        role = settings.metric_roles[key]
        source = source if key in settings.better else settings.said_it(f"metric_roles.{key}")
        if role in ("spread", "count", "machine") and key not in settings.better:
            better = None
    elif source == "unknown" and name.known:
        source = "name"
    return Metric(key, role, better, source, name.split, name.family)


def _tagged_direction(key: str, tags: Sequence[tuple[str, str]]) -> Better | None:
    """What MLflow's own tags of an experiment say of its primary metric; None where experiments disagree."""
    said: set[Better] = set()
    primary = False
    for name, value in tags:
        if name == PRIMARY_TAG:
            primary |= value == key
        elif name == GREATER_TAG and value.lower() in ("true", "false"):
            said.add("higher" if value.lower() == "true" else "lower")
    return said.pop() if primary and len(said) == 1 else None


def _with_parts(metrics: list[Metric], settings: StudySettings) -> list[Metric]:
    """Losses with a word more (`loss_cls`), and rewards under a reward, are parts where the whole one is there.

    The whole loss has to be of the same split, as a sum is logged beside its terms.
    """
    whole = {one.split for one in metrics if one.role == "objective" and one.family == "loss"}
    rewarded = any(one.role == "objective" and one.family in _REWARDS for one in metrics)

    def is_part(one: Metric) -> bool:
        if one.role != "objective" or one.key in settings.metric_roles:
            return False
        if "loss" in one.family.split() and one.family != "loss":
            return read_name(one.key).loss and one.split in whole
        return rewarded and "/" in one.key and one.family.startswith(tuple(f"{reward} " for reward in _REWARDS))

    return [replace(one, role="part") if is_part(one) else one for one in metrics]


def _with_twins(metrics: list[Metric], settings: StudySettings) -> tuple[Metric, ...]:
    """The role `training` for those of training, or without a split, whose family is there on held-out data too.

    One without a split beside single folds is their mean, not their training.
    """
    held_out: dict[str, list[Metric]] = {}
    for one in metrics:
        if one.role == "objective" and one.split in ("validation", "test", "fold"):
            held_out.setdefault(one.family, []).append(one)
    twins: dict[str, str] = {}
    found = []
    for one in metrics:
        trained = one.split == "training" or (one.split == "" and one.key not in settings.metric_roles)
        if one.role in ("objective", "training") and trained and one.family in held_out:
            others = [other for other in held_out[one.family] if one.split or other.split != "fold"]
            if not others:
                found.append(one)
                continue
            twin = min(others, key=partial(_distance, one))
            twins.setdefault(twin.key, one.key)
            if one.split == "training":  # before one without a split
                twins[twin.key] = min(
                    (twins[twin.key], one.key), key=lambda key: (read_name(key).split != "training", key)
                )
            role: MetricRole = settings.metric_roles.get(one.key, "training")
            found.append(replace(one, role=role, twin=twin.key))
        else:
            found.append(one)
    return tuple(replace(one, twin=twins.get(one.key, one.twin)) for one in found)


def _distance(training: Metric, held_out: Metric) -> tuple[bool, int, str]:
    """How far a held-out metric is from one of training: other thresholds, then validation, test, a fold."""
    splits = ("validation", "test", "fold")
    apart = read_name(training.key).stem != read_name(held_out.key).stem
    return apart, splits.index(held_out.split), held_out.key
