"""The counts of the long tests go where those of the promises go."""

from tests.promises.conftest import record_counts  # noqa: F401 - a fixture
