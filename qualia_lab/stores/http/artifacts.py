"""Lists and reads the artifacts of runs and logged models that a server serves."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qualia_lab.errors import StoreUnreachable
from qualia_lab.stores.http.endpoints import API2, PAGES2
from qualia_lab.stores.http.history import API
from qualia_lab.stores.http.pages import read_pages
from qualia_lab.stores.http.search_page import FRESH_SECONDS
from qualia_lab.stores.model_sources import is_model_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from qualia_lab.stores.artifact_places import ArtifactServer
    from qualia_lab.stores.http.rest import RestClient

    Json = dict[str, Any]


class ServerArtifacts:
    """The artifacts of one server."""

    def __init__(self, client: RestClient) -> None:
        self._runs = RunArtifacts(client, self._fail_fast)
        self._models = ModelArtifacts(client, self._fail_fast)
        self._unreachable: tuple[float, StoreUnreachable | None] = (0.0, None)

    def of(self, owner_id: str) -> ArtifactServer:
        """Lists and reads the artifacts of this run or logged model."""
        return self._models if is_model_id(owner_id) else self._runs

    @contextmanager
    def _fail_fast(self) -> Iterator[None]:
        """For 60 s after artifacts were not reached, raise StoreUnreachable at once instead of sending a request."""
        when, error = self._unreachable
        if error is not None and time.monotonic() - when < FRESH_SECONDS:
            raise StoreUnreachable(error.message, error.hint)  # a new one: a traceback grows each time it is raised
        try:
            yield
        except StoreUnreachable as unreachable:
            self._unreachable = (time.monotonic(), unreachable)
            raise


class RunArtifacts:
    """The artifacts of runs."""

    def __init__(self, client: RestClient, fail_fast: Callable[[], AbstractContextManager[None]]) -> None:
        """Remember how to ask, see `ModelArtifacts`."""
        self._client = client
        self._fail_fast = fail_fast

    def list_artifacts(self, run_id: str, path: str) -> Iterator[Json]:
        """The entries of one folder of a run's artifacts as MLflow's `{path, is_dir, file_size}`."""
        parameters = [("run_id", run_id), *([("path", path)] if path else [])]
        with self._fail_fast():
            yield from read_pages(self._client, "GET", f"{API}/artifacts/list", dict(parameters), "files")

    def read_artifact(self, run_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one artifact of a run."""
        parameters = [("run_uuid", run_id), ("path", path)]
        return self._client.fetch("GET", "/get-artifact", parameters=parameters, limit=limit, seconds=seconds)[:limit]


class ModelArtifacts:
    """The artifacts of logged models, which a server lists and serves by endpoints of their own."""

    def __init__(self, client: RestClient, fail_fast: Callable[[], AbstractContextManager[None]]) -> None:
        """Remember how to ask.

        Args:
            client: sends the requests.
            fail_fast: around a request; raises at once if artifacts could not be reached shortly before.
        """
        self._client = client
        self._fail_fast = fail_fast

    def list_artifacts(self, model_id: str, path: str) -> Iterator[Json]:
        """The entries of one folder as MLflow's `{path, is_dir, file_size}`."""
        endpoint = f"{API2}/logged-models/{model_id}/artifacts/directories"
        parameters = {"artifact_directory_path": path} if path else {}
        with self._fail_fast():
            yield from read_pages(self._client, "GET", endpoint, parameters, "files")

    def read_artifact(self, model_id: str, path: str, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes of one file."""
        endpoint, parameters = f"{PAGES2}/logged-models/{model_id}/artifacts/files", [("artifact_file_path", path)]
        with self._fail_fast():
            return self._client.fetch("GET", endpoint, parameters=parameters, limit=limit, seconds=seconds)[:limit]
