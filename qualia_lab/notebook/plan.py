"""Plan a notebook from a template, a selection, an inventory and a study, without side effects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.spans_read import MOST_BARE, MOST_WHOLE
from qualia_lab.counts import and_more, counted
from qualia_lab.errors import TemplateError
from qualia_lab.escaping import for_markdown, one_line
from qualia_lab.masking.privacy import EVERYTHING_SHOWN
from qualia_lab.sections.added import find_section, section_names
from qualia_lab.sections.section import PlannedCell, SectionContext, markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qualia_lab.inventory import Inventory
    from qualia_lab.masking.privacy import Privacy
    from qualia_lab.notebook.template import Template
    from qualia_lab.notebook.template_cells import TemplateCell
    from qualia_lab.sections.section import DataSource, Section
    from qualia_lab.selection import Selection
    from qualia_lab.study.study import Study


_SPAN_SECTIONS = ("trace_errors", "trace_examples", "trace_latency", "trace_models")
_NAMED = 20  # names that the last cell lists of those that are not shown


@dataclass(frozen=True)
class NotebookPlan:
    """The cells to build, and the sections that are left out.

    Attributes:
        title: the title of the notebook.
        template: the name of the template.
        selection: the selected runs.
        study: the interpretation of the runs.
        cells: the cells.
        left_out: (section title, reason) pairs.
        given: what was given besides the conditions, for a refresh: `template`, `title` and `settings`, if they were.
    """

    title: str
    template: str
    selection: Selection
    study: Study
    cells: tuple[PlannedCell, ...]
    left_out: tuple[tuple[str, str], ...]
    given: Mapping[str, Any] = field(default_factory=dict)


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
    privacy: Privacy = EVERYTHING_SHOWN,
    given: Mapping[str, Any] | None = None,
) -> NotebookPlan:
    """Plan every cell of a notebook. The result is deterministic.

    Args:
        template: the template.
        selection: the selected runs.
        inventory: names and counts of what the runs have.
        study: the interpretation of the runs.
        title: the title of the notebook.
        written: the ISO date in the title cell.
        command: the command line that recreates the notebook.
        masked: the names of masked values in these runs, see `masked_keys`.
        privacy: what of people's words is left out.
        given: what was given besides the conditions, see `NotebookPlan`.

    Raises:
        TemplateError: the template names an unknown section, names one twice, or one that needs other data or fails.
    """
    context = SectionContext(title, written, command, selection, inventory, study, privacy)
    cells: list[PlannedCell] = []
    left_out: list[tuple[str, str]] = []
    named: set[str] = set()
    own_key, own = template.name, 0
    for cell in template.cells:
        if cell.section is None:
            # By the section before it, so that a refresh recognises it when cells were added elsewhere in the template.
            cells.append(PlannedCell(f"{own_key}:{own}", cell.kind, cell.source, cell.tags))
            own += 1
            continue
        own_key, own = f"{template.name}:{cell.section}", 0
        section = find_section(cell.section)
        if section is None:
            raise _unknown_section(cell)
        if cell.section in named:
            raise TemplateError(
                f"{cell.where}: the template names the section {cell.section} twice.", "Name each section once."
            )
        _check_data_source(section, context)
        named.add(cell.section)
        reason = section.skip_reason(context)
        if reason is None:
            cells += [replace(planned, tags=(*planned.tags, *cell.tags)) for planned in section.cells(context)]
        else:
            left_out.append((section.title, reason))
    cells.append(_not_shown(context, left_out, masked, shows_spans=_shows_spans(cells)))
    return NotebookPlan(title, template.name, selection, study, tuple(cells), tuple(left_out), given or {})


def _unknown_section(cell: TemplateCell) -> TemplateError:
    """Return the error for a cell that names no section: where it is, and what may be meant."""
    name, names = cell.section or "", section_names()
    similar = get_close_matches(name, names, n=1)
    return TemplateError(
        f"{cell.where}: the template names the section {one_line(name, 60)}, which does not exist.",
        f"Did you mean {similar[0]}?" if similar else f"Available sections: {', '.join(names)}.",
    )


def is_of_traces(template: Template) -> bool:
    """Whether a template shows traces without runs: one of its sections needs that."""
    found = (find_section(cell.section) for cell in template.cells if cell.section is not None)
    return any(section is not None and section.data_source == "traces" for section in found)


_SUFFICIENT: dict[DataSource, tuple[str, ...]] = {
    "runs": ("runs",),
    "engine": ("engine",),
    "traces": ("traces",),
    "both": ("runs", "engine"),
    "runs or traces": ("runs", "traces"),
    "all": ("runs", "engine", "traces"),
}


def _check_data_source(section: Section, context: SectionContext) -> None:
    """Raise TemplateError if a section needs other data than the notebook is about."""
    if context.data_source in _SUFFICIENT[section.data_source]:
        return
    if context.data_source == "traces":
        raise TemplateError(
            f"The section {section.name} needs runs, but the template is about traces.",
            "Leave it out of the template, or leave out the sections traces_setup, traces_configuration and "
            "traces_loading.",
        )
    if section.data_source == "engine":
        raise TemplateError(
            f"The section {section.name} needs aggregates, but there is no engine.",
            "Add --engine duckdb, or use another template.",
        )
    if section.data_source == "traces":
        raise TemplateError(
            f"The section {section.name} needs traces alone, but the notebook is about runs.",
            "Leave it out of the template, or use the template traces.",
        )
    raise TemplateError(
        f"The section {section.name} needs all data of the runs, but an engine only aggregates them.",
        "Omit --engine, or use the template aggregate.",
    )


def _shows_spans(cells: Sequence[PlannedCell]) -> bool:
    """Whether one of these cells is of a section that shows spans of traces."""
    return any(cell.key.partition(":")[0] in _SPAN_SECTIONS for cell in cells)


def _not_shown(
    context: SectionContext, left_out: list[tuple[str, str]], masked: Sequence[str], *, shows_spans: bool
) -> PlannedCell:
    """Return the last cell, which lists what is not shown, and why."""
    inventory, study = context.inventory, context.study
    lines = [f"- {section}: {reason}." for section, reason in left_out]
    with_several_values = [one.name for one in (*study.params, *study.tags) if one.values > 1]
    for what, drawn, all_names in (
        ("Metrics", context.drawn_metrics, [metric.key for metric in inventory.model_metrics]),
        ("Params and tags with several values", context.drawn_params, with_several_values),
    ):
        rest = sorted(set(all_names) - set(drawn))
        if rest:
            names = and_more(list(map(for_markdown, rest)), _NAMED)
            lines.append(f"- {what}: showing {len(drawn)} of {len(drawn) + len(rest)}. Not drawn: {names}.")
    if context.data_source == "traces" or shows_spans:
        lines += _traces_not_read(context)
    if masked:
        names = and_more(list(map(for_markdown, masked)), _NAMED)
        lines.append(
            f"- Masked, because they look like secrets: {names}. Equal numbers stand for equal values. In a terminal, "
            "`qualia runs --show-secrets` shows them; `never_mask` in `[tool.qualia]` lists names that are not secret."
        )
    lines += _privacy_lines(context.privacy)
    if inventory.missing:
        lines.append(f"- {inventory.missing} of the requested runs could not be found; the loading cell lists them.")
    return markdown("not_shown", "## Not shown, and why\n\n" + ("\n".join(lines) or "Everything is shown."))


def _traces_not_read(context: SectionContext) -> list[str]:
    """Which traces, and which spans of them, are not read."""
    count, query = context.inventory.genai.traces, context.selection.traces
    variable = "traces" if context.data_source == "traces" else "runs.traces"
    lines = []
    if query is not None and query.limit is not None and count >= query.limit:
        lines.append(f"- Traces: at most {query.limit:,} were read; `--limit N` reads another number.")
    if count > MOST_BARE:
        lines.append(f"- Spans: tables of spans are over those of the latest {MOST_BARE:,} of {count:,} traces.")
    if count > MOST_WHOLE:
        lines.append(
            f"- Inputs and outputs of spans: read of {MOST_WHOLE} of {count:,} traces: telling ones, the latest that "
            f"failed, the slowest and the latest. `{variable}.show(TRACE_ID)` reads those of any other in Jupyter."
        )
    return lines


def _privacy_lines(privacy: Privacy) -> list[str]:
    """Return what is left out of people's words, and how it is shown."""
    lines = []
    if privacy.redact:
        patterns = f" and what matches {counted(len(privacy.patterns), 'pattern')} of the project" * bool(
            privacy.patterns
        )
        lines.append(
            f"- Redacted: e-mail addresses as `‹email 1›`, phone numbers as `‹phone 1›`{patterns}. Equal numbers stand "
            "for equal values. `REDACT = False` in the configuration shows what the store holds of them."
        )
    if not privacy.content:
        lines.append(
            "- What people and models wrote: requests, responses, inputs and outputs, messages of errors, rationales, "
            "expected answers, and texts in artifacts but for lists of packages. `‹not shown 1›` stands in their "
            "place, with equal numbers for equal texts. `CONTENT = True` in the configuration shows what the store "
            "holds of them."
        )
    return lines
