"""What a report is about, in a paragraph of names and counts."""

from __future__ import annotations

from qualia_lab.counts import counted
from qualia_lab.escaping import for_markdown
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import Brief, PlannedCell, Section, markdown

_NAMED = 6
_WAYS = {
    "higher": "higher is better",
    "lower": "lower is better",
    None: "it is not known whether higher or lower is better",
}


def _cells(brief: Brief) -> tuple[PlannedCell, ...]:
    inventory, study = brief.inventory, brief.study
    ended = ", ".join(f"{count:,} {for_markdown(status.lower())}" for status, count in inventory.statuses)
    said = [f"This report is about {counted(inventory.run_count, 'run')} ({ended})."]
    if len(study.tasks) > 1:
        said.append(f"They are {len(study.tasks)} experiments, each a task of its own: nothing is compared across two.")
    for one in brief.objectives[:_NAMED]:
        where = _named([task.experiment for task in study.tasks if task.objective == one])
        who = f"In {where} runs" if len(brief.objectives) > 1 else "They"
        said.append(f"{who} are compared by **{for_markdown(one.key)}** ({_WAYS[one.better]}).")
    varying = [one.name for one in study.factors if one.role == "factor"]
    if varying:
        kept = len(inventory.constant_params)
        said.append(f"What varies: {_named(varying)}" + (f"; {counted(kept, 'param')} kept the same." if kept else "."))
    if study.seeds:
        said.append(f"Configurations are repeated over {_named(list(study.seeds))}.")
    if inventory.missing:
        said.append(f"{counted(inventory.missing, 'run')} could not be found.")
    said.append("Every number below is computed from the tracking store by the folded cell beside it.")
    return (markdown("abstract", "## Summary\n\n" + " ".join(said)),)


def _named(keys: list[str]) -> str:
    shown = ", ".join(for_markdown(key) for key in keys[:_NAMED])
    return shown + (f" and {len(keys) - _NAMED:,} more" if len(keys) > _NAMED else "")


SECTION = Section("abstract", "Summary", _cells, no_run)
