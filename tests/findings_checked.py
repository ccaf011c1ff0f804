"""The findings on stores of third parties, with run names abbreviated, as listed in docs/findings_checked.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab import NotebookGenerator, load_runs

if TYPE_CHECKING:
    from pathlib import Path

STORES = (
    "cr21-hpo/logs/mlruns",
    "packt-hyperparameter-tuning/mlruns",
    "promptchain-examples/mlruns",
    "pycaret-tutorials/tutorials/mlruns",
    "stock-quant/mlruns",
    "torch-points3d/mlruns",
)
_LONGEST = 14  # characters of a name


def findings_of(folder: Path, store: str) -> list[tuple[str, str]]:
    """Rule and sentence of every finding on all active runs of a store, except what was not examined."""
    uri = str(folder / store)
    runs = load_runs(uri, NotebookGenerator(uri).select().run_ids)
    names = {name for name in runs.tables.runs.column("run_name").to_pylist() if name}
    return [(one.rule, _abbreviated(one.sentence, names)) for one in runs.find({}) if one.kind != "not examined"]


def _abbreviated(sentence: str, names: set[str]) -> str:
    for name in sorted(names, key=len, reverse=True):
        if len(name) > _LONGEST:
            sentence = sentence.replace(name, f"{name[: _LONGEST - 1]}…")
    return sentence
