"""Every configuration against one of them."""

from __future__ import annotations

from qualia_lab.sections.groups import why_no_groups
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Against the baseline

Each configuration against one of them, `BASELINE`: by pairs of the same seed where both have the same, else by Welch's
test, or by ranks (Mann-Whitney) where values lie far off. `p (Holm)` is corrected for the number of comparisons.
`would show` is the smallest difference that so many runs would show in 80 % of cases; where that is more than two
standard deviations, or a side has under three runs, the verdict is "too few runs to tell"."""


def _why_not(brief: Brief) -> str | None:
    reason = why_no_groups(brief)
    if reason is None and brief.most_configurations < 2:
        return "there is only one configuration with a run that counts"
    return reason


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("baseline:heading", _HEADING), code("baseline", "runs.compare_to_baseline()"))


SECTION = Section("baseline", "Against the baseline", _cells, _why_not)
