"""Records how many cases are tried, as lines of JSON in the file named by QUALIA_TEST_COUNTS."""

from __future__ import annotations

import json
import os
from pathlib import Path


def record_count(promise: int, kind: str, tried: int, failed: int) -> None:
    """Append one line to that file, or do nothing if the variable is not set.

    Args:
        promise: its number in the design.
        kind: a short description of what was tried.
        tried: how often.
        failed: how many of these failed.
    """
    path = os.environ.get("QUALIA_TEST_COUNTS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"promise": promise, "kind": kind, "tried": tried, "failed": failed}) + "\n")
