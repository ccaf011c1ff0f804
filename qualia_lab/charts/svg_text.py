"""SVG elements as text: attributes and texts escaped, numbers short, so that every chart is valid XML."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING

from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def element(tag: str, content: str = "", **attributes: str | float) -> str:
    """Return an element; attributes that are "" are left out, `_` in their names becomes `-`.

    Args:
        tag: the name of the element.
        content: its content, which is XML already.
        attributes: the attributes, texts of one line or pixels; `class_` is `class`.
    """
    shown = "".join(
        f' {"class" if name == "class_" else name.replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value != ""
    )
    return f"<{tag}{shown}>{content}</{tag}>" if content else f"<{tag}{shown}/>"


def text_element(text: str, x: float, y: float, **attributes: str | float) -> str:
    """Return a text whose baseline starts at a point, or is centred on it or ends at it by `text_anchor`."""
    return element("text", xml_text(text), x=x, y=y, **attributes)


def xml_text(text: str) -> str:
    """Escape a text for XML; characters that XML does not have become visible codes."""
    return html.escape(one_line(text))


def number(value: float) -> str:
    """Return a coordinate, rounded to a tenth of a pixel."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")  # + 0.0: no minus sign at zero


@cache
def tenths(count: int) -> str:
    """Return tenths of a pixel as a coordinate, such as `-.5`; cached, because the points of lines are many."""
    return number(count / 10).replace("0.", ".") if -10 < count < 10 else number(count / 10)


def run_ids(runs: Iterable[str]) -> str:
    """Return the ids of runs, each once, as the value of `data-runs`; what does not look like an id is left out."""
    ids = dict.fromkeys(run_id for part in runs for run_id in part.split(" ") if _RUN_ID.fullmatch(run_id))
    return " ".join(ids)


def _value(value: str | float) -> str:
    return html.escape(value) if isinstance(value, str) else number(value)
