"""HttpStore against a real `mlflow server`, and against servers that misbehave."""

from __future__ import annotations

import pytest

from .contract import StoreContract


class TestHttpStore(StoreContract):
    @pytest.fixture(scope="class")
    def store_uri(self, mlflow_server):
        return mlflow_server
