"""A template, a selection, an inventory and a study become a plan; nothing is written and nothing is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qualia_lab.errors import TemplateError
from qualia_lab.escaping import for_markdown
from qualia_lab.sections import SECTIONS
from qualia_lab.sections.section import Brief, PlannedCell, markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.inventory import Inventory
    from qualia_lab.notebook.template import Template
    from qualia_lab.sections.section import Section
    from qualia_lab.selection import Selection
    from qualia_lab.study.study import Study


@dataclass(frozen=True)
class NotebookPlan:
    """The cells to build, and the sections that were left out, each with its reason."""

    title: str
    template: str
    selection: Selection
    study: Study
    cells: tuple[PlannedCell, ...]
    left_out: tuple[tuple[str, str], ...]


def plan_notebook(
    template: Template,
    selection: Selection,
    inventory: Inventory,
    study: Study,
    *,
    title: str,
    written: str,
    command: str,
    masked: Sequence[str] = (),
) -> NotebookPlan:
    """Decide every cell. The same input gives the same cells with the same keys.

    written: the ISO date that stands in the title.  command: the command line that makes the notebook again.
    masked: what is masked in these runs, see `masked_keys`.
    Raises TemplateError when the template names an unknown section.
    """
    brief = Brief(title, written, command, selection, inventory, study)
    cells: list[PlannedCell] = []
    left_out: list[tuple[str, str]] = []
    named: set[str] = set()
    for place, cell in enumerate(template.cells):
        if cell.section is None:
            cells.append(PlannedCell(f"{template.name}:{place}", cell.kind, cell.source, cell.tags))
            continue
        section = SECTIONS.get(cell.section)
        if section is None:
            raise TemplateError(
                f"The template {template.name} names the section {cell.section}, which is not there.",
                f"Sections are: {', '.join(SECTIONS)}.",
            )
        if cell.section in named:
            raise TemplateError(
                f"The template {template.name} names the section {cell.section} twice.", "Name each section once."
            )
        _check_over(section, brief)
        named.add(cell.section)
        reason = section.why_not(brief)
        if reason is None:
            cells += [replace(made, tags=(*made.tags, *cell.tags)) for made in section.cells(brief)]
        else:
            left_out.append((section.title, reason))
    cells.append(_not_shown(brief, left_out, masked))
    return NotebookPlan(title, template.name, selection, study, tuple(cells), tuple(left_out))


def _check_over(section: Section, brief: Brief) -> None:
    """Raise TemplateError for a section about runs that are not read, or about aggregates that nobody computes."""
    if section.over == "engine" and brief.selection.engine is None:
        raise TemplateError(
            f"The section {section.name} is about aggregates, and there is no engine.",
            "Add --engine duckdb, or take another template.",
        )
    if section.over == "runs" and brief.selection.engine is not None:
        raise TemplateError(
            f"The section {section.name} is about runs that are read, and an engine only aggregates them.",
            "Leave out --engine, or take the template aggregate.",
        )


def _not_shown(brief: Brief, left_out: list[tuple[str, str]], masked: Sequence[str]) -> PlannedCell:
    """The last cell: what is not in the notebook, and why."""
    inventory, study = brief.inventory, brief.study
    lines = [f"- {section}: {reason}." for section, reason in left_out]
    several = [one.name for one in (*study.params, *study.tags) if one.values > 1]
    for what, drawn, all_of_them in (
        ("Metrics", brief.drawn_metrics, [metric.key for metric in inventory.model_metrics]),
        ("Params and tags of several values", brief.drawn_params, several),
    ):
        rest = sorted(set(all_of_them) - set(drawn))
        if rest:
            names = ", ".join(for_markdown(key) for key in rest[:20]) + (", …" if len(rest) > 20 else "")
            lines.append(f"- {what}: showing {len(drawn)} of {len(drawn) + len(rest)}. Not drawn: {names}.")
    if masked:
        names = ", ".join(for_markdown(one) for one in masked[:20]) + (", …" if len(masked) > 20 else "")
        lines.append(
            f"- Masked, because they look like secrets: {names}. Equal numbers stand for equal values. On a terminal "
            "`qualia runs --show-secrets` shows them; `never_mask` in `[tool.qualia]` names what is no secret."
        )
    if inventory.missing:
        lines.append(
            f"- {inventory.missing} of the runs that were asked for could not be found; the loading cell names them."
        )
    return markdown("not_shown", "## Not shown, and why\n\n" + ("\n".join(lines) or "Everything is shown."))
