"""Python: a `py:percent` script of the cells, which runs as it is and can be a template."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import visible
from qualia_lab.notebook.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from qualia_lab.notebook.formats.format import Options

_DISPLAY = "from IPython.display import display"
_MAGIC = re.compile(r"^(\s*)([%!?].*)$")


def script_of(notebook: Mapping[str, Any]) -> str:
    """Return the script of a notebook: each cell after a line `# %%`, texts as comments.

    Lines that only IPython understands become comments, so that the script compiles. If a cell calls `display`, which
    only a notebook has, the script begins with a cell that imports it.
    """
    cells = list(notebook["cells"])
    sources = [compiling(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    parts = [f"# %%\n{_DISPLAY}"] if any(map(_calls_display, sources)) else []
    code = iter(sources)
    for cell in cells:
        tags = cell.get("metadata", {}).get("tags")
        options = f" tags={json.dumps(tags)}" if isinstance(tags, list) and tags else ""
        if cell["cell_type"] == "code":
            parts.append(f"# %%{options}\n{next(code)}")
        else:
            kind = "markdown" if cell["cell_type"] == "markdown" else "raw"
            parts.append("\n".join((f"# %% [{kind}]{options}", *_comments(cell["source"]))))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def compiling(source: str) -> str:
    """Return Python source that compiles: magics as comments, or if that is not enough all of it."""
    source = "\n".join(re.split(r"\r\n?|\n", source))
    if _compiles(source):
        return source
    without_magics = "\n".join(_MAGIC.sub(r"\1# \2", line) for line in source.split("\n"))
    if not source.startswith("%%") and _compiles(without_magics):
        return without_magics
    return "\n".join(_comments(source))


def _comments(text: str) -> Iterator[str]:
    """Yield the lines of a text as comments, of which none is taken for the start of a cell or for code."""
    for line in text.splitlines():
        plain = visible(line).rstrip()
        yield f"# {plain.replace('%%', '&#37;%', 1)}" if plain.lstrip().startswith("%%") else f"# {plain}".rstrip()


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _calls_display(source: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "display" for node in ast.walk(ast.parse(source)))


def _files(notebook: Mapping[str, Any], target: Path, _: Options) -> dict[Path, bytes]:
    return {target: script_of(notebook).encode("utf-8", "backslashreplace")}


FORMAT = Format("py", "its cells as a Python script", _files)
