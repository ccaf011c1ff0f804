"""Compare the outputs of two executions of a notebook, except for what may differ in every execution."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import one_line
from qualia_lab.notebook.generated import cell_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Repetitions are bounded, since outputs may hold megabytes of digits or base64.
_SECONDS = r"\b[\d.]{1,20} (?:ns|[uµμ]s|ms|s|min|h)"
# What may differ between executions of the same code on the same data, with its replacement. Besides, the numbers
# `In [1]` are not compared, nor how the text of one stream is split into pieces.
LEGITIMATE_DIFFERENCES = (
    ("memory addresses", re.compile(r"\b0x[0-9A-Fa-f]{6,16}\b"), "0x"),
    ("durations of %time", re.compile(r"(?m)^(CPU times|Wall time): .*"), r"\1"),
    ("durations of %timeit", re.compile(rf"{_SECONDS} ± {_SECONDS} per loop \(mean ± std\. dev\. of .*"), ""),
    ("ids of styled pandas tables", re.compile(r"\bT_[0-9a-f]{5}(?![0-9a-f])"), "T_"),
    ("files of cells in warnings and tracebacks", re.compile(r"\bipykernel_\d+[/\\]\d+\.py\b"), "cell.py"),
    (
        "folders of Python files in warnings and tracebacks",
        re.compile(r"(?<![\w./\\])(?:/|[A-Za-z]:\\)[^\s'\"<>]{0,300}[/\\](?=[\w.-]{1,200}\.py(?::\d|\"?, line \d))"),
        "",
    ),
)

_EXCERPT = 40  # characters before and after the first difference


@dataclass(frozen=True)
class DifferentCell:
    """A cell whose outputs differ.

    Attributes:
        number: its position in the notebook, from 1.
        key: the key of a generated cell, or "".
        source: the first line of its source.
        what: the output that differs, such as `text/plain of output 1`.
        recorded: a short part of it around the first difference, as it is recorded.
        here: the same part now.
    """

    number: int
    key: str
    source: str
    what: str
    recorded: str
    here: str


def different_cells(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[DifferentCell]:
    """The code cells whose outputs differ, each with its first difference.

    Args:
        recorded: a notebook with outputs, as `read_notebook` returns it.
        here: the same notebook, executed again.
    """
    different = []
    for number, (before, after) in enumerate(zip(recorded["cells"], here["cells"], strict=True), start=1):
        if before["cell_type"] != "code":
            continue
        difference = next(_differences(_texts(before), _texts(after)), None)
        if difference is not None:
            source = next(iter(before["source"].strip().splitlines()), "")
            different.append(DifferentCell(number, cell_key(before), one_line(source, 80), *difference))
    return different


def _texts(cell: Mapping[str, Any]) -> dict[str, str]:
    """What the outputs of a cell hold, by what it is, without what may differ."""
    texts: dict[str, str] = {}
    number = 0
    for output in cell.get("outputs", ()):
        kind = output["output_type"]
        if kind == "stream":
            name = f"the text on {one_line(str(output.get('name')), 20)}"
            texts[name] = texts.get(name, "") + output["text"]
            continue
        number += 1
        if kind == "error":
            texts[f"the error of output {number}"] = "\n".join(
                (str(output.get("ename")), str(output.get("evalue")), *output["traceback"])
            )
            continue
        for mime, value in output["data"].items():
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
            texts[f"{one_line(mime, 60)} of output {number}"] = text
        if output["metadata"]:
            texts[f"the metadata of output {number}"] = json.dumps(output["metadata"], sort_keys=True)
    return {what: _without_legitimate_differences(text) for what, text in texts.items()}


def _without_legitimate_differences(text: str) -> str:
    for _, pattern, replacement in LEGITIMATE_DIFFERENCES:
        text = pattern.sub(replacement, text)
    return text


def _differences(before: dict[str, str], after: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(what differs, a part of it as recorded, the same part now) for each output that differs."""
    for what in (*before, *(what for what in after if what not in before)):
        old, new = before.get(what), after.get(what)
        if old != new:
            yield what, *_excerpts(old, new)


def _excerpts(old: str | None, new: str | None) -> tuple[str, str]:
    """The parts of both texts around their first difference; "nothing" for a text that is not there."""
    pairs = enumerate(zip_longest(old or "", new or ""))
    place = next(place for place, (one, other) in pairs if one != other) if old and new else 0
    first = max(place - _EXCERPT, 0)
    parts = ("nothing" if text is None else one_line(text[first : place + _EXCERPT]) for text in (old, new))
    return next(parts), next(parts)
