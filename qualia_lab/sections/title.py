"""Section: title, date, store, runs, and the command that recreates the notebook."""

from __future__ import annotations

from qualia_lab import __version__
from qualia_lab.conditions_text import choice_in_words, is_repeatable
from qualia_lab.escaping import code_span, for_markdown
from qualia_lab.masking.text import MASK
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, markdown


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    selection = context.selection
    prompt_note = "" if is_repeatable(selection.conditions) else ", which prompts for the runs"
    what = "runs" if selection.traces is None else "traces"
    again = (
        f"Run all cells to read the same {what} again. `qualia refresh` with the name of this file takes up new {what} "
        f"and keeps what you wrote. To select {what} anew{prompt_note}: {code_span(context.command)}"
    )
    count = context.inventory.run_count if selection.traces is None else context.inventory.genai.traces
    lines = [
        f"# {for_markdown(context.title)}",
        f"Written on {context.written} by qualia-lab {__version__} from {code_span(selection.tracking_uri)}.",
        f"{for_markdown(choice_in_words(selection, count))}.",
        again,
    ]
    if selection.masked:
        lines.append(f"{code_span(MASK)} replaces a value that looks like a secret: enter the value there.")
    return (markdown("title", "\n\n".join(lines)),)


SECTION = Section("title", "Title", _cells, data_source="all")
