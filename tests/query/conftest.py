"""A store with unusual values, created once for all tests of the query language.

QUALIA_TEST_QUERIES is how many filters are made up in each of these tests; `make soak` sets more.
"""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from mlflow import MlflowClient

from tests.query.odd_runs import write_odd_runs
from tests.stores.mlflow_oracle import MlflowOracle

QUERIES = int(os.environ.get("QUALIA_TEST_QUERIES", "100"))
settings.register_profile(
    "meaning", deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=QUERIES
)


class Odd:
    """The odd runs: MLflow's client, a SQLAlchemy engine, and the tables as MLflow's client reads them."""

    def __init__(self, path) -> None:
        self.uri = f"sqlite:///{path}"
        write_odd_runs(self.uri)
        self.client = MlflowClient(self.uri)
        self.experiment_ids = [experiment.experiment_id for experiment in self.client.search_experiments()]
        self.engine = sa.create_engine(self.uri)
        oracle = MlflowOracle(self.uri)
        self.tables = oracle.read(oracle.runs().column("run_id").to_pylist())
        self.history = oracle.history(self.tables.run_ids).sort_by(
            [(name, "ascending") for name in ("run_id", "key", "step", "timestamp", "value")]
        )

    def search(self, text: str, order_by: list[str] | None = None) -> list[str]:
        runs = self.client.search_runs(self.experiment_ids, text, order_by=order_by or None)
        return [run.info.run_id for run in runs]

    def read_history(self, run_ids: list[str], keys: list[str]) -> list[pa.RecordBatch]:
        """Read histories in small batches, so that a history spans several of them."""
        is_requested = pc.and_(
            pc.is_in(self.history.column("run_id"), pa.array(run_ids)),
            pc.is_in(self.history.column("key"), pa.array(keys)),
        )
        return self.history.filter(is_requested).to_batches(max_chunksize=3)


@pytest.fixture(scope="session")
def odd(tmp_path_factory) -> Odd:
    return Odd(tmp_path_factory.mktemp("odd") / "mlflow.db")
