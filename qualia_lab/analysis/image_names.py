"""Names of image files: MLflow encodes the key and the step of logged images in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qualia_lab.names import distinct_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# MlflowClient.log_image(key=, step=) writes images/KEY+step+3+timestamp+1700000000000+UUID.png, with `%` for `+` in
# older versions, and a thumbnail beside each, whose name ends in `compressed.webp`.
_LOGGED = re.compile(
    r"images/(.+?)([%+])step\2(-?\d{1,18})\2timestamp\2(\d{1,18})\2([^%+/]+)(\2compressed)?\.\w+", re.DOTALL
)
# Images in the cells of MlflowClient.log_table, each with a thumbnail of the same name.
_IN_TABLE = re.compile(r"(table_images/.+)\.webp", re.DOTALL)
# A path whose last number may be the place of a picture in an order: `samples/epoch_012.png`.
_NUMBERED = re.compile(r"(.*?)(\d{1,9})(\D*\.\w+)", re.DOTALL)
_TITLE = 120  # characters
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True)
class LoggedImage:
    """An image of a run.

    Attributes:
        key: MLflow's key, or the path where the name holds no key.
        path: the path of the artifact.
        step: the step; None where the name holds none.
        timestamp: when it was logged, in milliseconds since 1970; 0 where unknown.
        own: the UUID that MLflow put into the file name to make it unique.
    """

    key: str
    path: str
    step: int | None
    timestamp: int = 0
    own: str = ""

    @property
    def title(self) -> str:
        """`samples, step 119`; the path for an image without a step."""
        return self.key if self.step is None else f"{self.key}, step {self.step:,}"


def logged_image(path: str) -> LoggedImage | None:
    """Parse the path of an artifact as an image; None for other files and for thumbnails."""
    match = _LOGGED.fullmatch(path)
    if match:
        key, _, step, timestamp, own, thumbnail = match.groups()
        key = key.replace("~", "/").replace("#", "/")
        return None if thumbnail else LoggedImage(key, path, int(step), int(timestamp), own)
    return LoggedImage(path, path, None) if path.lower().endswith(_ENDINGS) else None


def numbered_image(image: LoggedImage) -> LoggedImage | None:
    """The image as one of an order, with the last number of its path as its step: `samples/epoch_*.png`, 12.

    None for an image that was logged at a step, and for a path without a number.
    """
    match = _NUMBERED.fullmatch(image.path) if image.step is None else None
    return LoggedImage(f"{match[1]}*{match[3]}", image.path, int(match[2])) if match else None


def without_small_copies(paths: Collection[str]) -> list[str]:
    """The paths without the thumbnails of images that are among them."""
    existing = set(paths)
    return [path for path in paths if _image_of_thumbnail(path) not in existing]


def display_titles(paths: Sequence[str]) -> list[tuple[str, str]]:
    """(path, title) for files as they are displayed: logged images as `samples, step 119`, other files by their path.

    Images are sorted by key and step, and stand at the positions that images have among the paths. Images with the same
    key and step get distinct titles.
    """
    images = [image for path in paths if (image := logged_image(path)) is not None and image.step is not None]
    images.sort(key=lambda image: (image.key, image.step or 0, image.timestamp, image.path))
    titles = distinct_names([image.title for image in images], [image.own for image in images], _TITLE)
    title_of = dict(zip((image.path for image in images), titles, strict=True))
    by_step = iter(title_of)
    ordered = [next(by_step) if path in title_of else path for path in paths]
    return [(path, title_of.get(path, path)) for path in ordered]


def _image_of_thumbnail(path: str) -> str | None:
    """The path of the image that a thumbnail belongs to; None for other files."""
    match = _LOGGED.fullmatch(path)
    if match and match[6]:
        return f"{path[: match.start(6)]}.png"
    in_table = _IN_TABLE.fullmatch(path)
    return f"{in_table[1]}.png" if in_table else None
