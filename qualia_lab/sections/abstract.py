"""Section: a summary of the report in one paragraph of names and counts."""

from __future__ import annotations

from qualia_lab.counts import and_more, counted
from qualia_lab.escaping import for_markdown
from qualia_lab.sections.reasons import no_run
from qualia_lab.sections.section import PlannedCell, Section, SectionContext, markdown

_MAX_NAMES = 6  # names per list
_DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    None: "whether higher or lower is better is not known",
}


def _cells(context: SectionContext) -> tuple[PlannedCell, ...]:
    inventory, study = context.inventory, context.study
    status_counts = ", ".join(f"{count:,} {for_markdown(status.lower())}" for status, count in inventory.statuses)
    sentences = [f"This report is about {counted(inventory.run_count, 'run')} ({status_counts})."]
    if len(study.tasks) > 1:
        sentences.append(
            f"They belong to {len(study.tasks)} experiments, each a separate task: nothing is compared across them."
        )
    for objective in context.objectives[:_MAX_NAMES]:
        experiments = _name_list([task.experiment for task in study.tasks if task.objective == objective])
        subject = f"In {experiments} runs" if len(context.objectives) > 1 else "They"
        sentences.append(
            f"{subject} are compared by **{for_markdown(objective.key)}** ({_DIRECTIONS[objective.better]})."
        )
    varying = [factor.name for factor in study.factors if factor.role == "factor"]
    if varying:
        constant_count = len(inventory.constant_params)
        sentences.append(
            f"What varies: {_name_list(varying)}"
            + (f"; {counted(constant_count, 'param')} kept the same." if constant_count else ".")
        )
    if study.seeds:
        sentences.append(f"Configurations are repeated over {_name_list(list(study.seeds))}.")
    if inventory.missing:
        sentences.append(f"{counted(inventory.missing, 'run')} could not be found.")
    sentences.append("Every number below is computed from the tracking store by the folded cell beside it.")
    return (markdown("abstract", "## Summary\n\n" + " ".join(sentences)),)


def _name_list(keys: list[str]) -> str:
    return and_more([for_markdown(key) for key in keys], _MAX_NAMES)


SECTION = Section("abstract", "Summary", _cells, no_run)
