"""The p value limit for the same test on several tasks, so that noise in all of them hardly ever shows a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def limit_over_tasks(ps: Collection[float], alpha: float, *, another: bool = False) -> float:
    """The p value up to which a result counts when the same test was made in several tasks.

    If each of many tasks of pure noise were tested at `alpha`, some would show a result by chance. The false discovery
    rate over the tasks is kept at `alpha` (Benjamini and Hochberg 1995), which equals the probability of any result
    where nothing differs in any task.

    Args:
        ps: the smallest p value of each tested task, corrected for the tests within it; 1 where nothing was found.
        alpha: the significance level of a single task.
        another: True gives the limit for one more task that would become significant, if its p value were small enough.

    Returns:
        The limit, at most `alpha`.
    """
    tests = max(1, len(ps))
    significant = max((place for place, p in enumerate(sorted(ps), 1) if p <= alpha * place / tests), default=0)
    return alpha * min(tests, max(1, significant + another)) / tests
