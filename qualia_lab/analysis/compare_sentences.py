"""The comparison of two sides in plain sentences, the answer first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.findings.finding import listed, number
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line
from qualia_lab.names import aside
from qualia_lab.study.statuses import counts_text

if TYPE_CHECKING:
    from qualia_lab.analysis.compare import SideComparison

_NAMED = 4  # experiments, factors or differences that one sentence lists
_WORDS = {
    "better": "has a better mean",
    "worse": "has a worse mean",
    "higher": "has a higher mean",
    "lower": "has a lower mean",
}


def sentences_of(found: SideComparison, on_both: int) -> list[str]:
    """The sentences that describe a comparison.

    Args:
        found: the comparison.
        on_both: how many runs are on both sides and so count on neither.
    """
    sentences = [_answer(found)]
    smallest = found.comparison.smallest
    if found.verdict == "not told apart" and smallest is not None:
        sentences.append(
            f"With this many runs and this spread, a difference of {number(smallest)} is seen in 80 % of cases; a "
            "smaller one may exist."
        )
    if len(found.tasks) == 1:
        sentences.append(_isolation(found))
    sides = (("A", found.a), ("B", found.b))
    ignored = [f"of {name} {counts_text(side.left_out)}" for name, side in sides if side.left_out]
    ignored += [f"{counted(on_both, 'run')} on both sides"] if on_both else []
    return [*sentences, f"Not counted: {'; '.join(ignored)}."] if ignored else sentences


def _answer(found: SideComparison) -> str:
    """The first sentence: which side is better, or why that cannot be said."""
    a, b = (
        name + aside(f"{one_line(side.label, 60)}, n = {len(side.values):,}")
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
    """Whether only one thing differs between the sides."""
    claimed = "" if found.claimed is None else one_line(found.claimed, 60)
    if not found.differs:
        sentence = "Nothing that was recorded differs but seeds and labels: they are repeats of one configuration."
        return f"{sentence} They do not differ in {claimed}." if claimed else sentence
    differing = listed(
        [
            difference.named + aside(f"{difference.shown(difference.a)} against {difference.shown(difference.b)}")
            for difference in found.differs
        ],
        _NAMED,
    )
    if claimed and found.claimed_difference is None:
        return f"They do not differ in {claimed}, but in {differing}."
    if len(found.differs) == 1:
        return f"They differ in {differing} alone: the comparison is isolated."
    to = (
        f"{one_line(found.claimed_difference.key, 60)} alone"
        if found.claimed_difference is not None
        else "any one of these"
    )
    return f"They differ in {differing}: a difference cannot be put down to {to}."
