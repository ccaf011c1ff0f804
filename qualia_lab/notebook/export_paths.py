"""Where exports of a notebook are; without the modules that make them, which commands that make none do not import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def page_paths(notebook: Path, formats: Sequence[str]) -> dict[str, Path]:
    """The path of each export of a notebook, by format: next to the notebook, with the same name."""
    return {fmt: notebook.with_suffix(f".{fmt}") for fmt in formats}
