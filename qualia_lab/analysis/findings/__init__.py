"""The rules that find what stands out among runs, one module per rule, and the order of their findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings import (
    best_alone,
    best_configuration,
    best_never_saved,
    best_not_last,
    best_version,
    carries_over,
    champion_not_best,
    cheaper,
    collapse,
    confounded,
    constant_params,
    diverged,
    duplicates,
    edge_of_range,
    errors_began,
    factor_effect,
    failed,
    failed_apart,
    improved_within_noise,
    interaction,
    judge_always_same,
    leak,
    matters,
    mixed_units,
    monotone_relation,
    never_learned,
    non_finite,
    not_computed,
    oscillation,
    other_code,
    other_data,
    overfitting,
    plateau,
    repeated_tool_calls,
    saturated,
    seed_collapse,
    seeds_vary_more,
    silent,
    slice_regression,
    span_type_dominates,
    spikes,
    step_gaps,
    still_improving,
    trade_offs,
    unchecked_expectations,
    unequal_budgets,
    unfinished,
    unknown_direction,
    usage_regression,
)
from qualia_lab.analysis.findings.added import apply_added, kind_of_rules
from qualia_lab.analysis.findings.finding import KINDS, SEVERITIES, Finding, Rule
from qualia_lab.analysis.findings.not_examined import not_examined
from qualia_lab.entry_points import load_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.entry_points import Fault

# The order within a severity: wrong numbers, unfair comparisons, results, remarks.
RULES: tuple[Rule, ...] = tuple(
    module.RULE
    for module in (
        diverged,
        non_finite,
        failed_apart,
        failed,
        other_data,
        mixed_units,
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
        errors_began,
        slice_regression,
        usage_regression,
        best_never_saved,
        champion_not_best,
        judge_always_same,
        repeated_tool_calls,
        unchecked_expectations,
        confounded,
        unequal_budgets,
        seed_collapse,
        best_alone,
        best_version,
        best_configuration,
        factor_effect,
        improved_within_noise,
        seeds_vary_more,
        interaction,
        edge_of_range,
        matters,
        monotone_relation,
        trade_offs,
        cheaper,
        span_type_dominates,
        carries_over,
        plateau,
        still_improving,
        other_code,
        constant_params,
    )
)

_ADDED = kind_of_rules(rule.name for rule in RULES)

# A finding of the rule on the left is dropped if findings of the rules on the right name all of its runs.
COVERED_BY = {
    "improved_within_noise": ("best_version",),
    "best_configuration": ("best_version",),
    "failed": ("failed_apart",),
    "other_code": ("confounded", "best_alone"),
    "other_data": ("confounded", "best_alone"),
}

# The same, if findings of the rules on the right name all of its params and metrics.
NAMED_BY = {"monotone": ("factor_effect",)}


def all_rules() -> tuple[Rule, ...]:
    """Return the rules of this package, and those that installed packages add."""
    return (*RULES, *(added.value for added in load_all(_ADDED)[0]))


def rule_faults() -> tuple[Fault, ...]:
    """Return the faults of rules that installed packages add and that cannot be used."""
    return load_all(_ADDED)[1]


def find_findings(evidence: Evidence, thresholds: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Apply the rules and return their findings, sorted by kind, severity and rule.

    The kinds are sorted as in `KINDS`: answers, problems, relations, provenance, and what was not examined. The result
    is deterministic: equal evidence gives equal findings in the same order.

    Args:
        evidence: The tables, study and metric histories of the runs.
        thresholds: The thresholds of each rule to apply, by rule name, as `settings.chosen_thresholds` returns them.

    Returns:
        The findings, without those that another finding covers (see `COVERED_BY` and `NAMED_BY`).
    """
    rule_order = {rule.name: position for position, rule in enumerate(RULES)}
    findings: list[Finding] = []
    for rule in RULES:
        if rule.name in thresholds:
            findings += rule.find(evidence, thresholds[rule.name])
    of_packages, reasons = apply_added(_ADDED, evidence, thresholds)
    findings += of_packages
    findings += not_examined(evidence, [rule for rule in RULES if rule.name in thresholds], thresholds, reasons)

    def is_covered(finding: Finding) -> bool:
        covered_runs = {
            run_id
            for covering in findings
            if covering.rule in COVERED_BY.get(finding.rule, ())
            for run_id in covering.run_ids
        }
        covered_keys = {
            key
            for covering in findings
            if covering.rule in NAMED_BY.get(finding.rule, ()) and covering.experiment == finding.experiment
            for key in covering.keys
        }
        by_runs, by_keys = (
            bool(finding.run_ids) and covered_runs.issuperset(finding.run_ids),
            covered_keys.issuperset(finding.keys),
        )
        return by_runs or (bool(finding.keys) and by_keys)

    def rank(finding: Finding) -> tuple[int, int, int, int]:
        kind, severity = KINDS.index(finding.kind), SEVERITIES.index(finding.severity)
        return kind, severity, rule_order.get(finding.rule, len(rule_order)), -len(finding.run_ids)

    return tuple(sorted((finding for finding in findings if not is_covered(finding)), key=rank))
