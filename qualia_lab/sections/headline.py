"""Sections with the answer: the headline and the findings, of runs and of traces alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, code, markdown
from qualia_lab.sections.traces import no_traces

if TYPE_CHECKING:
    from collections.abc import Callable


def _nothing(context: SectionContext) -> str | None:
    return no_traces(context) if context.data_source == "traces" else no_run(context)


def _section(name: str, title: str, cells: Callable[[SectionContext], dict[str, str]]) -> Section:
    def planned(context: SectionContext) -> tuple[PlannedCell, ...]:
        sources = cells(context)
        return (
            markdown(f"{name}:heading", f"## {title}"),
            *(code(f"{name}:{suffix}" if suffix else name, source) for suffix, source in sources.items()),
        )

    return Section(name, title, planned, _nothing, "runs or traces")


def _headline(context: SectionContext) -> dict[str, str]:
    if context.data_source == "traces":
        return {"": "traces.headline()", "chart": "traces.plot_over_time()"}
    return {"": "runs.headline()", "chart": "runs.plot.answer()"}


SECTIONS = (
    _section("headline", "In short", _headline),
    _section("findings", "Findings", lambda context: {"": f"{context.data_source}.show_findings()"}),
)
