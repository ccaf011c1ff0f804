"""A finding: something that stands out among the runs, with its evidence; and a rule: what looks for one kind of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from qualia_lab.counts import counted
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

NAMED = 4  # runs, params or values that a sentence names before it only counts the rest


@dataclass(frozen=True)
class Number:
    """A number of a sentence, unrounded: what it is, and of which run, "" where it is of no single one."""

    what: str
    value: float
    run_id: str = ""


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    kind: what it is to a reader; answers come first.  sentence, next: what was found, and what to do next, as plain
    text with names of a store in it: escape it as a whole for where it is shown.
    run_ids: every run it is about, keys: the metrics or params, steps: where it happened, run by run where it has them.
    numbers: every number of the sentence but the count of run_ids and of all runs.
    section: the notebook's section that shows it.  code: an expression over `runs` whose value holds the numbers.
    experiment: the name of the one it is about, "" where there is only one or it is about all.
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


@dataclass(frozen=True)
class Rule:
    """Looks for one kind of finding.

    fires: what has to be so, in words.  source: where the criterion is from, "" where it is a plain comparison.
    thresholds: a frozen dataclass with the values it holds unless a person sets others.
    find: from the evidence and such thresholds to findings.
    unexamined: what the rule could not look at, and why: `importance of params: 15 configurations, 20 are needed`.
    """

    name: str
    fires: str
    source: str
    thresholds: Any
    find: Callable[[Evidence, Any], list[Finding]]
    unexamined: Callable[[Evidence, Any], list[str]] = lambda _evidence, _thresholds: []


def number(value: float) -> str:
    """A number as it stands in a sentence: four digits that count, whole numbers whole."""
    if value == int(value) and abs(value) < 1e15 if abs(value) < float("inf") else False:
        return f"{int(value):,}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """`3.1 h`, `12 min`, `40 s`."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def n_text(group: Group) -> str:
    """`n = 3`, with the runs that are not in it, and those that are and did not finish."""
    said = f"n = {len(group.values):,}"
    said += f" of {len(group.run_ids):,}: {counts_text(group.left_out)} left out" if group.left_out else ""
    return said + (f", not finished: {counts_text(group.unfinished)}" if group.unfinished else "")


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """The names as `joined` joins them; shortened ones stay distinct."""
    return joined(distinct_names(list(names)), most)


def joined(words: Sequence[str], most: int = NAMED) -> str:
    """`a, b and c`, or the first of them and how many more there are."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most:,} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def some_reasons(reasons: list[str]) -> list[str]:
    """What a rule did not examine, of the first experiments, and in how many more it is so."""
    more = len(reasons) - NAMED
    return reasons if more <= 0 else [*reasons[:NAMED], f"and so in {counted(more, 'more experiment')}"]


def parts(clauses: Sequence[str], most: int = NAMED) -> str:
    """Clauses about single runs, separated by semicolons; past `most` they are counted."""
    more = f"; and {len(clauses) - most:,} more" if len(clauses) > most else ""
    return "; ".join(clauses[:most]) + more
