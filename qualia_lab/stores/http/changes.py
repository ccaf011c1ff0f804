"""Whether runs on a server changed: most times one small request, and every fourth time further ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qualia_lab.stores.change_tokens import token_of
from qualia_lab.stores.ended import ENDED
from qualia_lab.stores.http.history import batches_of
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Json = dict[str, Any]
    # The filter, the order and the number of runs to read.
    Question = tuple[str, str, int | None]
    Search = Callable[[list[str], Question], Iterator[Json]]

_EXPERIMENTS_PER_REQUEST = 100
_TRACES_LOOKED_AT = 5
_EVERY = 4  # of this many questions, one is asked in full

_UNFINISHED: Question = (
    " AND ".join(f"attributes.status != '{status}'" for status in ENDED),
    "attributes.start_time DESC",
    None,
)
_LATEST: tuple[Question, ...] = (("", "attributes.start_time DESC", 5), ("", "attributes.end_time DESC", 5))


@dataclass(frozen=True)
class _Answers:
    """What a server answered last.

    Attributes:
        given: the experiments that were given; () for all.
        ids: those that were asked about.
        unfinished: the runs that have not ended.
        token: the token of all answers.
        repeated: how often only the unfinished runs were asked for since.
    """

    given: tuple[str, ...]
    ids: tuple[str, ...]
    unfinished: str
    token: str
    repeated: int = 0


class Changes:
    """Asks for the runs that have not ended; every fourth time, and when these changed, also for all the rest."""

    def __init__(
        self,
        list_experiments: Callable[[], Mapping[str, Json]],
        search: Search,
        latest_traces: Callable[[Sequence[str], int], list[Json]],
    ) -> None:
        """Ask nothing yet.

        Args:
            list_experiments: returns the active experiments by id.
            search: returns the active runs of up to a hundred experiments.
            latest_traces: returns the latest traces of up to a hundred experiments, so many at most.
        """
        self._list_experiments, self._search, self._latest_traces = list_experiments, search, latest_traces
        self._last: _Answers | None = None

    def token(self, experiment_ids: Sequence[str]) -> str:
        """See `TrackingStore.change_token`.

        Args:
            experiment_ids: the experiments; () for all.
        """
        given, last = tuple(experiment_ids), self._last
        if last is not None and last.given == given and last.repeated < _EVERY - 1:
            (unfinished,) = self._ask(last.ids, (_UNFINISHED,))
            if unfinished == last.unfinished:
                self._last = replace(last, repeated=last.repeated + 1)
                return last.token
        listed = self._list_experiments()
        ids = given or tuple(listed)
        unfinished, *others = self._ask(ids, (_UNFINISHED, *_LATEST))
        batches = batches_of(list(ids), _EXPERIMENTS_PER_REQUEST)
        others += [_in_any_order(self._latest_traces(batch, _TRACES_LOOKED_AT)) for batch in batches]
        self._last = _Answers(
            given, ids, unfinished, token_of(_in_any_order(list(listed.values())), unfinished, others)
        )
        return self._last.token

    def _ask(self, experiment_ids: Sequence[str], questions: Sequence[Question]) -> list[str]:
        """Return the answer to each question, as a text that is the same if the answer is."""
        batches = list(batches_of(list(experiment_ids), _EXPERIMENTS_PER_REQUEST))
        requests = [(batch, question) for question in questions for batch in batches]
        answers = list(in_parallel(lambda request: _in_any_order(list(self._search(*request))), requests, 4))
        size = len(batches)
        return [token_of(answers[first * size : (first + 1) * size]) for first in range(len(questions))]


def _in_any_order(value: object) -> str:
    """JSON in which the order of lists does not matter, as a server may list params and metrics in any order."""
    if isinstance(value, dict):
        return repr(sorted((str(key), _in_any_order(one)) for key, one in value.items()))
    return repr(sorted(map(_in_any_order, value))) if isinstance(value, list) else repr(value)
