"""The role of every param and tag: does it distinguish configurations, repeat them, or only name runs?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.study import factor_names
from qualia_lab.study.setting_columns import fingerprints
from qualia_lab.study.study import Factor
from qualia_lab.study.ties import tied_to
from qualia_lab.study.value_forms import are_known_files, are_numbered, are_of_a_hub, look_like_labels
from qualia_lab.study.values import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from qualia_lab.study.setting_columns import Marks, SettingColumn
    from qualia_lab.study.settings import Source, StudySettings
    from qualia_lab.study.study import FactorRole

_SHARED = 0.9  # values count as shared if the distinct values are at most this fraction of the runs
_LONG = 120  # characters; a tag with a longer text is a note


@dataclass(frozen=True)
class Competitors:
    """The runs by which roles are inferred.

    Attributes:
        chosen: whether each run competes.
        counted: whether each run competes and its status counts.
        tasks: the number of the task of each run.
        outcomes: keys of metrics that say how good a run is; a param or tag of that name is not a setting.
        of_optuna: whether each run was written by Optuna's callback.
    """

    chosen: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    tasks: npt.NDArray[np.int64]
    outcomes: Collection[str]
    of_optuna: npt.NDArray[np.bool_]


def describe_factors(
    columns: Sequence[SettingColumn], competitors: Competitors, settings: StudySettings
) -> tuple[Factor, ...]:
    """Infer the role of every column, params before tags, in their order.

    The settings take precedence, then the name, then the values: constant, values that look like a label, else a
    factor. Factors that distinguish the same runs are tied to one of them.

    Args:
        columns: the params and tags.
        competitors: the runs by which roles are inferred.
        settings: settings that override what is inferred.
    """
    roles = [_role(column, competitors, settings, None) for column in columns if column.kind == "param"]
    seeded = _seeded_settings(columns, roles, len(competitors.chosen))
    roles += [_role(column, competitors, settings, seeded) for column in columns if column.kind == "tag"]
    candidates = [column for column, (role, _) in zip(columns, roles, strict=True) if role == "factor"]
    leader_of = tied_to(candidates, competitors.chosen, competitors.tasks, settings.factors)
    return tuple(
        Factor(
            name=column.name,
            key=column.key,
            kind=column.kind,
            role="tied" if column.name in leader_of else role,
            source=source,
            values=len(np.unique(column.among(competitors.chosen))) or len(column.first_rows),
            numeric=column.numeric,
            runs=len(column.places),
            tied_to=leader_of.get(column.name),
        )
        for column, (role, source) in zip(columns, roles, strict=True)
    )


def _seeded_settings(
    columns: Sequence[SettingColumn], roles: Sequence[tuple[FactorRole, Source]], runs: int
) -> Marks | None:
    """Marks that are equal for runs with equal params, including seeds; None if no param is a seed."""
    params = [column for column, (role, _) in zip(columns, roles, strict=False) if role != "label"]
    return fingerprints(params, runs) if any(role == "seed" for role, _ in roles) else None


def _role(
    column: SettingColumn, competitors: Competitors, settings: StudySettings, seeded: Marks | None
) -> tuple[FactorRole, Source]:
    overruled: tuple[tuple[FactorRole, Collection[str] | None, str], ...] = (
        ("seed", settings.seeds, "seeds"),
        ("label", settings.labels, "labels"),
        ("factor", settings.factors, "factors"),
    )
    for role, names, field in overruled:
        if names is not None and (column.name in names or column.key in names):
            return role, settings.source_or_person(field)
    by_name = factor_names.role_by_name(column.key)
    if settings.seeds is None and _is_seed(column, by_name):
        return "seed", "name"
    if by_name == "label" or column.key in competitors.outcomes:
        return "label", "name"
    if column.kind == "tag" and _tag_is_label(column, competitors):
        return "label", "name"
    if not _varies(column, competitors):
        return "constant", "data"
    if column.kind == "tag" and _was_added_later(column, competitors, seeded):
        return "label", "data"
    return ("label" if _looks_like_a_label(column, by_name, competitors) else "factor"), "data"


def _is_seed(column: SettingColumn, by_name: str) -> bool:
    if by_name == "seed if whole":
        return column.numeric and all(float(text) % 1 == 0 for text in column.sample)
    truths = {canonical("True"), canonical("False")}
    return by_name == "seed" and not all(canonical(text) in truths for text in column.sample)


def _tag_is_label(column: SettingColumn, competitors: Competitors) -> bool:
    return (
        factor_names.is_sweeper_tag(column.key)
        or factor_names.tag_is_label(column.key)
        or bool(competitors.of_optuna[column.places].all())
    )


def _varies(column: SettingColumn, competitors: Competitors) -> bool:
    """Whether the competing runs of some task differ in this column; a missing value counts as a difference.

    Runs that failed or are still running may not have logged it yet: their missing values do not count, unless no other
    run counts.
    """
    tasks = competitors.tasks[column.places]
    chosen = competitors.chosen[column.places]
    values = np.unique(tasks[chosen] * len(column.first_rows) + column.codes[chosen])
    if len(values) > len(np.unique(tasks[chosen])):
        return True
    counted = competitors.counted if competitors.counted.any() else competitors.chosen
    of_task = np.bincount(competitors.tasks[counted])
    runs_with_value = np.bincount(tasks[counted[column.places]], minlength=len(of_task))
    return bool(((runs_with_value > 0) & (runs_with_value < of_task)).any())


def _was_added_later(column: SettingColumn, competitors: Competitors, seeded: Marks | None) -> bool:
    """Whether a tag is a name, a note, a result or a mark on some runs, rather than a setting.

    A mark, a single value that other runs lack, may be either. It is a setting if a run that has it and one that lacks
    it are equal in all params and in their seed.
    """
    chosen = competitors.chosen[column.places]
    codes = column.codes[chosen]
    values = len(np.unique(codes))
    if factor_names.is_outcome(column.sample):
        return True
    if values == len(codes) and not (factor_names.names_a_choice(column.key) and values > 1):
        return True
    if any(len(text) > _LONG or "\n" in text for text in column.sample):
        return True
    if values > 1:
        return False
    marked = np.zeros(len(competitors.chosen), np.bool_)
    marked[column.places[chosen]] = True
    return seeded is None or not np.isin(seeded[marked], seeded[competitors.chosen & ~marked]).any()


def _looks_like_a_label(column: SettingColumn, by_name: str, competitors: Competitors) -> bool:
    """Whether the values name a run, a time or a location, and do not distinguish configurations."""
    codes = column.among(competitors.chosen)
    values = len(np.unique(codes))
    if by_name == "numbered" and are_numbered(column.sample):
        return True
    if values <= _SHARED * len(codes):
        return False
    if by_name == "place":
        return not are_of_a_hub(column.sample)
    if not column.numeric and look_like_labels(column.sample):
        return not (factor_names.names_a_choice(column.key) and are_known_files(column.sample))
    if values == 1:
        return False
    if by_name == "label unless shared" or (by_name == "name" and column.numeric):
        return True
    return 2 * column.own_names > len(column.places) and not factor_names.names_a_choice(column.key)
