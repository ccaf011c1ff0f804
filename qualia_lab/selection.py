"""Query and Selection: which runs, before and after the store was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

View = Literal["active", "deleted", "all"]


@dataclass(frozen=True)
class Query:
    """What to ask a store for; every condition that is given must hold.

    experiment_ids: () means every experiment of the view.  run_ids: () means no condition.
    filter and order_by: the language of `qualia_lab.query`; without order_by the newest run is first.
    limit: None means all of them, always.
    """

    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    view: View = "active"


@dataclass(frozen=True)
class Selection:
    """Which runs, as plain data: where they are, how they were chosen, and the run ids that gave.

    tracking_uri holds no secret. experiments are names, as they were in the store.
    greater_is_better is None where no direction is known.
    """

    tracking_uri: str
    run_ids: tuple[str, ...]
    experiments: tuple[str, ...] = ()
    filter: str = ""
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    primary_metric: str | None = None
    greater_is_better: bool | None = None
