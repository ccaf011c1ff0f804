"""What stands out among some runs: every rule in a file of its own, and here their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import (
    best_alone,
    best_configuration,
    best_not_last,
    carries_over,
    cheaper,
    collapse,
    confounded,
    constant_params,
    diverged,
    duplicates,
    edge_of_range,
    factor_effect,
    failed,
    failed_apart,
    interaction,
    leak,
    matters,
    monotone_relation,
    never_learned,
    non_finite,
    not_computed,
    oscillation,
    other_code,
    other_data,
    overfitting,
    plateau,
    saturated,
    seed_collapse,
    seeds_vary_more,
    silent,
    spikes,
    step_gaps,
    still_improving,
    trade_offs,
    unequal_budgets,
    unfinished,
    unknown_direction,
)
from qualia_lab.analysis.findings.finding import KINDS, SEVERITIES, Finding, Rule
from qualia_lab.analysis.findings.not_examined import not_examined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from qualia_lab.analysis.findings.evidence import Evidence

# Within a severity, in this order: what makes numbers wrong, what makes them unfair, what they say, what is only so.
RULES: tuple[Rule, ...] = tuple(
    module.RULE
    for module in (
        diverged,
        non_finite,
        failed_apart,
        failed,
        other_data,
        never_learned,
        not_computed,
        collapse,
        leak,
        saturated,
        overfitting,
        duplicates,
        best_not_last,
        step_gaps,
        oscillation,
        spikes,
        unfinished,
        silent,
        unknown_direction,
        confounded,
        unequal_budgets,
        seed_collapse,
        best_alone,
        best_configuration,
        factor_effect,
        seeds_vary_more,
        interaction,
        edge_of_range,
        matters,
        monotone_relation,
        trade_offs,
        cheaper,
        carries_over,
        plateau,
        still_improving,
        other_code,
        constant_params,
    )
)


# A finding of the first rule says little that one of these has not said, when they name all of its runs.
COVERED_BY = {
    "failed": ("failed_apart",),
    "other_code": ("confounded", "best_alone"),
    "other_data": ("confounded", "best_alone"),
}

# The same where one of these names all of its params or metrics.
NAMED_BY = {"monotone": ("factor_effect",)}


def find_findings(evidence: Evidence, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What the rules find: answers first, then problems, relations, where runs are from, and what was not examined.

    The same evidence gives the same findings in the same order.

    Args:
        evidence: of the runs.
        thresholds: by the names of the rules that are asked, as `settings.chosen_thresholds` makes them.
    """
    places = {rule.name: place for place, rule in enumerate(RULES)}
    found: list[Finding] = []
    for rule in RULES:
        if rule.name in thresholds:
            found += rule.find(evidence, thresholds[rule.name])
    found += not_examined(evidence, [rule for rule in RULES if rule.name in thresholds], thresholds)

    def is_covered(one: Finding) -> bool:
        said = {run_id for other in found if other.rule in COVERED_BY.get(one.rule, ()) for run_id in other.run_ids}
        named = {
            key
            for other in found
            if other.rule in NAMED_BY.get(one.rule, ()) and other.experiment == one.experiment
            for key in other.keys
        }
        by_runs, by_keys = bool(one.run_ids) and said.issuperset(one.run_ids), named.issuperset(one.keys)
        return by_runs or (bool(one.keys) and by_keys)

    def rank(one: Finding) -> tuple[int, int, int, int]:
        kind, severity = KINDS.index(one.kind), SEVERITIES.index(one.severity)
        return kind, severity, places.get(one.rule, len(places)), -len(one.run_ids)

    return tuple(sorted((one for one in found if not is_covered(one)), key=rank))
