"""Which logged model is best on which dataset, and whether a run saved a model near its best step."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qualia_lab.study.metric_names import read_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.genai_tables import ModelTables


@dataclass(frozen=True)
class ModelValue:
    """The latest value of one metric of a model: that of the highest step, then of the latest time.

    Attributes:
        model_id: the model.
        value: the value, finite.
        step: the step at which it was logged.
        run_id: the run that logged it.
    """

    model_id: str
    value: float
    step: int
    run_id: str


@dataclass(frozen=True)
class BestModel:
    """The models of an experiment by one metric on one dataset, best first.

    Attributes:
        experiment_id: the experiment.
        key: the metric.
        dataset_name, dataset_digest: the dataset; "" where none was named.
        greater_is_better: the direction; None if unknown, then no model is best.
        ranked: the models with a finite value, best first; by id where the direction is unknown.
        best: the models with the best value; several if they are equal, () if the direction is unknown.
        not_finite: how many models have a value that is not finite.
    """

    experiment_id: str
    key: str
    dataset_name: str
    dataset_digest: str
    greater_is_better: bool | None
    ranked: tuple[ModelValue, ...]
    best: tuple[ModelValue, ...]
    not_finite: int


@dataclass(frozen=True)
class SavedSteps:
    """The best point of one metric of a run against the steps at which it saved models.

    Attributes:
        run_id, key: the run and the metric.
        best_step, best_value: the best point; the first one of equal points.
        saved_steps: the steps of saved models, sorted.
        saved_step, saved_value: the saved step whose value is best, and its value, which is that of the last point up
            to the step; None if no model was saved after the first point.
    """

    run_id: str
    key: str
    best_step: int
    best_value: float
    saved_steps: tuple[int, ...]
    saved_step: int | None
    saved_value: float | None

    @property
    def is_saved(self) -> bool:
        """Whether a model was saved at a step with the best value."""
        return self.saved_value is not None and self.saved_value == self.best_value


def best_models(tables: ModelTables, better: Mapping[str, bool] | None = None) -> tuple[BestModel, ...]:
    """Rank the models of each experiment by each of their metrics, for each dataset.

    Args:
        tables: the models with their metrics.
        better: whether higher is better for some metrics, as the study or the user says; for others, the name decides.

    Returns:
        One for each experiment, metric and dataset, sorted.
    """
    experiment_of = dict(
        zip(*(tables.models.column(name).to_pylist() for name in ("model_id", "experiment_id")), strict=True)
    )
    latest: dict[tuple[str, str, str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    for (model_id, *metric), point in latest_points(tables).items():
        if model_id in experiment_of:
            key, name, digest = metric
            latest[experiment_of[model_id] or "", key, name, digest][model_id] = point
    return tuple(_ranked(place, latest[place], better or {}) for place in sorted(latest))


def latest_points(tables: ModelTables) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    """The latest point of each metric of each model, by model, key, and the name and digest of the dataset.

    Args:
        tables: the models with their metrics.
    """
    latest: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for point in tables.metrics.to_pylist():
        place = point["model_id"], point["key"] or "", point["dataset_name"] or "", point["dataset_digest"] or ""
        if place not in latest or _order(point) >= _order(latest[place]):
            latest[place] = point
    return latest


def saved_steps(
    run_id: str,
    key: str,
    points: tuple[Sequence[int], Sequence[float]],
    saved: Sequence[int],
    *,
    greater_is_better: bool,
) -> SavedSteps | None:
    """Compare the best point of a history with the steps at which models were saved.

    Args:
        run_id: the run.
        key: the metric.
        points: the steps and the values of its history, in order.
        saved: the steps of its models.
        greater_is_better: the direction.

    Returns:
        The comparison; None for a history without finite values.
    """
    steps, values = (np.asarray(one) for one in points)
    finite = np.isfinite(values.astype(np.float64))
    steps, values = steps[finite], values[finite].astype(np.float64)
    if not len(values):
        return None
    sign = 1.0 if greater_is_better else -1.0
    best = int(np.argmax(sign * values))
    unique = tuple(sorted(set(saved)))
    at = np.searchsorted(steps, unique, side="right") - 1
    usable = [(step, float(values[row])) for step, row in zip(unique, at.tolist(), strict=True) if row >= 0]
    step, value = max(usable, key=lambda one: sign * one[1], default=(None, None))
    return SavedSteps(run_id, key, int(steps[best]), float(values[best]), unique, step, value)


def checkpoint_steps(tables: ModelTables) -> dict[str, tuple[int, ...]]:
    """The steps at which each run saved its models; runs whose models all have step 0 recorded none, and are left out.

    Args:
        tables: the models with the runs that list them as outputs.

    Returns:
        The sorted steps by run id.
    """
    steps: dict[str, set[int]] = defaultdict(set)
    for output in tables.outputs.to_pylist():
        if output["step"] is not None:
            steps[output["run_id"]].add(output["step"])
    return {run_id: tuple(sorted(of_run)) for run_id, of_run in steps.items() if of_run != {0}}


def _order(point: Mapping[str, Any]) -> tuple[int, int]:
    return point["step"] or 0, point["timestamp"] or 0


def _ranked(
    place: tuple[str, str, str, str], latest: Mapping[str, Mapping[str, Any]], better: Mapping[str, bool]
) -> BestModel:
    experiment_id, key, name, digest = place
    named = read_name(key).better
    greater = better.get(key, None if named is None else named == "higher")
    values = [
        ModelValue(model_id, point["value"], point["step"] or 0, point["run_id"] or "")
        for model_id, point in sorted(latest.items())
        if point["value"] is not None and math.isfinite(point["value"])
    ]
    if greater is not None:
        values.sort(key=lambda one: -one.value if greater else one.value)
    best = () if greater is None else tuple(one for one in values if one.value == values[0].value)
    return BestModel(experiment_id, key, name, digest, greater, tuple(values), best, len(latest) - len(values))
