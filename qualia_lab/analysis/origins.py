"""Where runs come from: the tags and datasets that say which code, environment and data made them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from qualia_lab.columns import texts_of
from qualia_lab.tables import rows_with

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# Tags that MLflow sets itself (mlflow.utils.mlflow_tags), and the name each has in a table.
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

# Tags that MLflow sets for itself begin so; of these a person writes one, the description.
BOOKKEEPING = "mlflow."
NOTE = "mlflow.note.content"


def origins(tables: RunTables) -> dict[str, dict[str, str]]:
    """For each run, what it says of its origin: one entry per tag of ORIGIN_TAGS and per dataset context.

    A dataset entry is named `dataset (training)` and holds `name @ digest`, several joined in the order of their names.
    A stored diff of uncommitted changes is told by its lines and the start of its SHA-256.
    """
    found: dict[str, dict[str, str]] = {run_id: {} for run_id in tables.run_ids}
    tags = rows_with(tables.tags, "key", ORIGIN_TAGS)
    for run_id, key, value in zip(*(texts_of(tags.column(name)) for name in ("run_id", "key", "value")), strict=True):
        found[run_id][ORIGIN_TAGS[key]] = _summary(value or "") if key == _DIFF else value or ""
    datasets: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in tables.datasets.to_pylist():
        datasets[row["run_id"], row["context"] or "no context"].add(f"{row['name']} @ {row['digest']}")
    for (run_id, context), names in datasets.items():
        found[run_id][f"dataset ({context})"] = ", ".join(sorted(names))
    return found


def _summary(diff: str) -> str:
    digest = hashlib.sha256(diff.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{len(diff.splitlines()):,} lines, {digest}"
