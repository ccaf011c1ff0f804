"""Format ages, durations, numbers and statuses for a terminal."""

from __future__ import annotations

import time
from datetime import datetime

from qualia_lab.console import can_show

_SIGNS = {"FINISHED": "✅", "FAILED": "❌", "KILLED": "❌", "RUNNING": "⏳", "SCHEDULED": "⏳"}
_UNITS = (
    ("year", "years", 31_557_600),
    ("month", "months", 2_629_800),
    ("day", "days", 86_400),
    ("h", "h", 3_600),
    ("min", "min", 60),
)


def age(time_ms: int | None, now_ms: int | None = None) -> str:
    """How long ago a time in ms since 1970 was, in one unit; "" for None; `in 2 h` for a time in the future."""
    if time_ms is None:
        return ""
    seconds = ((time.time_ns() // 1_000_000 if now_ms is None else now_ms) - time_ms) / 1000
    ago = _in_one_unit(abs(seconds))
    if not ago:
        return "just now"
    return f"{ago} ago" if seconds > 0 else f"in {ago}"


def duration(start_ms: int | None, end_ms: int | None) -> str:
    """How long a run took; "" if it has no start or no end."""
    if start_ms is None or end_ms is None:
        return ""
    seconds = (end_ms - start_ms) / 1000
    return f"{seconds:.1f} s" if seconds < 60 else _in_one_unit(seconds)


def moment(time_ms: int | None) -> str:
    """A time in ms since 1970 as local date and minute, or as it is where no calendar reaches; "" for None."""
    if time_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(time_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms since 1970"


def number(value: float | None) -> str:
    """A metric value with four significant digits; "" for None."""
    return "" if value is None else f"{value:.4g}"


def status_sign(status: str | None) -> str:
    """✅ ❌ ⏳ if the terminal can show them, else the status in lower case; "?" for None."""
    sign = _SIGNS.get(status or "")
    return sign if sign and can_show(sign) else (status or "?").lower()


def _in_one_unit(seconds: float) -> str:
    """`3 days`, `2 h`; "" for less than a minute."""
    for singular, plural, length in _UNITS:
        count = int(seconds // length)
        if count:
            return f"{count:,} {singular if count == 1 else plural}"
    return ""
