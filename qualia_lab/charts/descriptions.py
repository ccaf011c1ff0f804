"""Descriptions of runs and experiments, as written in MLflow (tag `mlflow.note.content`), rendered from Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.origins import NOTE
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    import pyarrow as pa

OF_RUN = f'runs.tags["{NOTE}"]'
OF_EXPERIMENT = "runs.tables.experiment_tags"
_LINES = 15
_LINE_WIDTH = 100  # characters, in plain text


def descriptions_by_owner(tags: pa.Table, owner: str) -> dict[str, str]:
    """Return the descriptions by run id or experiment id; those without a description are absent.

    Args:
        tags: a table with the columns `key`, `value` and the one named by `owner`.
        owner: `run_id` or `experiment_id`.
    """
    rows = zip(*(tags.column(name).to_pylist() for name in (owner, "key", "value")), strict=True)
    return {own: value for own, key, value in rows if key == NOTE and value and value.strip()}


def description_html(text: str, whole: str) -> str:
    """Render the first lines as HTML; `whole` is the expression that returns the full text."""
    from qualia_lab.charts.previews.markdown import markdown_html

    return markdown_html(text, max_lines=_LINES, whole=whole)


def description_lines(text: str, whole: str) -> list[str]:
    """Return the first lines unrendered, for a terminal."""
    lines = text.splitlines()
    rest = [f"showing {_LINES} of {len(lines):,} lines; all of it is in {whole}"] if len(lines) > _LINES else []
    return [*(one_line(line, _LINE_WIDTH) for line in lines[:_LINES]), *rest]
