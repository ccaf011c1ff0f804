"""Thresholds set by the user, by rule name, validated before anything is read."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.findings import all_rules, rule_faults
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def chosen_thresholds(given: Mapping[str, Any]) -> dict[str, Any]:
    """Combine the user's settings with the default thresholds.

    Args:
        given: For a rule name, a mapping of its thresholds, such as `{"spikes": {"deviations": 20}}`, or False to
            switch the
        rule off.

    Returns:
        The thresholds of every rule that is switched on, by its name.

    Raises:
        QualiaLabError: If a name is unknown or a value is not a number.
    """
    rules = {rule.name: rule for rule in all_rules()}
    chosen = {name: rule.thresholds for name, rule in rules.items()}
    for name, settings in given.items():
        if name not in rules:
            unusable = next((fault for fault in rule_faults() if fault.name == name), None)
            if unusable is None:
                raise _unknown("rule", name, rules)
            if settings is False:
                continue
            raise QualiaLabError(unusable.message, unusable.hint)
        if settings is False:
            del chosen[name]
        elif settings is not True:
            chosen[name] = _set(name, rules[name].thresholds, settings)
    return chosen


def threshold_names(thresholds: Any) -> dict[str, float]:
    """The thresholds of a rule, by name."""
    return {field.name: getattr(thresholds, field.name) for field in fields(thresholds)}


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `rule.threshold=value` and `rule=off` into the argument of `chosen_thresholds`.

    Args:
        texts: The settings; the same rule may occur several times.

    Returns:
        The settings by rule name.

    Raises:
        QualiaLabError: If a text has neither form, or its value is not a number.
    """
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        rule, dot, threshold = name.partition(".")
        if equals and not dot and value.lower() in ("off", "false", "on", "true"):
            given[rule] = value.lower() in ("on", "true")
        elif equals and dot:
            entry = given.get(rule)
            given[rule] = {**(entry if isinstance(entry, dict) else {}), threshold: _parsed(text, value)}
        else:
            raise QualiaLabError(f"{one_line(text, 80)} is not a setting.", "Write RULE.THRESHOLD=NUMBER, or RULE=off.")
    return given


def _parsed(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise QualiaLabError(f"{one_line(text, 80)} is not a number.", "Write RULE.THRESHOLD=NUMBER.") from None


def _set(name: str, thresholds: Any, settings: Any) -> Any:
    if not hasattr(settings, "items"):
        raise QualiaLabError(
            f"The rule {name} takes thresholds by name.", f"It has {', '.join(threshold_names(thresholds)) or 'none'}."
        )
    known = threshold_names(thresholds)
    values: dict[str, float] = {}
    for key, value in settings.items():
        if key not in known:
            raise _unknown(f"threshold of the rule {name}", key, known)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value < 0:  # noqa: PLR0124
            raise QualiaLabError(f"{name}.{key} has to be a number of 0 or more, not {one_line(repr(value), 40)}.")
        values[key] = value
    return replace(thresholds, **values)


def _unknown(what: str, name: object, known: Mapping[str, Any]) -> QualiaLabError:
    near = get_close_matches(str(name), known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    return QualiaLabError(f"There is no {what} called {one_line(str(name), 60)}.", hint)
