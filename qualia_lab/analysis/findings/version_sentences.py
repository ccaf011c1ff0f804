"""Which evaluated version is better, in words: over which rows, what is missing from its mean, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qualia_lab.analysis.findings.finding import joined_clauses, listed, number
from qualia_lab.counts import counted
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qualia_lab.analysis.leading_version import LeadingVersion, Rival, VersionScore


class VersionText(NamedTuple):
    """What is said of the versions, and what to do next."""

    sentence: str
    next: str


def describe_versions(leading: LeadingVersion, names: Mapping[str, str]) -> VersionText:
    """Describe two versions or more.

    A version leads only if it is better than all others over the rows that both have; its mean alone may be of easier
    rows.

    Args:
        leading: the versions.
        names: a distinct name of each run, by its id.
    """
    first = leading.ranked[0]
    scorer = one_line(leading.scorer.name, 60)
    if first.mean == leading.ranked[-1].mean:
        which = "both" if len(leading.ranked) == 2 else f"all {len(leading.ranked):,}"
        equal = f"No version leads by {scorer}: its mean is {number(first.mean)} in {which}."
        return VersionText(equal + _without_value(leading, names), "Judge harder rows, or choose by cost.")
    sentence = _means(leading, scorer, names) + _over_the_same_rows(leading, names) + _without_value(leading, names)
    return VersionText(sentence, _next(leading))


def _means(leading: LeadingVersion, scorer: str, names: Mapping[str, str]) -> str:
    first = leading.ranked[0]
    ties = [one for one in leading.ranked if one.mean == first.mean]
    following = leading.ranked[len(ties)]
    next_one = f"{names[following.run_id]} with {number(following.mean)} on {_rows(following)}"
    if len(ties) > 1:
        best = listed(names[one.run_id] for one in ties)
        return f"{best} have the best mean {scorer}, {number(first.mean)}; next is {next_one}."
    if leading.is_decided:
        return (
            f"{names[first.run_id]} leads by {scorer} with {number(first.mean)} on {_rows(first)}, before {next_one}."
        )
    return (
        f"{names[first.run_id]} has the best mean {scorer}, {number(first.mean)} on {_rows(first)}; next is {next_one}."
    )


def _rows(score: VersionScore) -> str:
    return counted(score.n, "row") if score.n == score.rows else f"{score.n:,} of {counted(score.rows, 'row')}"


def _over_the_same_rows(leading: LeadingVersion, names: Mapping[str, str]) -> str:
    paired = [one for one in leading.rivals if one.pairs]
    unpaired = [one for one in leading.rivals if not one.pairs]
    clauses = [
        f"{does} {_named(rivals, leading, names)}"
        for does, verdicts in (("is better than", ("worse",)), ("is worse than", ("better",)))
        if (rivals := [one for one in paired if one.verdict in verdicts])
    ]
    best = {one.run_id for one in leading.ranked if one.mean == leading.ranked[0].mean}  # already said to be equal
    level = [one for one in paired if one.verdict not in ("better", "worse") and one.run_id not in best]
    clauses += [f"cannot be told from {_named(level, leading, names)}"] if level else []
    said = ""
    if clauses:
        subject = names[leading.ranked[0].run_id] if len(best) > 1 else "it"
        versions = len(leading.ranked)
        corrected = f"; p is corrected for all pairs of {versions:,} versions" if versions > 2 else ""
        said = f" Over the same rows, {subject} {' and '.join(clauses)}{corrected}."
    if unpaired:
        others = listed(names[one.run_id] for one in unpaired)
        said += f" No row of {names[leading.ranked[0].run_id]} has the same inputs as one of {others}, so these means "
        said += "are of different rows and do not say which is better."
    return said


def _named(rivals: Iterable[Rival], leading: LeadingVersion, names: Mapping[str, str]) -> str:
    """The rivals, with the number of rows that both have where it is not that of the leader's mean."""
    n = leading.ranked[0].n
    return listed(names[one.run_id] + ("" if one.pairs == n else f" (n = {one.pairs:,})") for one in rivals)


def _without_value(leading: LeadingVersion, names: Mapping[str, str]) -> str:
    """A sentence on rows that are in no mean: of the versions that lack many, else of all; "" if there are none."""
    lacking = [one for one in leading.ranked if not one.is_complete]
    if lacking:
        clauses = [_lack(one.n, one.rows, one.failed, f" of {names[one.run_id]}") for one in lacking]
    else:
        n, rows, failed = (sum(getattr(one, name) for one in leading.ranked) for name in ("n", "rows", "failed"))
        clauses = [_lack(n, rows, failed)] if n < rows else []
    return f" Without a value, and in no mean: {joined_clauses(clauses)}." if clauses else ""


def _lack(n: int, rows: int, failed: int, of_version: str = "") -> str:
    return f"{rows - n:,} of {counted(rows, 'row')}{of_version}" + (f", {failed:,} of which failed" if failed else "")


def _next(leading: LeadingVersion) -> str:
    if not any(one.pairs for one in leading.rivals):
        return "Evaluate the versions on the same rows."
    if not leading.ranked[0].is_complete:
        return "Judge the rows without a value before you choose: they may be those that it gets wrong."
    if not leading.is_decided:
        return "Judge more rows with the versions that cannot be told apart, or choose among them by cost."
    if any(one.wins for one in leading.rivals):
        return "Look at the rows on which it is worse before it replaces the others."
    return "Weigh what it costs before it replaces the others."
