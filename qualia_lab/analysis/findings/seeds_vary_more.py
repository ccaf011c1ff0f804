"""Tasks in which repeats of a configuration differ more than configurations do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import Finding, Number, Rule, number
from qualia_lab.analysis.spread_compare import seed_spread

if TYPE_CHECKING:
    from qualia_lab.analysis.findings.evidence import Evidence

NONE = "none that can be seen"  # the variance between configurations, if their means differ less than repeats suggest


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the rule.

    Attributes:
        fewest: Minimum number of configurations that ran more than once.
    """

    fewest: int = 4


def find(evidence: Evidence, thresholds: Thresholds) -> list[Finding]:
    """At most one finding per task: repeats account for more than half of the variance, with confidence.

    It is an answer, since it says that there is no large difference to find. See `spread_compare.seed_spread`.
    """
    findings = []
    for task in evidence.study.tasks:
        groups = [one for one in evidence.groups.get(task.experiment_id, ()) if len(one.values) > 1]
        spread = seed_spread([one.values for one in groups]) if len(groups) >= max(2, thresholds.fewest) else None
        if spread is None or not spread.seeds_vary_more:
            continue
        key, within, between = groups[0].metric, spread.between_seeds, spread.most_between
        findings.append(
            Finding(
                "seeds_vary_more",
                "answer",
                "note",
                f"{evidence.prefix(task)}{key} varies more between repeats than between configurations: a standard "
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
    return findings


RULE = Rule(
    "seeds_vary_more",
    "repeats make up more than half of the variance of the objective between runs, with 95 % confidence",
    "Shrout and Fleiss 1979; Searle, Casella and McCulloch 1992",
    Thresholds(),
    find,
)
