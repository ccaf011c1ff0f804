"""What failed runs share and the others do not."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown
from qualia_lab.study.statuses import FAILED

_HEADING = """\
## What sets them apart

Values of params, tags, code, data and day that the runs that failed (where none did: whose metrics went bad) have more
often than those that finished; of numbers also thresholds. `p` is Fisher's exact test, corrected for all conditions
that could have told something (Tarone). It says nothing about cause."""


def _why_not(brief: Brief) -> str | None:
    counts = dict(brief.inventory.statuses)
    failed = sum(counts.get(status, 0) for status in FAILED)
    if brief.inventory.run_count < 3:
        return "it needs three runs"
    if failed == 1:
        return "only one run failed, and what one run has tells nothing"
    if not failed and not brief.inventory.model_metrics:
        return "no run failed, and none has a metric that could have gone bad"
    return None


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("what_sets_apart:heading", _HEADING),
        code("what_sets_apart", "runs.failures.what_sets_apart()"),
    )


SECTION = Section("what_sets_apart", "What sets them apart", _cells, _why_not)
