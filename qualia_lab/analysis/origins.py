"""The origin of runs: the tags and datasets that record which code, environment and data produced them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# Tags that MLflow sets itself (mlflow.utils.mlflow_tags), with the column name of each.
ORIGIN_TAGS = {
    "mlflow.source.name": "source",
    "mlflow.source.type": "source type",
    "mlflow.source.git.commit": "git commit",
    "mlflow.source.git.branch": "git branch",
    "mlflow.source.git.repoURL": "git repository",
    "mlflow.source.git.dirty": "git dirty",
    "mlflow.source.git.diff": "git diff",
    "mlflow.project.entryPoint": "entry point",
    "mlflow.docker.image.name": "docker image",
    "mlflow.user": "user",
}
_DIFF = "mlflow.source.git.diff"

# The prefix of the tags that MLflow sets for itself; among these only the description is written by a user.
BOOKKEEPING = "mlflow."
NOTE = "mlflow.note.content"


def origins(tables: RunTables) -> dict[str, dict[str, str]]:
    """The origin of each run: one entry per tag of ORIGIN_TAGS and per dataset context.

    A dataset entry is named `dataset (training)` and holds `name @ digest`, several of them sorted and joined. A stored
    diff of uncommitted changes is summarised by its number of lines and the start of its SHA-256.

    Args:
        tables: the tables of the runs.

    Returns:
        The entries of each run, by run id and then by name.
    """
    entries: dict[str, dict[str, str]] = {run_id: {} for run_id in tables.run_ids}
    tags = rows_with(tables.tags, "key", ORIGIN_TAGS)
    for run_id, key, value in zip(*(texts_of(tags.column(name)) for name in ("run_id", "key", "value")), strict=True):
        entries[run_id][ORIGIN_TAGS[key]] = _summary(value or "") if key == _DIFF else value or ""
    datasets: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in tables.datasets.to_pylist():
        datasets[row["run_id"], row["context"] or "no context"].add(f"{row['name']} @ {row['digest']}")
    for (run_id, context), names in datasets.items():
        entries[run_id][f"dataset ({context})"] = ", ".join(sorted(names))
    return entries


def _summary(diff: str) -> str:
    """The number of lines of a diff and the start of its SHA-256."""
    digest = hashlib.sha256(diff.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{len(diff.splitlines()):,} lines, {digest}"
