"""Finds the series in metrics that one run logged for several models or datasets (MLflow 3).

MLflow writes such a point twice: into the run's history, where all points of a key are one list, and for the model,
with its dataset. A key becomes several series where one run has points of it of two or more models or datasets.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.columns import texts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from qualia_lab.genai_tables import ModelTables

# Step, timestamp and value of a point; NaN, which equals nothing, is None.
Point = tuple[int | None, int | None, float | None]


class _Label(NamedTuple):
    """A name, and what tells it from others with the same name; "" where nothing has to."""

    name: str
    detail: str = ""

    @property
    def text(self) -> str:
        return f"{self.name} {self.detail}" if self.detail else self.name


class _Identity(NamedTuple):
    """Of which dataset and model a series is; None: of any, or of none."""

    dataset: _Label | None
    model: _Label | None


class _Row(NamedTuple):
    model_id: str
    dataset: str
    digest: str
    point: Point


@dataclass(frozen=True)
class MetricSeries:
    """The series of metrics of some runs.

    Attributes:
        points: for the run and the key of MLflow, the keys of the series that each point belongs to; a point with the
            same step, time and value may have been logged for several models. Other points keep the key.
        stored_keys: the key of MLflow for the key of each series.
    """

    points: Mapping[tuple[str, str], Mapping[Point, tuple[str, ...]]] = field(default_factory=dict)
    stored_keys: Mapping[str, str] = field(default_factory=dict)


def point_of(step: int | None, timestamp: int | None, value: float | None) -> Point:
    """A point that can be compared, also if its value is NaN."""
    return step, timestamp, None if value is None or math.isnan(value) else value


def find_series(models: ModelTables, run_ids: Collection[str], keys: Iterable[str]) -> MetricSeries:
    """The series of metrics of these runs.

    Args:
        models: the models of the runs, with the points that were logged for them.
        run_ids: the runs.
        keys: all metric keys of the runs, which no series gets.
    """
    rows = _rows_by_key(models, set(run_ids))
    labels = _ModelLabels(models, rows)
    taken = set(keys)
    points: dict[tuple[str, str], dict[Point, tuple[str, ...]]] = {}
    stored_keys: dict[str, str] = {}
    for key in sorted(rows):
        by_run = _groups(rows[key], labels)
        names = _names_of(key, by_run, taken)
        taken |= set(names.values())
        stored_keys |= dict.fromkeys(names.values(), key)
        for run_id, groups in by_run.items():
            found: dict[Point, set[str]] = defaultdict(set)
            for identity, group in groups.items():
                name = names.get(_within(identity, names))
                if name is not None:
                    for row in group:
                        found[row.point].add(name)
            if found:
                points[run_id, key] = {point: tuple(sorted(those)) for point, those in found.items()}
    return MetricSeries(points, stored_keys)


def _rows_by_key(models: ModelTables, run_ids: Collection[str]) -> dict[str, dict[str, list[_Row]]]:
    """The points of these runs by key and run."""
    table = models.metrics
    names = ("run_id", "key", "model_id", "dataset_name", "dataset_digest", "step", "timestamp", "value")
    found: dict[str, dict[str, list[_Row]]] = defaultdict(lambda: defaultdict(list))
    columns = (texts_of(table.column(name)) if name in names[:5] else table.column(name).to_pylist() for name in names)
    for run_id, key, model_id, dataset, digest, *point in zip(*columns, strict=True):
        if run_id in run_ids:
            found[key][run_id].append(_Row(model_id, dataset or "", digest or "", point_of(*point)))
    return found


class _ModelLabels:
    """The labels of models: by name, and models of one name in one run by the step at which they were saved."""

    def __init__(self, models: ModelTables, rows: Mapping[str, Mapping[str, Sequence[_Row]]]) -> None:
        ids, names = (models.models.column(name).to_pylist() for name in ("model_id", "name"))
        self._names = dict(zip(ids, names, strict=True))
        self._places = {model_id: place for place, model_id in enumerate(ids)}
        columns = (models.outputs.column(name).to_pylist() for name in ("run_id", "model_id", "step"))
        self._steps = {(run_id, model_id): step for run_id, model_id, step in zip(*columns, strict=True)}
        self._of_run: dict[tuple[str, str], set[str]] = defaultdict(set)
        for by_run in rows.values():
            for run_id, those in by_run.items():
                for row in those:
                    self._of_run[run_id, self.name(row.model_id)].add(row.model_id)

    def name(self, model_id: str) -> str:
        return self._names.get(model_id) or model_id

    def apart(self, run_id: str, model_id: str) -> _Label:
        """The label of a model that has to be told from others with its name in this run."""
        name = self.name(model_id)
        same = sorted(self._of_run[run_id, name], key=lambda one: (self._places.get(one, len(self._places)), one))
        steps = [self._steps.get((run_id, one)) for one in same]
        if None not in steps and len(set(steps)) == len(steps):
            return _Label(name, f"step {self._steps[run_id, model_id]}")
        return _Label(name, str(same.index(model_id) + 1))


def _groups(by_run: Mapping[str, Sequence[_Row]], labels: _ModelLabels) -> dict[str, dict[_Identity, list[_Row]]]:
    """The points of each run by dataset and model."""
    digests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run_id, rows in by_run.items():
        for row in rows:
            digests[run_id, row.dataset].add(row.digest)
    ambiguous = {dataset for (_, dataset), those in digests.items() if len(those) > 1}
    found: dict[str, dict[_Identity, list[_Row]]] = {}
    for run_id, rows in by_run.items():
        together: dict[tuple[_Label | None, str], list[_Row]] = defaultdict(list)
        for row in rows:
            dataset = _Label(row.dataset, row.digest if row.dataset in ambiguous else "") if row.dataset else None
            together[dataset, labels.name(row.model_id)].append(row)
        groups: dict[_Identity, list[_Row]] = defaultdict(list)
        for (dataset, name), those in together.items():
            is_one = _is_one_training(those)
            for row in those:
                model = _Label(name) if is_one else labels.apart(run_id, row.model_id)
                groups[_Identity(dataset, model)].append(row)
        found[run_id] = dict(groups)
    return found


def _is_one_training(rows: Iterable[_Row]) -> bool:
    """Whether models of one name are checkpoints of one training: the steps of each end before the next one's begin."""
    ends: dict[str, tuple[int, int]] = {}
    for row in rows:
        step = row.point[0] or 0
        first, last = ends.get(row.model_id, (step, step))
        ends[row.model_id] = min(first, step), max(last, step)
    return all(one[1] < other[0] for one, other in pairwise(sorted(ends.values())))


def _names_of(
    key: str, by_run: Mapping[str, Mapping[_Identity, object]], taken: Collection[str]
) -> dict[_Identity, str]:
    """The key of each series; empty if no run has several."""
    several = [set(groups) for groups in by_run.values() if len(groups) > 1]
    by_dataset = any(len({one.dataset for one in groups}) > 1 for groups in several)
    by_model = any(len({one.model for one in groups}) > 1 for groups in several)
    identities = {
        _Identity(one.dataset if by_dataset else None, one.model if by_model else None)
        for groups in several
        for one in groups
    }
    names: dict[_Identity, str] = {}
    used = set(taken)
    for identity in sorted(identities - {_Identity(None, None)}, key=_order):
        parts = [identity.dataset.text] if identity.dataset else []
        parts += [f"model {identity.model.text}"] if identity.model else []
        name = plain = f"{key} ({', '.join(parts)})"
        number = 1
        while name in used:
            number += 1
            name = f"{plain} {number}"
        used.add(name)
        names[identity] = name
    return names


def _order(identity: _Identity) -> tuple[tuple[str, str], tuple[str, str]]:
    return identity.dataset or _Label(""), identity.model or _Label("")


def _within(identity: _Identity, names: Collection[_Identity]) -> _Identity:
    """What of an identity the series are named by."""
    return _Identity(
        identity.dataset if any(one.dataset for one in names) else None,
        identity.model if any(one.model for one in names) else None,
    )
