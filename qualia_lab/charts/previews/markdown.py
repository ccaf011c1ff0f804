"""Markdown in its plain parts: headings, lists, tables, code. Addresses stay text, and HTML in it stays text too."""

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
# On text that is escaped already: a backtick is the reference &#96; there.
_CODE = re.compile(r"&#96;(.{1,300}?)&#96;")
_BOLD = re.compile(r"\*\*(\S(?:.{0,300}?\S)?)\*\*")
_ITALIC = re.compile(r"(?<![\w*])\*(\S(?:[^*]{0,300}?\S)?)\*(?![\w*])")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\(([^()\s]{0,500})\)")


def markdown_html(text: str, *, most: int = _LINES, whole: str = "") -> str:
    """The first lines as HTML of our own making: whatever is not understood stands there as text.

    Args:
        text: Markdown.
        most: so many lines at most, of 1,000 characters each.
        whole: where a reader finds all of it, where that is not known.
    """
    lines = text.splitlines()
    said = [f"showing {most} of {counted(len(lines), 'line')}"] if len(lines) > most else []
    said += [f"lines are cut at {_WIDTH:,} characters"] if any(len(line) > _WIDTH for line in lines[:most]) else []
    said += [f"all of it is in {whole}"] if said and whole else []
    shown = [line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…" for line in lines[:most]]
    return "".join(_blocks(shown)) + (small("; ".join(said)) if said else "")


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if fence := _FENCE.fullmatch(line):
            end = next((i for i in range(at + 1, len(lines)) if lines[i].strip().startswith(fence[1])), len(lines))
            yield f"<pre>{for_html(chr(10).join(lines[at + 1 : end]))}</pre>"
            at = end + 1
        elif heading := _HEADING.fullmatch(line):
            # Under the run's own heading, whatever its level there.
            yield f"<p><b>{_inline(heading[2])}</b></p>"
            at += 1
        elif "|" in line and at + 1 < len(lines) and "-" in lines[at + 1] and _RULE.fullmatch(lines[at + 1]):
            end = next((i for i in range(at + 2, len(lines)) if "|" not in lines[i]), len(lines))
            yield _table(line, lines[at + 2 : end])
            at = end
        elif _ITEM.fullmatch(line):
            end = next((i for i in range(at, len(lines)) if not _ITEM.fullmatch(lines[i])), len(lines))
            items = (_ITEM.fullmatch(item) for item in lines[at:end])
            yield "<ul>" + "".join(f"<li>{_inline(item[1])}</li>" for item in items if item) + "</ul>"
            at = end
        elif not line.strip():
            at += 1
        else:
            end = at + 1
            while end < len(lines) and lines[end].strip() and not _starts_a_block(lines[end]):
                end += 1
            yield f"<p>{_inline(' '.join(lines[at:end]))}</p>"
            at = end


def _starts_a_block(line: str) -> bool:
    return bool(_FENCE.fullmatch(line) or _HEADING.fullmatch(line) or _ITEM.fullmatch(line)) or "|" in line


def _table(header: str, rows: Sequence[str]) -> str:
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in _cells(header))
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")][:20]


def _inline(text: str) -> str:
    """Code, bold, italic; a link as its words and its address, nothing to click on."""
    escaped = for_html(text)
    escaped = _LINK.sub(lambda link: f"{link[1]} ({link[2]})" if link[2] else link[1], escaped)
    escaped = _CODE.sub(r"<code>\1</code>", escaped)
    return _ITALIC.sub(r"<i>\1</i>", _BOLD.sub(r"<b>\1</b>", escaped))
