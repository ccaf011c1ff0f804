"""What the suites of promises tried is counted, for whoever asks with QUALIA_TEST_COUNTS=FILE."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def record_counts():
    """`record_counts(promise, kind, tried, failed)` appends a JSON line to the file that QUALIA_TEST_COUNTS names."""

    def record(promise: str, kind: str, tried: int, failed: int) -> None:
        path = os.environ.get("QUALIA_TEST_COUNTS")
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"promise": promise, "kind": kind, "tried": tried, "failed": failed}) + "\n")

    return record
