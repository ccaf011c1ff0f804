"""Where the aliases of registered models point, and whether the models they point to are still the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qualia_lab.analysis.model_checkpoints import BestModel, ModelValue
    from qualia_lab.genai_tables import ModelTables

# Aliases and stages of the model that is in use.
CHAMPIONS = frozenset({"champion", "production", "prod", "live"})


@dataclass(frozen=True)
class Alias:
    """One alias of a registered model; stages of older registries are shown in the same way.

    Attributes:
        name: the registered model.
        alias: the alias, or the stage.
        version: the version it points to.
        model_id: the logged model of the version; "" if it is not known.
        run_id: the run of the version; "" if it is not known.
        is_stage: whether it is a stage.
    """

    name: str
    alias: str
    version: int
    model_id: str
    run_id: str
    is_stage: bool = False

    @property
    def is_champion(self) -> bool:
        """Whether it marks the model in use."""
        return self.alias.lower() in CHAMPIONS


@dataclass(frozen=True)
class ChampionRank:
    """The rank of a champion by one metric on one dataset.

    Attributes:
        alias: the champion.
        by: the metric, the dataset, and all models ranked.
        value: that of the champion.
        better: the models with a better value, best first; () if the champion is still the best.
    """

    alias: Alias
    by: BestModel
    value: ModelValue
    better: tuple[ModelValue, ...]


def aliases_of(tables: ModelTables) -> tuple[Alias, ...]:
    """The aliases and stages of registered models, by name, alias and version.

    Args:
        tables: the versions and aliases.

    Returns:
        One for each; an alias whose version was not read has neither a model nor a run.
    """
    versions = {(row["name"], row["version"]): row for row in tables.versions.to_pylist()}
    found = []
    for row in tables.aliases.to_pylist():
        version = versions.get((row["name"], row["version"]), {})
        found.append(
            Alias(
                row["name"],
                row["alias"],
                row["version"],
                version.get("model_id") or "",
                version.get("run_id") or "",
            )
        )
    for (name, number), version in versions.items():
        if (version["stage"] or "None") not in ("None", "Archived"):
            found.append(
                Alias(name, version["stage"], number, version["model_id"] or "", version["run_id"] or "", is_stage=True)
            )
    return tuple(sorted(found, key=lambda one: (one.name, one.is_stage, one.alias, one.version)))


def rank_champions(aliases: Iterable[Alias], best: Iterable[BestModel]) -> tuple[ChampionRank, ...]:
    """Rank the champions by every metric with a known direction that they and another model of the experiment have.

    Args:
        aliases: as `aliases_of` returns them; those that mark no champion are ignored.
        best: as `model_checkpoints.best_models` returns them.

    Returns:
        The ranks, in the order of the arguments.
    """
    ranks = []
    by_metric = [one for one in best if one.greater_is_better is not None and len(one.ranked) > 1]
    for alias in aliases:
        if not alias.is_champion or not alias.model_id:
            continue
        for one in by_metric:
            own = next((value for value in one.ranked if value.model_id == alias.model_id), None)
            if own is not None:
                sign = 1 if one.greater_is_better else -1
                better = tuple(value for value in one.ranked if sign * value.value > sign * own.value)
                ranks.append(ChampionRank(alias, one, own, better))
    return tuple(ranks)
