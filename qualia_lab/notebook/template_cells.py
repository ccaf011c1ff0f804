"""The cells of templates: `py:percent` files or `.ipynb` files whose cells may name a section.

The percent format of jupytext is parsed here, because importing jupytext takes longer than making the whole notebook.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import TemplateError
from qualia_lab.escaping import one_line
from qualia_lab.notebook.percent_text import HEADING, begins_of_cells, code_of, text_of, without_marks

if TYPE_CHECKING:
    from qualia_lab.sections.section import CellKind

_KIND = re.compile(r"\[(?P<kind>\w+)\]")
_KINDS: dict[str, CellKind] = {"markdown": "markdown", "md": "markdown", "raw": "raw"}
_OPTION = re.compile(r"\s*(?P<name>[A-Za-z_][\w.-]*)\s*=\s*")


@dataclass(frozen=True)
class TemplateCell:
    """A cell of a template. If it names a section, it is replaced by the cells of the section.

    Attributes:
        kind: the type of the cell.
        source: its text.
        section: the name of a section, or None.
        tags: its tags.
        where: the file with the line or the number of the cell, for messages: `short.py:12`, `short.ipynb, cell 3`.
    """

    kind: CellKind
    source: str
    section: str | None = None
    tags: tuple[str, ...] = ()
    where: str = field(default="template", compare=False)


def parse_percent(text: str, file: str = "template") -> tuple[TemplateCell, ...]:
    """Parse the cells of a `py:percent` text; a first line `#!`, and a header between `# ---` lines, are skipped.

    Args:
        text: the text.
        file: the name of the file, for messages.

    Returns:
        The cells.

    Raises:
        TemplateError: the options of a cell are not `name=JSON`.
    """
    lines = text.splitlines()
    first = 2 if text.startswith("#!") else 1
    if lines[first - 1 :] and lines[first - 1].rstrip() == "# ---":
        first += next((index for index, line in enumerate(lines[first:], 1) if line.rstrip() == "# ---"), 0) + 1
    lines = lines[first - 1 :]
    cells: list[TemplateCell] = []
    begins = begins_of_cells(lines)
    for begin, end in pairwise([*([0] if begins[:1] != [0] else ()), *begins, len(lines)]):
        heading = HEADING.match(lines[begin]) if lines else None
        body = lines[begin + 1 if heading else begin : end]
        if heading or any(body):
            cells.append(_percent_cell(heading["rest"] if heading else "", body, f"{file}:{first + begin}"))
    return tuple(cells)


def parse_notebook(text: str, file: str = "template") -> tuple[TemplateCell, ...]:
    """Return the cells of a notebook file; `section` is a key in the metadata of a cell.

    Args:
        text: the JSON of the file.
        file: the name of the file, for messages.

    Returns:
        The cells.

    Raises:
        TemplateError: it is not a notebook of nbformat 4, or a section is not a name.
    """
    try:
        cells = json.loads(text)["cells"]
        read = [(cell["cell_type"], "".join(cell["source"]), cell["metadata"]) for cell in cells]
        options = [(metadata.get("section"), metadata.get("tags", [])) for _, _, metadata in read]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TemplateError(
            f"The template {file} is not a notebook of nbformat 4.", "Open and save it in Jupyter."
        ) from error
    return tuple(
        _checked_cell(_KINDS.get(str(kind), "code"), source, section, tags, f"{file}, cell {number}")
        for number, ((kind, source, _), (section, tags)) in enumerate(zip(read, options, strict=True), 1)
    )


def _percent_cell(heading: str, body: list[str], where: str) -> TemplateCell:
    match = _KIND.search(heading.partition("=")[0])
    kind = _KINDS.get(match["kind"], "code") if match else "code"
    first = _OPTION.search(heading)
    options = _options(heading[first.start() :] if first else "", heading, where)
    language = options.get("language")
    if kind != "code":
        lines = text_of(body)
    elif isinstance(language, str):  # a cell magic such as %%bash, with its lines in comments
        lines = [f"%%{language} {options.get('magic_args', '')}".rstrip(), *without_marks(body)]
    else:
        lines = code_of(body)
    source = "\n".join(lines).strip("\n")
    return _checked_cell(kind, source, options.get("section"), options.get("tags", []), where)


def _options(text: str, heading: str, where: str) -> dict[str, Any]:
    """Parse options such as `section="title" tags=["a"]`, whose values are JSON."""
    options: dict[str, Any] = {}
    decoder, position = json.JSONDecoder(), 0
    while match := _OPTION.match(text, position):
        try:
            options[match["name"]], position = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError) as error:
            raise TemplateError(
                f"{where}: the options of `{one_line(heading, 100)}` are not name=JSON.", 'Write section="name".'
            ) from error
    return options


def _checked_cell(kind: CellKind, source: str, section: Any, tags: Any, where: str) -> TemplateCell:
    if not isinstance(section, str | None) or not isinstance(tags, list):
        raise TemplateError(
            f"{where}: the section of a cell is not a text, or its tags are not a list.",
            'Write section="name" and tags=["name"].',
        )
    return TemplateCell(kind, source, section, tuple(map(str, tags)), where)
