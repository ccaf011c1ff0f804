"""Previews of text, JSON and YAML; invalid JSON or YAML is shown as text with the reason."""

from __future__ import annotations

import json

from qualia_lab.analysis.structured_text import parse_json, parse_yaml
from qualia_lab.charts.previews.preview import LINES, Preview, first_lines, small

_YAML_BYTES = 100_000
_LOG_END = 5  # last lines shown


def text_html(text: str) -> str:
    """Render the first lines, and for a long text also the last ones, where a log says how it ended."""
    lines = text.splitlines()
    if len(lines) <= LINES + _LOG_END:
        return first_lines(text)
    return first_lines(text) + "<p><small>the last lines:</small></p>" + first_lines("\n".join(lines[-_LOG_END:]))


def json_preview(text: str, *, whole: bool) -> Preview:
    """Return indented JSON; incomplete or invalid JSON is shown as text."""
    if not whole:
        return Preview(first_lines(text[:100_000]) + small("only the start of the file was read"))
    try:
        return Preview(first_lines(json.dumps(parse_json(text), indent=2, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        return Preview(first_lines(text) + small(f"{_reason(error)}; shown as text"))


def yaml_preview(text: str, *, whole: bool) -> Preview:
    """Return YAML as it is written, with a remark if it is invalid."""
    if whole and len(text) <= _YAML_BYTES:
        try:
            parse_yaml(text)
        except ValueError as error:
            return Preview(first_lines(text) + small(f"{_reason(error)}; shown as text"))
    return Preview(first_lines(text))


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError else "it cannot be read"
