"""Section: failed against successful runs: how the runs ended, and which have problems."""

from __future__ import annotations

from qualia_lab.counts import counted, none_of
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown
from qualia_lab.study.statuses import FAILED, UNFINISHED

_TROUBLE = """\
The runs with problems, one by one: failed or killed, without an end, with metrics that went bad, without any metric."""


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    return (
        markdown("failures:heading", f"## Failed against successful\n\n{_counts_sentence(context)}"),
        code("failures", "runs.failures.endings()"),
        markdown("failures:troubled:heading", _TROUBLE),
        code("failures:troubled", "runs.failures.troubled()"),
    )


def _counts_sentence(context: SectionContext) -> str:
    """Return the counts in words: `2 of 24 runs failed or were killed, and 1 has no end yet.`."""
    counts = dict(context.inventory.statuses)
    count = context.inventory.run_count
    failed = sum(counts.get(status, 0) for status in FAILED)
    unfinished = sum(counts.get(status, 0) for status in UNFINISHED)
    text = f"{failed:,} of {counted(count, 'run')} failed or {'was' if failed == 1 else 'were'} killed"
    if not failed:
        text = f"{none_of(count, 'run')} failed or was killed"
    if not unfinished:
        return f"{text}, and none is unfinished."
    return f"{text}, and {unfinished:,} {'have' if unfinished > 1 else 'has'} no end yet."


SECTION = Section("failures", "Failed against successful", _cells, no_run)
