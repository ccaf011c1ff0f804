"""Format: how a notebook becomes the files of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What an export contains.

    Attributes:
        code: whether the source of code cells is shown.
        brief: whether only the headline, the findings and one chart are shown, in Markdown.
        reload: after how many seconds a page in HTML opens itself again, see `render_page`.
    """

    code: bool = True
    brief: bool = False
    reload: float | None = None


EVERYTHING = Options()


class Writer(Protocol):
    """The function of a format that makes the files of an export, and writes none."""

    def __call__(self, notebook: Mapping[str, Any], target: Path, options: Options, /) -> Mapping[Path, bytes]:
        """Return the content of each file by its path; `target` is one of them. Raises ExportFailed."""


def _always() -> None:
    return None


@dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes:
        name: the name on the command line, and the suffix of the file.
        description: what the file is, in a few words.
        files: makes the files.
        check: raises ExportFailed if the format cannot be made on this machine.
        made_by: returns the name of the program that makes it, "" if it is this one.
    """

    name: str
    description: str
    files: Writer
    check: Callable[[], None] = _always
    made_by: Callable[[], str] = lambda: ""


def title_of(notebook: Mapping[str, Any], target: Path) -> str:
    """Return the title in the metadata of a notebook, on one line; without one, the name of the file."""
    title = notebook.get("metadata", {}).get("title")
    return one_line(title) if isinstance(title, str) and title.strip() else target.stem
