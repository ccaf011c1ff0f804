"""`describe_counts`: a study of runs that are not read, from names and counts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.schema import TAGS
from qualia_lab.study.factor_names import role_by_name
from qualia_lab.study.metrics import describe_metrics
from qualia_lab.study.notes import direction_notes
from qualia_lab.study.objective import Presence, choose_objective
from qualia_lab.study.requested_keys import check_keys
from qualia_lab.study.study import Factor, Study, Task
from qualia_lab.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

    from qualia_lab.inventory import Inventory, ParamCount
    from qualia_lab.study.settings import Source, StudySettings
    from qualia_lab.study.study import FactorRole


def describe_counts(inventory: Inventory, experiment_tags: pa.Table, settings: StudySettings) -> Study:
    """Describe metrics and params by their names, their counts and the tags of experiments: one task, without runs.

    Args:
        inventory: the counts of the runs.
        experiment_tags: the tags of their experiments (schema.EXPERIMENT_TAGS).
        settings: settings that override what is inferred.

    Raises:
        UnknownKey: a user names a metric or param that no run has.
    """
    metrics = describe_metrics(inventory.metrics, settings, experiment_tags, table_of(TAGS, []))
    params = tuple(_described(one, inventory.run_count, settings) for one in inventory.params)
    tags = tuple(zip(*(experiment_tags.column(name).to_pylist() for name in ("key", "value")), strict=True))
    objective = choose_objective(
        metrics,
        settings,
        _Counted(
            runs_with={one.key: one.runs for one in inventory.metrics},
            steps={one.key: one.last_step for one in inventory.metrics},
            varies={one.key: one.values > 1 for one in inventory.metrics},
            experiment_tags=tags,
        ),
    )
    experiment = inventory.experiments[0] if len(inventory.experiments) == 1 else ""
    tasks = (Task("", experiment, inventory.run_ids, objective),) if inventory.run_ids else ()
    notes = (*check_keys(settings, metrics, params), *direction_notes(tasks, settings))
    return Study(settings=settings, metrics=metrics, tasks=tasks, params=params, notes=notes)


@dataclass(frozen=True)
class _Counted(Presence):
    """Which metrics runs have, if only counts are known: any two metrics are assumed to be of the same runs."""

    def runs_with_any(self, keys: Collection[str]) -> int:
        """A lower bound of the number of runs with any of these metrics."""
        return max((self.runs_with.get(key, 0) for key in keys), default=0)


def _described(param: ParamCount, runs: int, settings: StudySettings) -> Factor:
    role, source = _role(param, runs, settings)
    return Factor(param.key, param.key, "param", role, source, param.values, param.numeric, param.runs)


def _role(param: ParamCount, runs: int, settings: StudySettings) -> tuple[FactorRole, Source]:
    """The role of a param, by the settings, by its name, and by its number of values."""
    overrides: tuple[tuple[FactorRole, Collection[str] | None, str], ...] = (
        ("seed", settings.seeds, "seeds"),
        ("label", settings.labels, "labels"),
        ("factor", settings.factors, "factors"),
    )
    for role, names, field in overrides:
        if names is not None and param.key in names:
            return role, settings.source_or_person(field)
    by_name = role_by_name(param.key)
    if settings.seeds is None and (by_name == "seed" or (by_name == "seed if whole" and param.numeric)):
        return "seed", "name"
    if by_name == "label":
        return "label", "name"
    return ("constant" if param.values == 1 and param.runs == runs else "factor"), "data"
