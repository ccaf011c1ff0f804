"""Templates: notebooks as `py:percent` or `.ipynb` files whose cells may name a section.

The percent format of jupytext is parsed here, because importing jupytext takes longer than making the whole notebook.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from qualia_lab.errors import TemplateError
from qualia_lab.settings import read_settings

_BUILT_IN = Path(__file__).parent.parent / "templates"
_CELL = re.compile(r"^# ?%%+(?P<rest>.*)$")
_KIND = re.compile(r"\[(?P<kind>\w+)\]")
_KINDS: dict[str, Literal["code", "markdown", "raw"]] = {"markdown": "markdown", "md": "markdown", "raw": "raw"}
_OPTION = re.compile(r"\s*(?P<name>[A-Za-z_][\w.-]*)\s*=\s*")


@dataclass(frozen=True)
class TemplateCell:
    """A cell of a template. If it names a section, it is replaced by the cells of the section."""

    kind: Literal["code", "markdown", "raw"]
    source: str
    section: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A named sequence of cells."""

    name: str
    cells: tuple[TemplateCell, ...]


def read_template(name: str) -> Template:
    """Read a template by name or path.

    Args:
        name: a path ending in `.py` or `.ipynb`, a name in `[tool.qualia.templates]` of the pyproject.toml in the
            current folder, or the name of a built-in template.

    Raises:
        TemplateError: there is no such template, or it cannot be read.
    """
    path = _find(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template {path} cannot be read: {error}.", "Give the path of a text file.") from error
    cells = _ipynb_cells(text, path) if path.suffix == ".ipynb" else parse_percent(text)
    return Template(path.stem, cells)


def template_names() -> list[str]:
    """Return the template names that `read_template` accepts in the current folder."""
    return sorted({path.stem for path in _BUILT_IN.glob("*.py")} | read_settings().templates.keys())


def _find(name: str) -> Path:
    project = read_settings().templates
    if name in project:
        return project[name]
    if name.endswith((".py", ".ipynb")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise TemplateError(f"There is no template at {path}.", "Give the path of a .py or .ipynb file.")
        return path
    built_in = _BUILT_IN / f"{name}.py"
    if name.isidentifier() and built_in.is_file():
        return built_in
    names = template_names()
    similar = get_close_matches(name, names, n=1)
    hint = (
        f"Did you mean {similar[0]}?"
        if similar
        else f"Available templates: {', '.join(names)}; or give the path of a file."
    )
    raise TemplateError(f"There is no template {name}.", hint)


def parse_percent(text: str) -> tuple[TemplateCell, ...]:
    """Parse the cells of a `py:percent` text; a header between `# ---` lines is skipped.

    Raises TemplateError if the options of a cell are not `name=JSON`.
    """
    lines = text.splitlines()
    if lines and lines[0].rstrip() == "# ---":
        end = next((index for index, line in enumerate(lines[1:], 1) if line.rstrip() == "# ---"), 0)
        lines = lines[end + 1 :]
    cells: list[TemplateCell] = []
    heading, body = "", []
    for line in [*lines, "# %%"]:
        start = _CELL.match(line)
        if start is None:
            body.append(line)
            continue
        if heading or any(body):
            cells.append(_cell(heading, body))
        heading, body = start["rest"] or " ", []
    return tuple(cells)


def _cell(heading: str, body: list[str]) -> TemplateCell:
    match = _KIND.search(heading.partition("=")[0])
    kind = _KINDS.get(match["kind"], "code") if match else "code"
    first = _OPTION.search(heading)
    options = _options(heading[first.start() :] if first else "", heading)
    source = "\n".join(body).strip("\n")
    if kind != "code":
        source = "\n".join(re.sub(r"^# ?", "", line) for line in source.splitlines())
    section, tags = options.get("section"), options.get("tags", [])
    if not isinstance(section, str | None) or not isinstance(tags, list):
        raise TemplateError(f"In the template: `{heading.strip()}`.", 'Write section="name" and tags=["name"].')
    return TemplateCell(kind, source, section, tuple(map(str, tags)))


def _options(text: str, heading: str) -> dict[str, Any]:
    """Parse options such as `section="title" tags=["a"]`, whose values are JSON."""
    options: dict[str, Any] = {}
    decoder, position = json.JSONDecoder(), 0
    while match := _OPTION.match(text, position):
        try:
            options[match["name"]], position = decoder.raw_decode(text, match.end())
        except ValueError as error:
            raise TemplateError(
                f"In the template, the options of `{heading.strip()}` are not name=JSON.", 'Write section="name".'
            ) from error
    return options


def _ipynb_cells(text: str, path: Path) -> tuple[TemplateCell, ...]:
    """Return the cells of a notebook; `section` is a key in the metadata of a cell."""
    try:
        cells = json.loads(text)["cells"]
        return tuple(
            TemplateCell(
                _KINDS.get(cell["cell_type"], "code"),
                "".join(cell["source"]),
                cell["metadata"].get("section"),
                tuple(cell["metadata"].get("tags", ())),
            )
            for cell in cells
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TemplateError(
            f"The template {path} is not a notebook of nbformat 4.", "Open and save it in Jupyter."
        ) from error
