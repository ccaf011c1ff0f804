"""Artifacts of the runs beside each other."""

from __future__ import annotations

from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Artifacts compared

Which artifacts are not the same in all runs that have them, what differs in JSON, YAML and tables, and the pictures
side by side.
`runs.artifacts.difference(path, run_a, run_b)` compares two texts line by line."""

_TABLES = """\
for path in runs.artifacts.comparable():
    display(runs.artifacts.compare(path))"""


def _why_not(brief: Brief) -> str | None:
    return "a comparison needs two runs" if brief.inventory.run_count < 2 else None


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (
        markdown("artifacts:heading", _HEADING),
        code("artifacts", "runs.artifacts.that_differ()"),
        code("artifacts:compared", _TABLES),
        code("artifacts:images", "runs.artifacts.images()"),
    )


SECTION = Section("artifacts", "Artifacts compared", _cells, _why_not)
