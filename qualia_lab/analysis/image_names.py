"""Names of pictures: those that MLflow gives to logged images hold the key and the step."""

from __future__ import annotations

import re
from dataclasses import dataclass

# MlflowClient.log_image(key=, step=) writes images/KEY+step+3+timestamp+1700000000000+UUID.png, with `%` for `+` in
# older versions, and beside each a small copy whose name ends in `compressed.webp`.
_LOGGED = re.compile(
    r"images/(.+?)([%+])step\2(-?\d{1,18})\2timestamp\2(\d{1,18})\2[^%+/]+(\2compressed)?\.\w+", re.DOTALL
)
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True)
class LoggedImage:
    """A picture of a run: what it shows (MLflow's key, or its path), at which step, logged when (ms; 0 unknown)."""

    key: str
    path: str
    step: int | None
    timestamp: int = 0


def logged_image(path: str) -> LoggedImage | None:
    """What the path of an artifact says of a picture; None for other files, and for the small copies of pictures."""
    found = _LOGGED.fullmatch(path)
    if found:
        key, _, step, timestamp, small = found.groups()
        return None if small else LoggedImage(key.replace("~", "/").replace("#", "/"), path, int(step), int(timestamp))
    return LoggedImage(path, path, None) if path.lower().endswith(_ENDINGS) else None


def is_logged_image(path: str) -> bool:
    """Whether MLflow's `log_image` wrote this file, a picture or its small copy."""
    return _LOGGED.fullmatch(path) is not None
