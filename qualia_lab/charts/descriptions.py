"""Descriptions: what a person wrote about a run or an experiment in MLflow, its Markdown shown as such."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.origins import NOTE
from qualia_lab.charts.previews.markdown import markdown_html
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    import pyarrow as pa

OF_RUN = f'runs.tags["{NOTE}"]'
OF_EXPERIMENT = "runs.tables.experiment_tags"
_LINES = 15
_LINE_WIDTH = 100  # characters, in text


def notes_of(tags: pa.Table, owner: str) -> dict[str, str]:
    """By run or experiment what its description says; those without one are not in it.

    Args:
        tags: `key`, `value` and the column `owner`.
        owner: `run_id` or `experiment_id`.
    """
    rows = zip(*(tags.column(name).to_pylist() for name in (owner, "key", "value")), strict=True)
    return {own: value for own, key, value in rows if key == NOTE and value and value.strip()}


def description_html(text: str, whole: str) -> str:
    """The first lines with their headings, lists, tables and code; `whole` is the expression that has all of it."""
    return markdown_html(text, most=_LINES, whole=whole)


def description_lines(text: str, whole: str) -> list[str]:
    """The first lines as they were written, for a terminal."""
    lines = text.splitlines()
    rest = [f"showing {_LINES} of {len(lines):,} lines; all of it is in {whole}"] if len(lines) > _LINES else []
    return [*(one_line(line, _LINE_WIDTH) for line in lines[:_LINES]), *rest]
