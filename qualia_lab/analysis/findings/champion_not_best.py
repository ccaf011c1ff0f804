"""Registered models in use that another logged model exceeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.champions import aliases_of, rank_champions
from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.findings.judged import experiment_of, known_runs, model_names
from qualia_lab.analysis.model_checkpoints import best_models
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.analysis.champions import ChampionRank
    from qualia_lab.analysis.findings.evidence import Evidence


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        margin: Least difference as a share of the value of the model in use.
    """

    margin: float = 0.02


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """One finding per model in use and dataset on which another model has a better value of the objective.

    Models are compared by the objective of their experiment; where models have no value of it, by their only metric
    with a known direction.
    """
    if evidence.models is None:
        return []
    better = evidence.study.settings.greater_is_better
    ranks = rank_champions(aliases_of(evidence.models), best_models(evidence.models, better))
    objectives = {task.experiment_id: task.objective.key for task in evidence.study.tasks if task.objective is not None}
    findings, said = [], set()
    for rank in ranks:
        keys = {one.by.key for one in ranks if one.alias.model_id == rank.alias.model_id}
        objective = objectives.get(rank.by.experiment_id)
        chosen = {objective} if objective in keys else keys if len(keys) == 1 else set()
        place = (rank.alias.model_id, rank.by.key, rank.by.dataset_name, rank.by.dataset_digest)
        if rank.by.key not in chosen or not rank.better or place in said:
            continue
        if abs(rank.better[0].value - rank.value.value) >= thresholds.margin * abs(rank.value.value):
            said.add(place)
            findings.append(_finding(evidence, rank))
    return findings


def _finding(evidence: Evidence, rank: ChampionRank) -> Finding:
    prefix, experiment = experiment_of(evidence, rank.by.experiment_id)
    best = rank.better[0]
    own, other = model_names(evidence, rank.value.model_id, best.model_id)
    dataset = f"dataset {one_line(rank.by.dataset_name, 40)}" if rank.by.dataset_name else "data that was not named"
    marked = f"{'stage' if rank.alias.is_stage else 'alias'} {one_line(rank.alias.alias, 40)}"
    step = f" (step {best.step:,})" if best.step else ""
    return Finding(
        "champion_not_best",
        "problem",
        "warning",
        f"{prefix}Version {rank.alias.version:,} of {one_line(rank.alias.name, 60)} with the {marked}, model {own}, "
        f"has {one_line(rank.by.key, 60)} {number(rank.value.value)} on {dataset}; {len(rank.better):,} of "
        f"{counted(len(rank.by.ranked) - 1, 'other model')} {'is' if len(rank.better) == 1 else 'are'} better, the "
        f"best is {other}{step} with {number(best.value)}. These are single values: whether it is more than noise is "
        "not known.",
        known_runs(evidence, (rank.value.run_id, best.run_id)),
        (rank.by.key,),
        numbers=(
            Number("version", rank.alias.version),
            Number("value in use", rank.value.value, rank.value.run_id),
            Number("best value", best.value, best.run_id),
            Number("better models", len(rank.better)),
            Number("other models", len(rank.by.ranked) - 1),
            *((Number("step", best.step, best.run_id),) if best.step else ()),
        ),
        section="models",
        next="Evaluate both models on the same rows, and move the alias if the better value holds.",
        experiment=experiment,
    )


RULE = Rule(
    "champion_not_best",
    "the model behind an alias such as champion or a stage such as Production has a worse objective than another model",
    "",
    Thresholds(),
    find,
)
