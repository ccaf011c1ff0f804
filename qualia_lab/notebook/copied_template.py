"""Copies of templates for people to change: empty cells that name a section get a comment that says which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qualia_lab.notebook.percent_text import begins_of_cells
from qualia_lab.sections.added import section_titles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.notebook.template import TemplateFile
    from qualia_lab.notebook.template_cells import TemplateCell


def copied_template(template: TemplateFile) -> str:
    """Return the text of a copy of a template, which is the same template.

    Jupyter does not show the metadata of cells, so the cells of a template without these comments would look alike.

    Args:
        template: the template.

    Returns:
        The text in the same format, with a comment in each empty cell that names a section.

    Raises:
        TemplateError: the template is invalid.
    """
    cells = template.parse().cells
    titles = section_titles({cell.section for cell in cells if cell.section})
    comments = [_comment(cell, titles.get(cell.section or "", "")) for cell in cells]
    if template.suffix == ".ipynb":
        notebook = json.loads(template.text)
        for cell, comment in zip(notebook["cells"], comments, strict=True):
            cell["source"] = [comment] if comment else cell["source"]
        return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    return _with_lines(template.text, [f"# {comment.removeprefix('# ')}" if comment else "" for comment in comments])


def _comment(cell: TemplateCell, title: str) -> str:
    """`# Section overview: Overview`, as text in Markdown; "" for a cell that gets none."""
    if cell.section is None or cell.source.strip():
        return ""
    text = f"Section {cell.section}: {title}" if title else f"Section {cell.section}"
    return f"# {text}" if cell.kind == "code" else text


def _with_lines(text: str, comments: Sequence[str]) -> str:
    """Add these lines to a percent text, each below the heading of its cell; "" adds none."""
    lines = text.splitlines()
    # Text before the first heading has none.
    below = dict(zip(reversed(begins_of_cells(lines)), reversed(comments), strict=False))
    return "".join(f"{line}\n{below[place]}\n" if below.get(place) else f"{line}\n" for place, line in enumerate(lines))
