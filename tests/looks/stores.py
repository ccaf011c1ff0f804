"""Stores of demo runs in any number, the same for the same number, with long names among the short ones; and GenAI."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qualia_lab.scripts.create_demo_runs import write_story
from qualia_lab.scripts.demo_story import generate_story
from qualia_lab.scripts.genai_story import generate_genai_story
from qualia_lab.scripts.genai_writing import write_genai_story
from qualia_lab.stores.writing import find_or_create_experiment
from tests.stores.empty import new_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow import MlflowClient

EXPERIMENT = "churn"
GENAI_EXPERIMENT = "docs-assistant"
# The time that the runs end before, so that two stores of one count differ in nothing.
_NOW = 1_760_000_000_000
_LONG_NAME_EVERY = 5
_TAGS = {
    "mlflow.experiment.primaryMetric.name": "val_auc",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    "mlflow.note.content": "Which customers leave within a month?",
}


def demo_store(folder: Path, count: int) -> str:
    """The tracking URI of a store of that many runs in the folder, which is written if it is not there.

    The runs are those of `create-demo-runs`: seeds, learning curves, pictures, a sweep with its parent, failures, a
    run that diverges to NaN and one that is still running. Every fifth has a name as long as those of a sweep tool.
    """

    def write(client: MlflowClient, uri: str) -> None:
        story = [
            run if index % _LONG_NAME_EVERY else replace(run, name=f"customer-churn/2026/hyperparameters/{run.name}")
            for index, run in enumerate(generate_story(count), 1)
        ]
        write_story(client, find_or_create_experiment(client, uri, EXPERIMENT, _TAGS), story, now=_NOW)

    return _written(folder / f"{count}-runs", write)


def genai_store(folder: Path) -> str:
    """The tracking URI of a store of `create-demo-runs --genai` in the folder, which is written if it is not there."""

    def write(client: MlflowClient, uri: str) -> None:
        experiment_id = find_or_create_experiment(client, uri, GENAI_EXPERIMENT, {})
        write_genai_story(client, uri, experiment_id, generate_genai_story(0), now=_NOW)

    return _written(folder / "genai", write)


def _written(folder: Path, write: Callable[[MlflowClient, str], None]) -> str:
    """The URI of the store in the folder, written under another name first, so that it is whole."""
    path = folder / "mlflow.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        uri = f"sqlite:///{unfinished}"
        write(new_client(uri), uri)
        unfinished.rename(path)
    return f"sqlite:///{path}"
