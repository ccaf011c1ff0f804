"""Tasks in which repeats of a configuration differ more than configurations do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.spread_compare import seed_spread

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

NONE = "none that can be seen"  # between configurations, where their means differ less than repeats let expect


@dataclass(frozen=True)
class Thresholds:
    """fewest: configurations that ran more than once."""

    fewest: int = 4


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """Of each task at most one finding: repeats make up more than half of the variance, with confidence.

    It says that nothing large is there, and so is a part of the answer. See `spread_compare.seed_spread`.
    """
    found = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if len(one.values) > 1]
        spread = seed_spread([one.values for one in groups]) if len(groups) >= max(2, thresholds.fewest) else None
        if spread is None or not spread.seeds_vary_more:
            continue
        key, within, between = groups[0].metric, spread.between_seeds, spread.most_between
        found.append(
            Finding(
                "seeds_vary_more",
                "answer",
                "note",
                f"{evidence.where(task)}{key} varies more between repeats than between configurations: a standard "
                f"deviation of {number(within)} against {f'at most {number(between)} (95 %)' if between else NONE}.",
                tuple(run_id for group in groups for run_id in group.scored),
                (key,),
                numbers=(
                    Number("deviation of repeats", within),
                    Number("of configurations at most", between),
                ),
                section="groups",
                code="runs.answer()",
                next="Run more seeds of fewer configurations, or change something that has a larger effect.",
                experiment=evidence.experiment(task),
            )
        )
    return found


RULE = Rule(
    "seeds_vary_more",
    "repeats make up more than half of the variance of the objective between runs, with 95 % confidence",
    "Shrout and Fleiss 1979; Searle, Casella and McCulloch 1992",
    Thresholds(),
    find,
)
