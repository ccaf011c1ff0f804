"""Failed against successful runs: how the runs ended, and which are in trouble."""

from __future__ import annotations

from qualia_lab.counts import counted
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown
from qualia_lab.study.statuses import FAILED, UNFINISHED

_TROUBLE = """\
The runs in trouble, one by one: failed and killed, without an end, with metrics that went bad, without any metric."""


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("failures:heading", f"## Failed against successful\n\n{_said(brief)}"),
        code("failures", "runs.failures.endings()"),
        markdown("failures:troubled:heading", _TROUBLE),
        code("failures:troubled", "runs.failures.troubled()"),
    )


def _said(brief: Brief) -> str:
    """The counts in words: `2 of 24 runs failed or were killed, and 1 has no end yet.`."""
    counts = dict(brief.inventory.statuses)
    runs = counted(brief.inventory.run_count, "run")
    failed = sum(counts.get(status, 0) for status in FAILED)
    unfinished = sum(counts.get(status, 0) for status in UNFINISHED)
    said = f"{failed:,} of {runs} failed or {'was' if failed == 1 else 'were'} killed"
    if not failed:
        said = f"None of {runs} failed or was killed"
    return f"{said}, and {unfinished or 'none':} {'have' if unfinished > 1 else 'has'} no end yet."


SECTION = Section("failures", "Failed against successful", _cells, no_run)
