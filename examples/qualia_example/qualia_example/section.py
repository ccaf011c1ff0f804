"""The section `slowest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.extensions import fixed_section

if TYPE_CHECKING:
    from qualia_lab.extensions import SectionContext


def skip_reason(context: SectionContext) -> str | None:
    """Return why the section is left out, or None."""
    return "a comparison needs two runs" if context.inventory.run_count < 2 else None


SECTION = fixed_section(
    "slowest",
    "Slowest runs",
    "The runs that took longest, without those that take part in no comparison.",
    {"": "from qualia_example import slowest_runs\n\nslowest_runs(runs, limit=5)"},
    skip_reason,
)
