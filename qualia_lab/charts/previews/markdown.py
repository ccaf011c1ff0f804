"""A subset of Markdown as HTML: headings, lists, tables, code. URLs and HTML in it stay text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.charts.previews.preview import small
from qualia_lab.counts import counted
from qualia_lab.escaping import for_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINES = 60
_WIDTH = 1000

_HEADING = re.compile(r"(#{1,6})\s+(.*?)[\s#]*")
_ITEM = re.compile(r"\s{0,8}(?:[-*+]|\d{1,9}[.)])\s+(.*)")
_RULE = re.compile(r"\s*\|?\s*:?-{1,99}:?\s*(\|\s*:?-{1,99}:?\s*)*\|?\s*")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)[^`]*")
# Applied to escaped text, in which a backtick is the reference &#96;.
_CODE = re.compile(r"&#96;(.{1,300}?)&#96;")
_BOLD = re.compile(r"\*\*(\S(?:.{0,300}?\S)?)\*\*")
_ITALIC = re.compile(r"(?<![\w*])\*(\S(?:[^*]{0,300}?\S)?)\*(?![\w*])")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\(([^()\s]{0,500})\)")


def markdown_html(text: str, *, max_lines: int = _LINES, whole: str = "") -> str:
    """Render the first lines as HTML; unsupported syntax stays text.

    Args:
        text: Markdown.
        max_lines: the maximum number of lines, of at most 1,000 characters each.
        whole: the expression that returns the full text, named if the text is cut; "" for none.
    """
    lines = text.splitlines()
    remarks = [f"showing {max_lines} of {counted(len(lines), 'line')}"] if len(lines) > max_lines else []
    remarks += (
        [f"lines are cut at {_WIDTH:,} characters"] if any(len(line) > _WIDTH for line in lines[:max_lines]) else []
    )
    remarks += [f"all of it is in {whole}"] if remarks and whole else []
    shown = [line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…" for line in lines[:max_lines]]
    return "".join(_blocks(shown)) + (small("; ".join(remarks)) if remarks else "")


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    start = 0
    while start < len(lines):
        line = lines[start]
        if fence := _FENCE.fullmatch(line):
            end = next((i for i in range(start + 1, len(lines)) if lines[i].strip().startswith(fence[1])), len(lines))
            yield f"<pre>{for_html(chr(10).join(lines[start + 1 : end]))}</pre>"
            start = end + 1
        elif heading := _HEADING.fullmatch(line):
            # Below the heading of the run, whatever its level in the text.
            yield f"<p><b>{_inline(heading[2])}</b></p>"
            start += 1
        elif "|" in line and start + 1 < len(lines) and "-" in lines[start + 1] and _RULE.fullmatch(lines[start + 1]):
            end = next((i for i in range(start + 2, len(lines)) if "|" not in lines[i]), len(lines))
            yield _table(line, lines[start + 2 : end])
            start = end
        elif _ITEM.fullmatch(line):
            end = next((i for i in range(start, len(lines)) if not _ITEM.fullmatch(lines[i])), len(lines))
            items = (_ITEM.fullmatch(item) for item in lines[start:end])
            yield "<ul>" + "".join(f"<li>{_inline(item[1])}</li>" for item in items if item) + "</ul>"
            start = end
        elif not line.strip():
            start += 1
        else:
            end = start + 1
            while end < len(lines) and lines[end].strip() and not _starts_a_block(lines[end]):
                end += 1
            yield f"<p>{_inline(' '.join(lines[start:end]))}</p>"
            start = end


def _starts_a_block(line: str) -> bool:
    return bool(_FENCE.fullmatch(line) or _HEADING.fullmatch(line) or _ITEM.fullmatch(line)) or "|" in line


def _table(header: str, rows: Sequence[str]) -> str:
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in _cells(header))
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")][:20]


def _inline(text: str) -> str:
    """Render code, bold and italic; a link becomes its text and its URL, not clickable."""
    escaped = for_html(text)
    escaped = _LINK.sub(lambda link: f"{link[1]} ({link[2]})" if link[2] else link[1], escaped)
    escaped = _CODE.sub(r"<code>\1</code>", escaped)
    return _ITALIC.sub(r"<i>\1</i>", _BOLD.sub(r"<b>\1</b>", escaped))
