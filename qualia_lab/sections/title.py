"""What this is: title, when, which store, which runs, how to bring it up to date."""

from __future__ import annotations

import shlex

from qualia_lab import __version__
from qualia_lab.escaping import code_span, for_markdown, one_line
from qualia_lab.sections.section import Brief, PlannedCell, Section, markdown


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    store = code_span(brief.selection.tracking_uri)
    lines = [
        f"# {for_markdown(brief.title)}",
        f"Written on {brief.written} by qualia-lab {__version__} from {store}.",
        f"{for_markdown(how_chosen(brief))}.",
        f"Run all cells to read the same runs again. To choose anew: {code_span(_command(brief))}",
    ]
    return (markdown("title", "\n\n".join(lines)),)


def how_chosen(brief: Brief) -> str:
    """`12 runs of churn where params.lr > 0.1, ordered by metrics.auc DESC, at most 12` as plain text."""
    selection = brief.selection
    count = brief.inventory.run_count
    words = f"{count:,} {'run' if count == 1 else 'runs'}"
    names = [one_line(name, 60) for name in selection.experiments]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more experiments" if len(names) > 5 else "")
        words += f" of {shown}"
    if selection.filter:
        words += f" where {one_line(selection.filter, 300)}"
    if selection.picked:
        return f"{words}, picked one by one"
    words += f", ordered by {', '.join(selection.order_by)}" if selection.order_by else ", newest first"
    if selection.limit is not None:
        words += f", at most {selection.limit:,}"
    return words


def _command(brief: Brief) -> str:
    """The command that makes this choice again."""
    selection = brief.selection
    words = ["create-observation-notebook", "--tracking-uri", selection.tracking_uri]
    if selection.engine is not None:
        words += ["--engine", selection.engine]
    if selection.picked:
        return shlex.join(words)  # and be asked which runs
    for name in selection.experiments:
        words += ["--experiment", name]
    if selection.filter:
        words += ["--filter", selection.filter]
    for order in selection.order_by:
        words += ["--order-by", order]
    if selection.limit is not None:
        words += ["--limit", str(selection.limit)]
    return shlex.join(words)


SECTION = Section("title", "Title", _cells, over="both")
