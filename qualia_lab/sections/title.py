"""What this is: title, when, which store, which runs, and the command that makes it again."""

from __future__ import annotations

from qualia_lab import __version__
from qualia_lab.conditions_text import choice_in_words, is_repeatable
from qualia_lab.escaping import code_span, for_markdown
from qualia_lab.sections.section import Brief, PlannedCell, Section, markdown


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    selection = brief.selection
    how = "" if is_repeatable(selection.conditions) else ", which asks for the runs"
    lines = [
        f"# {for_markdown(brief.title)}",
        f"Written on {brief.written} by qualia-lab {__version__} from {code_span(selection.tracking_uri)}.",
        f"{for_markdown(choice_in_words(selection, brief.inventory.run_count))}.",
        f"Run all cells to read the same runs again. To choose anew{how}: {code_span(brief.command)}",
    ]
    return (markdown("title", "\n\n".join(lines)),)


SECTION = Section("title", "Title", _cells, over="both")
