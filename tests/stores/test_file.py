"""FileStore: MLflow's own folders, and everything that happens to folders."""

from __future__ import annotations

import pytest

from .contract import StoreContract
from .sample import write_sample


@pytest.fixture(scope="module")
def mlruns(tmp_path_factory):
    """A file store filled with the sample."""
    folder = tmp_path_factory.mktemp("file") / "mlruns"
    write_sample(str(folder))
    return folder


class TestFileStore(StoreContract):
    @pytest.fixture(scope="class")
    def store_uri(self, mlruns):
        return str(mlruns)
