"""How the logs of the runs in trouble end."""

from __future__ import annotations

from qualia_lab.sections.failures import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, code, markdown

_HEADING = """\
## Last log lines

Of the runs in trouble, failed ones first: what their tags say of an error, and the end of files that are named like a
log."""


def _cells(_: Brief) -> tuple[PlannedCell, ...]:
    return (markdown("log_tails:heading", _HEADING), code("log_tails", "runs.failures.log_tails(limit=5, lines=20)"))


SECTION = Section("log_tails", "Last log lines", _cells, no_run)
