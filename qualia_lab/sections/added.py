"""Sections by name: those of this package, and those that installed packages add."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from qualia_lab.entry_points import Added, Fault, Kind, added_names, load_added, load_all, raised, returned, type_name
from qualia_lab.errors import TemplateError
from qualia_lab.sections import SECTIONS
from qualia_lab.sections.section import CellKind, DataSource, PlannedCell, Section, SectionContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def section_names() -> tuple[str, ...]:
    """Return the names of all sections; nothing is imported for it."""
    return (*SECTIONS, *added_names(_KIND))


def find_section(name: str) -> Section | None:
    """Return the section of this name, or None if there is none.

    Raises:
        TemplateError: a package adds it, and it cannot be used. The functions of such a section raise it too, if they
            fail or return what is no cell.
    """
    if name in SECTIONS:
        return SECTIONS[name]
    added = load_added(_KIND, name)
    if isinstance(added, Fault):
        raise _error(added)
    if added is None:
        return None
    section: Section = added.value
    return replace(
        section,
        cells=partial(_checked, added, section.cells, _why_no_cells),
        skip_reason=partial(_checked, added, section.skip_reason, _why_no_reason),
    )


def section_faults() -> tuple[Fault, ...]:
    """Return the faults of the sections that packages add and that cannot be used; all of them are imported."""
    return load_all(_KIND)[1]


def section_titles(names: Iterable[str]) -> dict[str, str]:
    """Return the titles of those of these sections that exist and can be used, by name."""
    titles: dict[str, str] = {}
    for name in names:
        with suppress(TemplateError):
            section = find_section(name)
            titles |= {name: section.title} if section is not None else {}
    return titles


def _why_no_section(name: str, value: Any) -> str | None:
    if not isinstance(value, Section):
        return f"is {type_name(value)}, not a Section"
    if value.name != name:
        return f"has another name in its Section, {value.name!r}"
    if not isinstance(value.title, str):
        return "has a title that is no text"
    sources = get_args(DataSource)
    return None if value.data_source in sources else f"has a data_source that is none of {', '.join(sources)}"


# Keys of our cells that begin with another name than that of their section; no section has these names.
_KEYS = ("client", "not_shown", "parameters", "run")
_KIND = Kind("qualia_lab.sections", "section", frozenset((*SECTIONS, *_KEYS)), _why_no_section)


def _checked(
    added: Added,
    function: Callable[[SectionContext], T],
    why_wrong: Callable[[str, T], str | None],
    context: SectionContext,
) -> T:
    """Call a function of an added section, and check what it returns."""
    try:
        result = function(context)
    except Exception as error:
        raise _error(raised(_KIND, added, error)) from error
    reason = why_wrong(added.name, result)
    if reason is not None:
        raise _error(returned(_KIND, added, reason))
    return result


def _why_no_cells(name: str, cells: Any) -> str | None:
    """Why these are not the cells of a section: their keys are permanent, so they have to be valid and its own."""
    if not isinstance(cells, tuple | list) or not all(isinstance(cell, PlannedCell) for cell in cells):
        return "returned what is not a tuple of cells"
    for cell in cells:
        if not isinstance(cell.tags, tuple) or not all(isinstance(tag, str) for tag in cell.tags):
            return f"returned a cell {cell.key!r} whose tags are not a tuple of texts"
        if cell.kind not in get_args(CellKind) or not isinstance(cell.source, str):
            return f"returned a cell {cell.key!r} without a known kind or without text"
        if not isinstance(cell.key, str) or cell.key.partition(":")[0] != name:
            return f"returned a cell with the key {cell.key!r}, which does not begin with {name}:"
    keys = [cell.key for cell in cells]
    return None if len(set(keys)) == len(keys) else "returned two cells with the same key"


def _why_no_reason(_: str, reason: Any) -> str | None:
    return None if reason is None or isinstance(reason, str) else "gave a reason to leave it out that is no text"


def _error(fault: Fault) -> TemplateError:
    return TemplateError(fault.message, fault.hint)
