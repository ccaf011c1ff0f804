"""Lists and finds the runs of a server, as MLflow's JSON."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from qualia_lab.escaping import one_line
from qualia_lab.stores.http.experiments import VIEW_TYPES
from qualia_lab.stores.http.history import API, batches_of
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.rest import RequestRejected
from qualia_lab.stores.http.rows import info_of, run_id_of
from qualia_lab.stores.limits import Budget
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qualia_lab.selection import View
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]
    Take = Callable[[list[Json]], object]

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
PAGE_SIZE = 1000
EXPERIMENTS_PER_REQUEST = 100
_RUNS_PER_REQUEST = 100


class ServerRuns:
    """The runs of one server."""

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def search(
        self,
        experiment_ids: Sequence[str],
        view: View,
        condition: str = "",
        order_by: Sequence[str] = (),
        *,
        limit: int | None = None,
        budget: Budget | None = None,
    ) -> Iterator[Json]:
        """The runs of some experiments, up to the limit."""
        page_size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit)
        body: Json = {
            "experiment_ids": list(experiment_ids),
            "run_view_type": VIEW_TYPES[view],
            "max_results": page_size,
        }
        if condition:
            body["filter"] = condition
        if order_by:
            body["order_by"] = list(order_by)
        yield from islice(read_pages(self._client, "POST", f"{API}/runs/search", body, "runs", budget=budget), limit)

    def find(self, run_ids: Sequence[str], experiment_ids: list[str], take: Take) -> dict[str, str]:
        """Find runs by id.

        Args:
            run_ids: the runs.
            experiment_ids: the ids of all experiments of the server.
            take: called with batches of the runs as MLflow's JSON, in any order and from any thread.

        Returns:
            {run id: the reason why it is missing}.
        """
        wanted = list(dict.fromkeys(run_ids))
        missing = {run_id: "this is not a run id" for run_id in wanted if not RUN_ID.match(run_id)}
        found = self._search_by_id([run_id for run_id in wanted if run_id not in missing], experiment_ids, take)
        others = [run_id for run_id in wanted if run_id not in found and run_id not in missing]
        batch: list[Json] = []
        for run_id, run_or_reason in zip(others, in_parallel(self._get_run, others), strict=True):
            if isinstance(run_or_reason, dict):
                batch.append(run_or_reason)
            else:
                missing[run_id] = run_or_reason
            if len(batch) == PAGE_SIZE:
                take(batch)
                batch = []
        take(batch)
        return missing

    def _search_by_id(self, run_ids: list[str], experiment_ids: list[str], take: Take) -> set[str]:
        """Find runs by a search over all experiments, far faster than one request per run; the ids that were found."""
        if len(experiment_ids) > EXPERIMENTS_PER_REQUEST:
            return set()

        def search(batch: list[str]) -> list[str]:
            id_list = ", ".join(f"'{run_id}'" for run_id in batch)
            wanted = set(batch)
            response = self.search(experiment_ids, "all", f"attributes.run_id IN ({id_list})", limit=PAGE_SIZE)
            runs = [run for run in response if run_id_of(run) in wanted]
            take(runs)
            return [run_id_of(run) for run in runs]

        found: set[str] = set()
        try:
            for ids_in_batch in in_parallel(search, batches_of(run_ids, _RUNS_PER_REQUEST), 4):
                found.update(ids_in_batch)
        except RequestRejected:
            pass  # an older grammar, or a run that the server cannot read: the other runs are requested one by one
        return found

    def _get_run(self, run_id: str) -> Json | str:
        """One run, or the reason why it cannot be read."""
        try:
            run = self._client.request_json("GET", f"{API}/runs/get", parameters=[("run_id", run_id)]).get("run")
        except RequestRejected as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return "the server has no run of this id"
            return error.message
        if not isinstance(run, dict) or not run_id_of(run):
            return "the server gave no run"
        return run if run_id_of(run) == run_id else f"the server gave another run, {one_line(run_id_of(run), 40)}"

    def outlines(self, experiment_ids: Sequence[str]) -> list[Json]:
        """The runs of these experiments, of which only ids, experiments and outputs are kept."""
        budget = Budget(self._client.uri.safe, "runs")

        def search(batch: list[str]) -> list[Json]:
            return [_outline(run) for run in self.search(batch, "all", budget=budget)]

        batches = concurrent_batches(list(experiment_ids))
        return [run for runs in in_parallel(search, batches, 4) for run in runs]

    def outlines_by_id(self, run_ids: Sequence[str], experiment_ids: list[str]) -> list[Json]:
        """The runs with these ids, as far as they exist, of which the same is kept."""
        found: list[Json] = []
        self.find(run_ids, experiment_ids, lambda runs: found.extend(map(_outline, runs)))
        return found


def concurrent_batches(experiment_ids: list[str]) -> Iterator[list[str]]:
    """Small batches, because the pages of one search can only be requested one after the other."""
    return batches_of(experiment_ids, max(1, min(EXPERIMENTS_PER_REQUEST, len(experiment_ids) // 8)))


def _outline(run: Json) -> Json:
    """The id, the experiment and the outputs of a run."""
    info = {"run_id": run_id_of(run), "experiment_id": info_of(run).get("experiment_id")}
    return {"info": info, "outputs": run.get("outputs")}
