"""What this is: title, when, which store, which runs, how to bring it up to date."""

from __future__ import annotations

import shlex

from qualia_lab import __version__
from qualia_lab.escaping import code_span, for_markdown, one_line
from qualia_lab.sections.section import Brief, PlannedCell, Section, markdown
from qualia_lab.selection import cut_metric


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
    """`12 runs of churn where params.lr > 0.1, best val_auc first, at most 12` as plain text."""
    selection, conditions = brief.selection, brief.selection.conditions
    count = brief.inventory.run_count
    words = f"{count:,} {'run' if count == 1 else 'runs'}"
    names = [one_line(name, 60) for name in selection.experiments]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more experiments" if len(names) > 5 else "")
        words += f" of {shown}"
    if selection.query.filter:
        words += f" where {one_line(selection.query.filter, 300)}"
    if selection.picked:
        return f"{words}, picked one by one"
    if conditions.by is not None:
        words += f", best {one_line(cut_metric(conditions.by)[0], 100)} first"
    else:
        order = selection.query.order_by
        words += f", ordered by {', '.join(one_line(one, 100) for one in order)}" if order else ", newest first"
    return words if selection.query.limit is None else f"{words}, at most {selection.query.limit:,}"


def _command(brief: Brief) -> str:
    """The command that makes this choice again."""
    selection, conditions = brief.selection, brief.selection.conditions
    words = ["create-observation-notebook", "--tracking-uri", selection.tracking_uri]
    if selection.engine is not None:
        words += ["--engine", selection.engine]
    if selection.picked:
        return shlex.join(words)  # and be asked which runs
    for name in conditions.experiments or selection.experiments:
        words += ["--experiment", name]
    for flag, texts in (
        ("--where", conditions.where),
        ("--status", conditions.status),
        ("--order-by", conditions.order_by),
    ):
        for text in texts:
            words += [flag, text]
    single = (("--filter", conditions.filter), ("--since", conditions.since), ("--by", conditions.by))
    words += [word for flag, text in single if text for word in (flag, text)]
    for flag, number in (("--top", conditions.top), ("--limit", conditions.limit)):
        words += [flag, str(number)] if number is not None else []
    return shlex.join(words)


SECTION = Section("title", "Title", _cells, over="both")
