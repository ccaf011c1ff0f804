"""Names of pictures: those that MLflow gives to logged images hold the key and the step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# MlflowClient.log_image(key=, step=) writes images/KEY+step+3+timestamp+1700000000000+UUID.png, with `%` for `+` in
# older versions, and beside each a small copy whose name ends in `compressed.webp`.
_LOGGED = re.compile(
    r"images/(.+?)([%+])step\2(-?\d{1,18})\2timestamp\2(\d{1,18})\2([^%+/]+)(\2compressed)?\.\w+", re.DOTALL
)
# The pictures in the cells of MlflowClient.log_table, each with a small copy of the same name.
_IN_TABLE = re.compile(r"(table_images/.+)\.webp", re.DOTALL)
_TITLE = 120  # columns
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True)
class LoggedImage:
    """A picture of a run: what it shows (MLflow's key, or its path), at which step, logged when (ms; 0 unknown).

    own: what MLflow put into the file's name so that it is like no other.
    """

    key: str
    path: str
    step: int | None
    timestamp: int = 0
    own: str = ""

    @property
    def title(self) -> str:
        """`samples, step 119`; of a picture without a step its path."""
        return self.key if self.step is None else f"{self.key}, step {self.step:,}"


def logged_image(path: str) -> LoggedImage | None:
    """What the path of an artifact says of a picture; None for other files, and for the small copies of pictures."""
    found = _LOGGED.fullmatch(path)
    if found:
        key, _, step, timestamp, own, small = found.groups()
        key = key.replace("~", "/").replace("#", "/")
        return None if small else LoggedImage(key, path, int(step), int(timestamp), own)
    return LoggedImage(path, path, None) if path.lower().endswith(_ENDINGS) else None


def without_small_copies(paths: Collection[str]) -> list[str]:
    """The paths without those of the small copies that MLflow keeps beside pictures, where the picture is there."""
    there = set(paths)
    return [path for path in paths if _picture_of(path) not in there]


def titled(paths: Sequence[str]) -> list[tuple[str, str]]:
    """(path, title) of files for a person: logged images as `samples, step 119`, by step; other files by their path.

    Images stand at the places that images have among the paths. Two of one key and step are told apart.
    """
    images = [image for path in paths if (image := logged_image(path)) is not None and image.step is not None]
    images.sort(key=lambda image: (image.key, image.step or 0, image.timestamp, image.path))
    titles = distinct_names([image.title for image in images], [image.own for image in images], _TITLE)
    title_of = dict(zip((image.path for image in images), titles, strict=True))
    by_step = iter(title_of)
    ordered = [next(by_step) if path in title_of else path for path in paths]
    return [(path, title_of.get(path, path)) for path in ordered]


def _picture_of(path: str) -> str | None:
    """Of the small copy of a picture the path of the picture; None for other files."""
    found = _LOGGED.fullmatch(path)
    if found and found[6]:
        return f"{path[: found.start(6)]}.png"
    in_table = _IN_TABLE.fullmatch(path)
    return f"{in_table[1]}.png" if in_table else None
