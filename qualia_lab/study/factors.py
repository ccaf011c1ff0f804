"""The role of every param and tag: what sets configurations apart, what repeats them, what only names a run."""

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

_SHARED = 0.9  # values are shared where there are at most so many different ones for each run
_LONG = 120  # characters: a tag of such texts is a note


@dataclass(frozen=True)
class Competitors:
    """The runs that roles are judged over.

    chosen: of all runs, whether they compete.  counted: whether their status counts, too.
    tasks: of all runs the number of their task.
    outcomes: keys of metrics that say how good a run is: a param or tag of that name is no setting.
    of_optuna: of all runs, whether Optuna's callback wrote them.
    """

    chosen: npt.NDArray[np.bool_]
    counted: npt.NDArray[np.bool_]
    tasks: npt.NDArray[np.int64]
    outcomes: Collection[str]
    of_optuna: npt.NDArray[np.bool_]


def describe_factors(
    columns: Sequence[SettingColumn], competitors: Competitors, settings: StudySettings
) -> tuple[Factor, ...]:
    """The role of every column, params before tags, in their order.

    What the person or the project said comes first, then what the name says, then the values: constant, of the form of
    a label, else a factor. Factors that set the same runs apart are tied to one of them.
    """
    roles = [_role(one, competitors, settings, None) for one in columns if one.kind == "param"]
    seeded = _seeded_settings(columns, roles, len(competitors.chosen))
    roles += [_role(one, competitors, settings, seeded) for one in columns if one.kind == "tag"]
    candidates = [one for one, (role, _) in zip(columns, roles, strict=True) if role == "factor"]
    leads = tied_to(candidates, competitors.chosen, competitors.tasks, settings.factors)
    return tuple(
        Factor(
            name=one.name,
            key=one.key,
            kind=one.kind,
            role="tied" if one.name in leads else role,
            source=source,
            values=len(np.unique(one.among(competitors.chosen))) or len(one.first_rows),
            numeric=one.numeric,
            runs=len(one.places),
            tied_to=leads.get(one.name),
        )
        for one, (role, source) in zip(columns, roles, strict=True)
    )


def _seeded_settings(
    columns: Sequence[SettingColumn], roles: Sequence[tuple[FactorRole, Source]], runs: int
) -> Marks | None:
    """Bits for every run, equal for runs with the same params, seeds among them; None where no param is a seed."""
    params = [one for one, (role, _) in zip(columns, roles, strict=False) if role != "label"]
    return fingerprints(params, runs) if any(role == "seed" for role, _ in roles) else None


def _role(
    one: SettingColumn, competitors: Competitors, settings: StudySettings, seeded: Marks | None
) -> tuple[FactorRole, Source]:
    overruled: tuple[tuple[FactorRole, Collection[str] | None, str], ...] = (
        ("seed", settings.seeds, "seeds"),
        ("label", settings.labels, "labels"),
        ("factor", settings.factors, "factors"),
    )
    for role, names, said in overruled:
        if names is not None and (one.name in names or one.key in names):
            return role, settings.said_it(said)
    name_says = factor_names.name_says(one.key)
    if settings.seeds is None and _is_seed(one, name_says):
        return "seed", "name"
    if name_says == "label" or one.key in competitors.outcomes:
        return "label", "name"
    if one.kind == "tag" and _tag_is_label(one, competitors):
        return "label", "name"
    if not _varies(one, competitors):
        return "constant", "data"
    if one.kind == "tag" and _was_added_later(one, competitors, seeded):
        return "label", "data"
    return ("label" if _looks_like_a_label(one, name_says, competitors) else "factor"), "data"


def _is_seed(one: SettingColumn, name_says: str) -> bool:
    if name_says == "seed if whole":
        return one.numeric and all(float(text) % 1 == 0 for text in one.sample)
    truths = {canonical("True"), canonical("False")}
    return name_says == "seed" and not all(canonical(text) in truths for text in one.sample)


def _tag_is_label(one: SettingColumn, competitors: Competitors) -> bool:
    return (
        factor_names.of_a_sweeper(one.key)
        or factor_names.tag_is_label(one.key)
        or bool(competitors.of_optuna[one.places].all())
    )


def _varies(one: SettingColumn, competitors: Competitors) -> bool:
    """Whether it is not alike in all competitors of some task, a missing one counting as a difference.

    That a run which failed, or still runs, had not come to log it is none, unless no other run counts.
    """
    tasks = competitors.tasks[one.places]
    there = competitors.chosen[one.places]
    values = np.unique(tasks[there] * len(one.first_rows) + one.codes[there])
    if len(values) > len(np.unique(tasks[there])):
        return True
    counted = competitors.counted if competitors.counted.any() else competitors.chosen
    of_task = np.bincount(competitors.tasks[counted])
    having = np.bincount(tasks[counted[one.places]], minlength=len(of_task))
    return bool(((having > 0) & (having < of_task)).any())


def _was_added_later(one: SettingColumn, competitors: Competitors, seeded: Marks | None) -> bool:
    """Whether a tag is a name, a note, a result, or a mark on some runs, and none that sets runs apart by its values.

    A mark, which is one value that other runs lack, may be either: it sets runs apart where a run that has it and one
    that lacks it are alike in all params and in their seed.
    """
    there = competitors.chosen[one.places]
    codes = one.codes[there]
    values = len(np.unique(codes))
    if factor_names.is_outcome(one.sample):
        return True
    if values == len(codes) and not (factor_names.names_a_choice(one.key) and values > 1):
        return True
    if any(len(text) > _LONG or "\n" in text for text in one.sample):
        return True
    if values > 1:
        return False
    marked = np.zeros(len(competitors.chosen), np.bool_)
    marked[one.places[there]] = True
    return seeded is None or not np.isin(seeded[marked], seeded[competitors.chosen & ~marked]).any()


def _looks_like_a_label(one: SettingColumn, name_says: str, competitors: Competitors) -> bool:
    """Whether values that differ name a run, its time or its place, and set no configuration apart."""
    codes = one.among(competitors.chosen)
    values = len(np.unique(codes))
    if name_says == "numbered" and are_numbered(one.sample):
        return True
    if values <= _SHARED * len(codes):
        return False
    if name_says == "place":
        return not are_of_a_hub(one.sample)
    if not one.numeric and look_like_labels(one.sample):
        return not (factor_names.names_a_choice(one.key) and are_known_files(one.sample))
    if values == 1:
        return False
    if name_says == "label unless shared" or (name_says == "name" and one.numeric):
        return True
    return 2 * one.own_names > len(one.places) and not factor_names.names_a_choice(one.key)
