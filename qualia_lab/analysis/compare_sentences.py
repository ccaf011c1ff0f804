"""A comparison of two sides in plain sentences, the answer first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import listed, number
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from qualia_lab.analysis.compare import SideComparison

_NAMED = 4  # experiments, factors, and things that differ
_WORDS = {
    "better": "has a better mean",
    "worse": "has a worse mean",
    "higher": "has a higher mean",
    "lower": "has a lower mean",
}


def sentences_of(found: SideComparison, on_both: int) -> list[str]:
    """What was found.  on_both: how many runs are on both sides, and count on neither."""
    said = [_answer(found)]
    smallest = found.comparison.smallest
    if found.verdict == "not told apart" and smallest is not None:
        said.append(
            f"So many runs, with this spread, show a difference of {number(smallest)} in 80 % of cases; a smaller one "
            "may be there."
        )
    if len(found.tasks) == 1:
        said.append(_isolation(found))
    sides = (("A", found.a), ("B", found.b))
    aside = [f"of {name} {counts_text(side.left_out)}" for name, side in sides if side.left_out]
    aside += [f"{counted(on_both, 'run')} on both sides"] if on_both else []
    return [*said, f"Not counted: {'; '.join(aside)}."] if aside else said


def _answer(found: SideComparison) -> str:
    a, b = (
        name + aside(f"{one_line(side.said, 60)}, n = {len(side.values):,}")
        for name, side in (("A", found.a), ("B", found.b))
    )
    if len(found.tasks) > 1:
        return (
            f"{a} and {b} are of different experiments, {listed(found.tasks, _NAMED)}, which are different tasks: no "
            "winner is named. If they are one task, say so with --pool."
        )
    metric = one_line(found.metric, 80)
    if found.a.mean is None or found.b.mean is None:
        without = "A" if found.a.mean is None else "B"
        return f"{a} and {b} cannot be compared: no run of {without} that counts has {metric}."
    means = f"{number(found.a.mean)} against {number(found.b.mean)}"
    if found.verdict == "too few":
        return f"Too few runs to tell {a} and {b} apart by {metric}: {means}."
    apart = _difference(found)
    if found.verdict == "not told apart":
        return f"{a} and {b} cannot be told apart by {metric}: {means}{apart}."
    unknown = ""
    if found.greater_is_better is None:
        unknown = " Which way is better is not known: say --metric METRIC:max or METRIC:min."
    return f"{a} {_WORDS[found.verdict]} {metric} than {b}: {means}{apart}.{unknown}"


def _difference(found: SideComparison) -> str:
    """`; the difference is 0.1, 95 % 0.08 to 0.12 (5 pairs by seed, paired t, p = 0.001)`."""
    comparison = found.comparison
    if comparison.difference is None:
        return ""
    interval = ""
    if comparison.low is not None and comparison.high is not None:
        interval = f", 95 % {number(comparison.low)} to {number(comparison.high)}"
    how: list[str] = [comparison.test] if comparison.test else []
    if found.pairs is not None:
        how.insert(0, f"{found.pairs:,} pairs by {listed(found.paired_by, _NAMED)}")
    how += [f"p = {comparison.p:.2g}"] if comparison.p is not None else []
    shown = f" ({', '.join(how)})" if how else ""
    return f"; the difference is {number(comparison.difference)}{interval}{shown}"


def _isolation(found: SideComparison) -> str:
    """Whether one thing alone differs."""
    claimed = "" if found.claimed is None else one_line(found.claimed, 60)
    if not found.differs:
        said = "Nothing that was recorded differs but seeds and labels: they are repeats of one configuration."
        return f"{said} They do not differ in {claimed}." if claimed else said
    differing = listed(
        [one.named + aside(f"{one.shown(one.a)} against {one.shown(one.b)}") for one in found.differs],
        _NAMED,
    )
    if claimed and found.asked is None:
        return f"They do not differ in {claimed}, but in {differing}."
    if len(found.differs) == 1:
        return f"They differ in {differing} alone: the comparison is isolated."
    to = f"{one_line(found.asked.key, 60)} alone" if found.asked is not None else "any one of these"
    return f"They differ in {differing}: a difference cannot be put down to {to}."
