"""Human-readable file sizes."""

from __future__ import annotations


def size_text(size: int | None) -> str:
    """Format a number of bytes with decimal units; "" if it is not known."""
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
