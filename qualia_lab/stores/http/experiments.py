"""Lists the experiments of a server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreUnreadable
from qualia_lab.stores.http.history import API
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.search_page import FRESH_SECONDS

if TYPE_CHECKING:
    from qualia_lab.selection import View
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]

VIEW_TYPES = {"active": "ACTIVE_ONLY", "deleted": "DELETED_ONLY", "all": "ALL"}
_PAGE_SIZE = 1000


class ServerExperiments:
    """The experiments of one server."""

    def __init__(self, client: RestClient, *, is_databricks: bool) -> None:
        self._client = client
        self._is_databricks = is_databricks
        self._recent: tuple[float, dict[str, Json]] = (-FRESH_SECONDS, {})

    def of_view(self, view: View) -> dict[str, Json]:
        """The experiments of a view as {id: MLflow's JSON}."""
        body = {"max_results": _PAGE_SIZE, "view_type": VIEW_TYPES[view]}
        experiments = {
            str(item["experiment_id"]): item
            for item in read_pages(self._client, "POST", f"{API}/experiments/search", body, "experiments")
            if item.get("experiment_id") is not None
        }
        if not experiments and not self._is_databricks:
            self._check_that_it_is_mlflow()
        self._recent = (time.monotonic(), experiments)
        return experiments

    def take_recent(self) -> dict[str, Json]:
        """The experiments of the last request if it was recent; they are returned once, then {}."""
        (since, experiments), self._recent = self._recent, (-FRESH_SECONDS, {})
        return experiments if time.monotonic() - since < FRESH_SECONDS else {}

    def _check_that_it_is_mlflow(self) -> None:
        """Raise StoreUnreadable for a server that is not MLflow and responds `{}` to every request."""
        version = self._client.fetch("GET", "/version", limit=100)
        if not re.match(rb"\d+\.\d", version):
            raise StoreUnreadable(
                f"{self._client.uri.safe} lists no experiment, and does not answer as MLflow does.",
                "Check that the address is that of an MLflow tracking server.",
            )
