"""How many runs each experiment of a server has, and its last activity: found by looking at few of them.

Servers do not count, and listing runs to count them takes a millisecond or three for each. The page token of MLflow's
own server is the number of runs before the page, so it can be made here, and the last page is found by halves.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.history import API
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import info_of, last_moment
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]
    # Of each experiment: the number of its runs, and the latest start or end of any, in ms.
    Counts = dict[str, tuple[int, int | None]]

_SEARCH = f"{API}/runs/search"
_NEWEST, _LAST_TO_END = "attributes.start_time DESC", "attributes.end_time DESC"
_PAGE = 1000
_SIDE_BY_SIDE = 8
_RUN_SECONDS = 0.0025  # that a listing takes for each run: 1.4 to 3 ms with 20 params and 30 metrics
_QUESTIONS = 12  # that it takes to count a thousand runs by halves
_MOST_QUESTIONS = 120
_GROUP = 4  # times as many runs are listed together: more questions are needed to find who has them


class _Unlike(Exception):
    """The server does not answer as MLflow's own does."""


@dataclass(frozen=True)
class _Page:
    runs: list[Json]
    token: str
    seconds: float


def count_runs(client: RestClient, portions: Iterable[Sequence[str]], view_type: str) -> Counts:
    """The counts of all these experiments; portions: those that are asked about together, side by side with others."""
    waiting = list(portions)
    if not waiting:
        return {}
    counting = _Counting(client, view_type, min(len(waiting), _SIDE_BY_SIDE))
    counting.look(waiting[0])
    return {key: count for found in in_parallel(counting.of, waiting, _SIDE_BY_SIDE) for key, count in found.items()}


class _Counting:
    def __init__(self, client: RestClient, view_type: str, side_by_side: int) -> None:
        self._client = client
        self._view_type = view_type
        self._side_by_side = side_by_side
        self._seconds = 0.0
        self._is_mlflow = True
        self._budget = Budget(client.uri.safe, "runs")

    def look(self, ids: Sequence[str]) -> None:
        """One question while no other is asked: how long that takes, and whether the tokens are those of MLflow."""
        try:
            self._seconds = self._page(ids, 0, 1).seconds
        except (_Unlike, RequestRejected, StoreUnreadable):
            self._is_mlflow = False

    def of(self, ids: Sequence[str]) -> Counts:
        """The counts of some experiments, by listing where that is quicker or nothing else is understood."""
        if self._is_mlflow:
            try:
                return self._counted(ids)
            except (_Unlike, RequestRejected, StoreUnreadable):
                pass  # if listing them has the same trouble, that says so
        return _by_experiment(ids, self._listed(ids))

    def _counted(self, ids: Sequence[str]) -> Counts:
        if len(ids) > 1:
            # Most experiments are small, and a few are not: those are found by halves too.
            if not self._page(ids, _GROUP * self._worth(self._seconds), 1).token:
                return _by_experiment(ids, self._listed(ids))
            middle = len(ids) // 2
            return self.of(ids[:middle]) | self.of(ids[middle:])
        # What takes as long as two questions, at first: that may be all, and a folder is best read once.
        few = min(max(int(2 * self._seconds / _RUN_SECONDS), 1), _PAGE)
        first = self._page(ids, 0, few)
        if not first.token:
            return _by_experiment(ids, first.runs)
        here = first.seconds / self._side_by_side - _RUN_SECONDS * len(first.runs)
        many = max(self._worth(max(self._seconds, here)), few)
        if not self._page(ids, many, 1).token:
            rest = self._listed(ids, page_token=first.token, order_by=[_NEWEST])
            return _by_experiment(ids, [*first.runs, *rest])
        last = self._page(ids, 0, 1, _LAST_TO_END)
        moments = [last_moment(run)[1] for run in (*first.runs, *last.runs)]
        count = self._by_halves(ids, many + 2, few)
        return {ids[0]: (count, max((moment for moment in moments if moment is not None), default=None))}

    def _worth(self, seconds: float) -> int:
        """As many runs as are listed in the time of counting by halves.  seconds: that one question takes.

        It may be far to the server, or that may read all runs at each question, as it does over a folder.
        """
        return int(_QUESTIONS * seconds / _RUN_SECONDS)

    def _by_halves(self, ids: Sequence[str], low: int, few: int) -> int:
        """The number of runs, which is `low` or more.  few: so many are listed rather than halved."""
        high: int | None = None
        for _ in range(_MOST_QUESTIONS):  # not for ever, with a server that says this now and that then
            if low == high:
                return low
            at, size = low, 1
            if high is None:
                at = low * 4
            elif high - low <= few:
                size = high - low
            else:
                at = (low + high) // 2
            page = self._page(ids, at, size)
            if page.token:
                low = at + size + 1
                high = None if high is not None and low > high else high  # runs were added
            elif page.runs:
                return at + len(page.runs)
            else:
                low, high = min(low, at), at
        raise _Unlike

    def _page(self, ids: Sequence[str], at: int, size: int, order: str = _NEWEST) -> _Page:
        """The runs from this place on, and the token of the page after them.

        Raises _Unlike unless both are as MLflow's own server would have them.
        """
        body = self._question(ids, size) | {"order_by": [order]}
        if at:
            body["page_token"] = _token(at)
        since = time.monotonic()
        answer = self._client.ask("POST", _SEARCH, body=body)
        seconds = time.monotonic() - since
        runs, token = answer.get("runs") or [], answer.get("next_page_token") or ""
        if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
            raise _Unlike
        if any(str(info_of(run).get("experiment_id")) not in ids for run in runs) or len(runs) > size:
            raise _Unlike
        if token and (token != _token(at + size) or len(runs) != size):
            raise _Unlike
        return _Page(runs, token, seconds)

    def _listed(self, ids: Sequence[str], **more: Any) -> Iterator[Json]:
        question = self._question(ids, _PAGE) | more
        return read_pages(self._client, "POST", _SEARCH, question, "runs", budget=self._budget)

    def _question(self, ids: Sequence[str], size: int) -> Json:
        return {"experiment_ids": list(ids), "run_view_type": self._view_type, "max_results": size}


def _token(offset: int) -> str:
    """The page token of MLflow's own server for what comes after so many runs."""
    return b64encode(json.dumps({"offset": offset}).encode()).decode()


def _by_experiment(ids: Sequence[str], runs: Iterable[Json]) -> Counts:
    """The counts of these experiments, of which these are all runs."""
    counts: Counts = dict.fromkeys(ids, (0, None))
    for experiment_id, moment in map(last_moment, runs):
        if experiment_id in counts:
            count, last = counts[experiment_id]
            counts[experiment_id] = (count + 1, max((one for one in (last, moment) if one is not None), default=None))
    return counts
