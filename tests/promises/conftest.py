"""Records how many cases the promise tests try, as lines of JSON in the file named by QUALIA_TEST_COUNTS."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def record_counts():
    """A function that appends one line to that file, or does nothing if the variable is not set.

    Its arguments are the fields of the line: promise (its number in DESIGN), kind (a short description of what was
    tried), tried, failed.
    """

    def record(promise: int, kind: str, tried: int, failed: int) -> None:
        path = os.environ.get("QUALIA_TEST_COUNTS")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"promise": promise, "kind": kind, "tried": tried, "failed": failed}) + "\n")

    return record
