"""What a report is about, in a paragraph of names and counts."""

from __future__ import annotations

from qualia_lab.escaping import for_markdown
from qualia_lab.sections.failures import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, markdown

_NAMED = 6
_WAYS = {True: "higher is better", False: "lower is better", None: "it is not known whether higher or lower is better"}


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    inventory, selection = brief.inventory, brief.selection
    ended = ", ".join(f"{count:,} {for_markdown(status.lower())}" for status, count in inventory.statuses)
    said = [f"This report is about {_counted(inventory.run_count, 'run')} ({ended})."]
    if selection.primary_metric is not None:
        metric = for_markdown(selection.primary_metric)
        said.append(f"They are compared by **{metric}** ({_WAYS[selection.greater_is_better]}).")
    varying = [param.key for param in inventory.params if param.values > 1 and param.key not in brief.seeds]
    if varying:
        kept = len(inventory.constant_params)
        said.append(
            f"What varies: {_named(varying)}" + (f"; {_counted(kept, 'param')} kept the same." if kept else ".")
        )
    if brief.seeds:
        said.append(f"Configurations are repeated over {_named(list(brief.seeds))}.")
    if inventory.missing:
        said.append(f"{_counted(inventory.missing, 'run')} could not be found.")
    said.append("Every number below is computed from the tracking store by the folded cell beside it.")
    return (markdown("abstract", "## Summary\n\n" + " ".join(said)),)


def _named(keys: list[str]) -> str:
    shown = ", ".join(for_markdown(key) for key in keys[:_NAMED])
    return shown + (f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else "")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


SECTION = Section("abstract", "Summary", _cells, no_run)
