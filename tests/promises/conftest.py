"""The counts of what the suites of promises try, as lines of JSON in the file that QUALIA_TEST_COUNTS names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def record_counts():
    """A function that appends one line to that file; without the variable it does nothing.

    Its arguments are the line: promise (its number in DESIGN), kind (what was tried, in a few words), tried, failed.
    """

    def record(promise: int, kind: str, tried: int, failed: int) -> None:
        path = os.environ.get("QUALIA_TEST_COUNTS")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"promise": promise, "kind": kind, "tried": tried, "failed": failed}) + "\n")

    return record
