"""The counts of the tests of the promises."""

from __future__ import annotations

import pytest

from tests.counting import record_count


@pytest.fixture(scope="session")
def record_counts():
    """The function that records how many cases were tried, and how many of them failed."""
    return record_count
