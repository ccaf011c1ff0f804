"""One question asked of several tasks: which p are small enough, so that noise in all of them hardly shows anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def limit_over_tasks(ps: Collection[float], alpha: float, *, another: bool = False) -> float:
    """The p up to which a result counts, where the same was asked of so many tasks.

    Of many tasks of noise some would show something by luck, if each were asked at `alpha` by itself. The rate of false
    discoveries among the tasks is kept at `alpha` (Benjamini and Hochberg 1995), which is the risk of any where nothing
    differs in any of them.

    Args:
        ps: of each task that was asked the smallest p, corrected for what was asked in it; 1 where nothing was found.
        alpha: of a single task.
        another: the limit for a task that is not among those that count yet, if its own p were small enough.
    """
    asked = max(1, len(ps))
    counting = max((place for place, p in enumerate(sorted(ps), 1) if p <= alpha * place / asked), default=0)
    return alpha * min(asked, max(1, counting + another)) / asked
