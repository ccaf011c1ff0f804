"""Rules that installed packages add; what is wrong with one of them is reported as not examined."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from qualia_lab.analysis.findings.finding import KINDS, SEVERITIES, Finding, Number, Rule
from qualia_lab.entry_points import Fault, Kind, load_all, raised, returned, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.entry_points import Added

T = TypeVar("T")

_TEXTS = ("sentence", "section", "code", "next", "experiment")


def kind_of_rules(built_in: Iterable[str]) -> Kind:
    """Return the kind of the rules that packages add.

    Args:
        built_in: the names of the rules of this package.

    Returns:
        The kind; names with a meaning of their own in `--fail-on` are reserved too.
    """
    return Kind("qualia_lab.findings", "rule", frozenset((*built_in, "not_examined", *SEVERITIES)), _why_no_rule)


def apply_added(kind: Kind, evidence: Evidence, thresholds: Mapping[str, Any]) -> tuple[list[Finding], list[str]]:
    """Apply the rules that packages add.

    Args:
        kind: the kind that `kind_of_rules` returns.
        evidence: the runs.
        thresholds: the thresholds of each rule to apply, by its name.

    Returns:
        The findings, and what was not examined with the reasons, including rules that cannot be used.
    """
    rules, faults = load_all(kind)
    findings: list[Finding] = []
    reasons = [_clause(fault) for fault in faults]
    why_no_findings = partial(_why_no_findings, evidence.positions)
    for added in rules:
        if added.name not in thresholds:
            continue
        of_rule = (evidence, thresholds[added.name])
        for results, function, why_wrong in (
            (findings, added.value.find, why_no_findings),
            (reasons, added.value.unexamined, _why_no_texts),
        ):
            result = _call(kind, added, partial(function, *of_rule), why_wrong)
            if isinstance(result, Fault):
                reasons.append(_clause(result))
            else:
                results.extend(result)
    return findings, reasons


def _call(
    kind: Kind, added: Added, function: Callable[[], list[T]], why_wrong: Callable[[str, Any], str | None]
) -> list[T] | Fault:
    """Call a function of a rule, and check what it returns."""
    try:
        result = function()
    except Exception as error:
        return raised(kind, added, error)
    reason = why_wrong(added.name, result)
    return result if reason is None else returned(kind, added, reason)


def _clause(fault: Fault) -> str:
    return f"what the {fault.subject} looks for, which {fault.reason}"


def _why_no_rule(name: str, value: Any) -> str | None:
    if not isinstance(value, Rule):
        return f"is {type_name(value)}, not a Rule"
    if value.name != name:
        return f"has another name in its Rule, {value.name!r}"
    thresholds = value.thresholds
    if not is_dataclass(thresholds) or isinstance(thresholds, type):
        return f"has thresholds that are {type_name(thresholds)}, not an object of a dataclass"
    numbers = [getattr(thresholds, field.name) for field in fields(thresholds)]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        return "has a threshold that is not a number"
    return None


def _why_no_findings(run_ids: Collection[str], name: str, findings: Any) -> str | None:
    """Why these are not findings of a rule on these runs."""
    if not isinstance(findings, list | tuple) or not all(isinstance(one, Finding) for one in findings):
        return "returned what is not a list of findings"
    for one in findings:
        if one.rule != name:
            return f"returned a finding of another rule, {one.rule!r}"
        if one.kind not in KINDS[:-1] or one.severity not in SEVERITIES:
            return f"returned a finding of the kind {one.kind!r} and the severity {one.severity!r}"
        if not all(isinstance(getattr(one, text), str) for text in _TEXTS) or not one.sentence:
            return "returned a finding without a sentence, or with what is no text"
        if not set(one.run_ids) <= set(run_ids):
            return "returned a finding of runs that it was not given"
        if one.steps and len(one.steps) != len(one.run_ids):
            return "returned a finding whose steps are not one for each run"
        if not all(isinstance(number, Number) for number in one.numbers):
            return "returned a finding whose numbers are no Number"
    return None


def _why_no_texts(_: str, reasons: Any) -> str | None:
    are_texts = isinstance(reasons, list | tuple) and all(isinstance(one, str) for one in reasons)
    return None if are_texts else "did not return a list of texts as what it could not examine"
