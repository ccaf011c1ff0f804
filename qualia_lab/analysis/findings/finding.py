"""Findings, which state what stands out among runs with the evidence for it, and rules, which make findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.counts import and_more, counted
from qualia_lab.names import distinct_names
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from qualia_lab.analysis.findings.evidence import Evidence
    from qualia_lab.analysis.groups import Group

Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")
SIGNS: Mapping[Severity, str] = {"problem": "✗", "warning": "!", "note": "·"}

Kind = Literal["answer", "problem", "relation", "provenance", "not examined"]
KINDS: tuple[Kind, ...] = ("answer", "problem", "relation", "provenance", "not examined")

MOST_NAMED = 4  # maximum number of runs, params or values that a sentence names


@dataclass(frozen=True)
class Number:
    """A number in a sentence, unrounded.

    Attributes:
        what: What the number is.
        value: Its value.
        run_id: The run it belongs to; "" if it belongs to no single run.
    """

    what: str
    value: float
    run_id: str = ""


@dataclass(frozen=True)
class Finding:
    """One result of a rule.

    Attributes:
        rule: Name of the rule.
        kind: What the finding is to a reader, one of `KINDS`.
        severity: One of `SEVERITIES`.
        sentence: The finding as plain text. It contains names from the store: escape it as a whole before display.
        run_ids: All runs that the finding is about.
        keys: The metrics or params that the finding is about.
        steps: The step at which it happened, for each of the runs; empty if it has none.
        numbers: All numbers of the sentence, except the number of run_ids and of all runs.
        section: The section of the notebook that shows it.
        code: A Python expression over `runs` whose value contains the numbers.
        next: What to do next, as plain text like the sentence.
        experiment: Name of the experiment; "" if there is only one, or if the finding is about all of them.
        trace_ids: The traces that it can be traced to, the most telling first; empty if it is not about traces.
    """

    rule: str
    kind: Kind
    severity: Severity
    sentence: str
    run_ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    numbers: tuple[Number, ...] = ()
    section: str = ""
    code: str = ""
    next: str = ""
    experiment: str = ""
    trace_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Makes findings of one kind.

    Attributes:
        name: The name used in settings.
        fires: The condition, in words.
        source: Reference for the criterion; "" if it is a plain comparison.
        thresholds: A frozen dataclass with the default thresholds.
        find: Returns the findings for the evidence and such thresholds.
        unexamined: Returns what the rule could not examine and why, such as `importance of params: 15 configurations,
            20
        are needed`.
    """

    name: str
    fires: str
    source: str
    thresholds: Any
    find: Callable[[Evidence, Any], list[Finding]]
    unexamined: Callable[[Evidence, Any], list[str]] = lambda _evidence, _thresholds: []


def number(value: float) -> str:
    """A number for a sentence: four significant digits, whole numbers without decimals."""
    if value == int(value) and abs(value) < 1e15 if abs(value) < float("inf") else False:
        return f"{int(value):,}"
    return f"{float(f'{value:.12g}'):.4g}"  # a mean that was summed in another order is rounded to the same digits


def p_text(p: float) -> str:
    """`p = 0.003`; of a value that is too small for a floating-point number, `p < 1e-300`."""
    return f"p = {p:.2g}" if p > 0 else "p < 1e-300"


def duration(seconds: float) -> str:
    """`3.1 h`, `12 min`, `40 s`."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def n_text(group: Group) -> str:
    """`n = 3`, with the numbers of excluded runs and of included unfinished runs."""
    text = f"n = {len(group.values):,}"
    text += f" of {len(group.run_ids):,}: {counts_text(group.left_out)} left out" if group.left_out else ""
    return text + (f", not finished: {counts_text(group.unfinished)}" if group.unfinished else "")


def listed(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """The names as `joined` joins them; shortened names stay distinct."""
    return joined(distinct_names(list(names)), most)


def joined(words: Sequence[str], most: int = MOST_NAMED) -> str:
    """`a, b and c`; past `most`, the number of further words."""
    if len(words) > most:
        return and_more(words, most)
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def shortened_reasons(reasons: list[str]) -> list[str]:
    """The first reasons, and the number of further experiments to which the same applies."""
    further = len(reasons) - MOST_NAMED
    return (
        reasons if further <= 0 else [*reasons[:MOST_NAMED], f"and the same in {counted(further, 'more experiment')}"]
    )


def joined_clauses(clauses: Sequence[str], most: int = MOST_NAMED) -> str:
    """Clauses about single runs, separated by semicolons; past `most`, the number of further clauses."""
    further = f"; and {len(clauses) - most:,} more" if len(clauses) > most else ""
    return "; ".join(clauses[:most]) + further
