"""Templates by name or path: built in, of the project, or added by an installed package."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from qualia_lab.entry_points import Added, Fault, Kind, added_names, load_added, load_all, raised, type_name
from qualia_lab.errors import TemplateError
from qualia_lab.escaping import one_line
from qualia_lab.notebook.page.sections import HOW_IT_WAS_MADE
from qualia_lab.notebook.template_cells import TemplateCell, parse_notebook, parse_percent
from qualia_lab.settings import read_settings

# In the order of the guide.
BUILT_IN = ("observe", "select", "debug", "report", "evaluate", "traces", "aggregate")
# The folder of a project whose files are templates, by their names; the first of these suffixes wins.
FOLDER = Path("notebooks/templates")
_SUFFIXES = (".py", ".ipynb")
_BUILT_IN_FOLDER = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True)
class Template:
    """A named sequence of cells."""

    name: str
    cells: tuple[TemplateCell, ...]

    @property
    def description(self) -> str:
        """The first line of text in a Markdown cell, without the marks of a heading; "" if there is none.

        jupytext keeps it in every format, and a cell that names a section may have it, since the section replaces it.
        """
        lines = (line for cell in self.cells if cell.kind == "markdown" for line in cell.source.splitlines())
        return next(filter(None, (one_line(line).lstrip("#").strip() for line in lines)), "")


@dataclass(frozen=True)
class TemplateFile:
    """The text of a template.

    Attributes:
        name: the name of the template.
        origin: where it comes from: `built in`, its path in the project, or the package that adds it.
        file: its file, for messages.
        text: the content of the file.
        suffix: `.py` or `.ipynb`, the format of the text.
    """

    name: str
    origin: str
    file: str
    text: str
    suffix: str

    def parse(self) -> Template:
        """Return the template. Raises TemplateError with the line or the cell that is wrong."""
        cells = (parse_notebook if self.suffix == ".ipynb" else parse_percent)(self.text, self.file)
        for cell in cells:
            _check_code_is_kept(cell)
        return Template(self.name, cells)


def read_template(name: str) -> Template:
    """Read a template by name or path.

    Args:
        name: a path ending in `.py` or `.ipynb`; a name in `[tool.qualia.templates]` of the pyproject.toml in the
            current folder; or the name of a file in `notebooks/templates`, of a built-in template, or of one that an
            installed package adds. The first of these that exists is used.

    Returns:
        The template.

    Raises:
        TemplateError: there is no such template, or it cannot be read.
    """
    return read_template_file(name).parse()


def read_template_file(name: str) -> TemplateFile:
    """Read the file of a template by name or path, as `read_template` does, without parsing it.

    Args:
        name: the name or path.

    Returns:
        The text of the template, and where it comes from.

    Raises:
        TemplateError: there is no such template, or it cannot be read.
    """
    project = _project_templates()
    if name in project:
        return _read(name, project[name])
    if name.endswith(_SUFFIXES) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise TemplateError(f"There is no template at {path}.", "Give the path of a .py or .ipynb file.")
        return _read(path.stem, path)
    if name in BUILT_IN:
        return replace(_read(name, _BUILT_IN_FOLDER / f"{name}.py"), origin="built in")
    added = load_added(_KIND, name)
    if isinstance(added, Fault):
        raise TemplateError(added.message, added.hint)
    if added is not None:
        return _of_package(added)
    names = template_names()
    similar = get_close_matches(name, names, n=1)
    hint = f"Did you mean {similar[0]}?" if similar else f"Available templates: {', '.join(names)}; or give a file."
    raise TemplateError(f"There is no template {one_line(name, 60)}.", hint)


def template_names() -> list[str]:
    """Return the template names that `read_template` accepts in the current folder; no package is imported."""
    return sorted({*BUILT_IN, *_project_templates(), *added_names(_KIND)})


def list_templates() -> tuple[list[tuple[TemplateFile, str]], list[str]]:
    """List the templates that have a name in the current folder: built-in ones, the project's, those of packages.

    Returns:
        Each template with its description, and a message for each that cannot be used.
    """
    listed: list[tuple[TemplateFile, str]] = []
    errors: dict[str, None] = {}
    for name in dict.fromkeys((*BUILT_IN, *sorted(_project_templates()), *added_names(_KIND))):
        try:
            file = read_template_file(name)
            listed.append((file, file.parse().description))
        except TemplateError as error:
            errors[str(error)] = None
    _, faults = load_all(_KIND)  # also of those that have no name of their own
    return listed, list(errors | dict.fromkeys(map(str, faults)))


def _project_templates() -> dict[str, Path]:
    """The templates of the project by name: those of [tool.qualia.templates], then the files in its folder."""
    paths = sorted((path for path in FOLDER.glob("*") if path.suffix in _SUFFIXES), key=lambda path: path.suffix)
    in_folder = {path.stem: path for path in paths}  # .ipynb before .py, so that .py replaces it
    return in_folder | dict(read_settings().templates)


def _read(name: str, path: Path) -> TemplateFile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"The template {path} cannot be read: {error}.", "Give the path of a text file.") from error
    return TemplateFile(name, str(path), str(path), text, path.suffix)


def _why_no_template(_: str, value: Any) -> str | None:
    if isinstance(value, str):
        return None if "%%" in value else "is a text without a line that begins with `# %%`"
    return None if hasattr(value, "read_text") else f"is {type_name(value)}, not a path or a text"


_KIND = Kind("qualia_lab.templates", "template", frozenset(BUILT_IN), _why_no_template)


def _of_package(added: Added) -> TemplateFile:
    """Read a template of a package, which is a text in the percent format, or a file in the package."""
    if isinstance(added.value, str):
        return TemplateFile(added.name, added.package, f"{added.name} of {added.package}", added.value, ".py")
    try:
        text = added.value.read_text(encoding="utf-8")
    except Exception as error:
        fault = raised(_KIND, added, error)
        raise TemplateError(fault.message, fault.hint) from error
    suffix = Path(str(getattr(added.value, "name", ""))).suffix
    return TemplateFile(added.name, added.package, str(added.value), text, suffix)


def _check_code_is_kept(cell: TemplateCell) -> None:
    """Raise TemplateError for code that a notebook would not contain, because a section takes the place of its cell.

    The sections that prepare the notebook may have some, which loads runs where the template itself is run.
    """
    if cell.section is None or cell.kind != "code" or cell.section in HOW_IT_WAS_MADE:
        return
    if any(line.strip() and not line.lstrip().startswith("#") for line in cell.source.splitlines()):
        raise TemplateError(
            f"{cell.where}: the cell of the section {one_line(cell.section, 60)} has code, which would be lost.",
            "Put the code into a cell of its own, after another line `# %%`; comments may stay.",
        )
