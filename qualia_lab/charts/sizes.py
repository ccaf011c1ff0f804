"""Sizes as a person reads them."""

from __future__ import annotations


def size_text(size: int | None) -> str:
    """Bytes in powers of 1,000; "" where they are not known."""
    if size is None:
        return ""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
