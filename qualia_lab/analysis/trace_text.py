"""Times, durations and costs of traces as text."""

from __future__ import annotations

from datetime import UTC, datetime

from qualia_lab.times import is_possible

_MINUTE = 60_000  # ms


def took(milliseconds: float | None) -> str:
    """A duration: `512 ms`, `1.34 s`, `4 min 5 s`; "" for None."""
    if milliseconds is None:
        return ""
    if abs(milliseconds) < 999.5:
        return f"{round(milliseconds, 3):.3g} ms"
    if abs(milliseconds) < _MINUTE:
        return f"{milliseconds / 1000:.3g} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def dollars(cost: float | None) -> str:
    """A cost in USD with three significant digits; "" for None."""
    return "" if cost is None else f"${cost:,.2f}" if cost >= 1 else f"${cost:.3g}"


def moment(milliseconds: int | None) -> str:
    """A time in UTC to the second; "" for None and for a time that no request can have."""
    if milliseconds is None or not is_possible(milliseconds):
        return ""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
