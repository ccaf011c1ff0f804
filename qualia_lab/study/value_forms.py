"""Detect what values look like: locations, times, digests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qualia_lab.study.factor_names import words

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACE = re.compile(r"(/|~|\.{1,2}[\\/]|[A-Za-z]:[\\/]|\\\\|[A-Za-z][A-Za-z0-9+.-]*:/{1,3}).*", re.DOTALL)
_DATE = r"(19|20)\d\d([-_/.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]\d|2[0-3])[-_:.hH]?[0-5]\d([-_:.mM]?[0-5]\d(\.\d+)?)?"
_TIME = re.compile(rf"{_DATE}([T _-]+{_CLOCK}\s*(Z|[+-]\d\d:?\d\d)?)?")
_STAMPED = re.compile(rf"(?<!\d)(?:{_DATE}[T _-]+{_CLOCK}|1[0-9]{{9}}([0-9]{{3}})?)(?!\d)")
_DIGEST = re.compile(r"(?=.*\d)(?=.*[a-f])[0-9a-f]{8,64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NUMBER = re.compile(r"[:_ -]?\d+$")
_OF_A_HUB = re.compile(r"([A-Za-z0-9][\w.-]*)/[\w.-]+")


def look_like_labels(values: Sequence[str]) -> bool:
    """Whether all values are paths, URLs, times, digests, files written by runs, or names that contain a time."""
    return bool(values) and all(map(_is_label, values))


def are_known_files(values: Sequence[str]) -> bool:
    """Whether all values are files without a folder and not named after a run: pretrained weights, `yolov8n.pt`."""
    written, runs = tuple(words()["label"]["written"]), words()["label"]["outputs"] | words()["label"]["states"]
    stems = [value.strip().rsplit(".", 1)[0] if value.strip().lower().endswith(written) else None for value in values]
    named = [stem for stem in stems if stem is not None]
    return (
        bool(named)
        and all("/" not in value and "\\" not in value and not _STAMPED.search(value) for value in values)
        and all(runs.isdisjoint(re.split(r"[^a-z]+", stem.lower())) for stem in named)
    )


def are_of_a_hub(values: Sequence[str]) -> bool:
    """Whether all values are names of a model hub such as `meta-llama/Llama-3-8B`, or not paths at all."""
    return all(
        _of_a_hub(value) or ("/" not in value and "\\" not in value and not _is_label(value)) for value in values
    )


def are_numbered(values: Sequence[str]) -> bool:
    """Whether values are one word with different numbers, or only numbers: `cuda:0` and `cuda:1`."""
    words_before = {_NUMBER.sub("", value.strip()) for value in values}
    return len(words_before) == 1 < len(values) and words_before.isdisjoint(values)


def _is_label(value: str) -> bool:
    value = value.strip()
    return (
        any(one.fullmatch(value) for one in (_PLACE, _TIME, _DIGEST))
        or _STAMPED.search(value) is not None
        or _in_an_output(value)
        or value.lower().endswith(tuple(words()["label"]["written"]))
    )


def _in_an_output(value: str) -> bool:
    """Whether it is a relative path into an output folder: `results/run3`."""
    first, sign, _ = value.replace("\\", "/").partition("/")
    return bool(sign) and " " not in value and first.lower() in words()["label"]["outputs"]


def _of_a_hub(value: str) -> bool:
    match = _OF_A_HUB.fullmatch(value)
    return match is not None and not _in_an_output(value) and match[1].lower() not in ("models", "data", "weights")
