"""Where runs come from: the tags and datasets that say which code, environment and data made them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qualia_lab.tables import RunTables

# Tags that MLflow sets itself (mlflow.utils.mlflow_tags), and the name each has in a table.
ORIGIN_TAGS = {
    "mlflow.source.name": "source",
    "mlflow.source.type": "source type",
    "mlflow.source.git.commit": "git commit",
    "mlflow.source.git.branch": "git branch",
    "mlflow.source.git.repoURL": "git repository",
    "mlflow.project.entryPoint": "entry point",
    "mlflow.docker.image.name": "docker image",
    "mlflow.user": "user",
}


def origins(tables: RunTables) -> dict[str, dict[str, str]]:
    """For each run, what it says of its origin: one entry per tag of ORIGIN_TAGS and per dataset context.

    A dataset entry is named `dataset (training)` and holds `name @ digest`, several joined in the order of their names.
    """
    found: dict[str, dict[str, str]] = {run_id: {} for run_id in tables.run_ids}
    for row in tables.tags.to_pylist():
        if row["key"] in ORIGIN_TAGS:
            found[row["run_id"]][ORIGIN_TAGS[row["key"]]] = row["value"]
    datasets: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in tables.datasets.to_pylist():
        datasets[row["run_id"], row["context"] or "no context"].add(f"{row['name']} @ {row['digest']}")
    for (run_id, context), names in datasets.items():
        found[run_id][f"dataset ({context})"] = ", ".join(sorted(names))
    return found


def differing(entries: dict[str, dict[str, str]]) -> list[str]:
    """The names of the entries that are not alike in all runs, sorted; a missing one is a difference."""
    names = sorted({name for entry in entries.values() for name in entry})
    return [name for name in names if len({entry.get(name) for entry in entries.values()}) > 1]
