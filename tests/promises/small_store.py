"""An mlruns folder of a few runs, whose every value says of which run and key it is, and commands on a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.stores.mlruns import write, write_experiment, write_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STEPS = 5


def run_id_of(number: int) -> str:
    """The id of the run of this number, from 1 on."""
    return f"{number:032x}"


def value_of(number: int, step: int = STEPS - 1) -> float:
    """What the run of this number logged as val_auc at this step."""
    return round(0.5 + number / 100 + step / 1000, 6)


def write_small_store(root: Path, runs: int = 3) -> list[str]:
    """Write the store; the ids of its runs, the oldest first. Each has an artifacts folder with one file."""
    experiment = write_experiment(root, name="small")
    for number in range(1, runs + 1):
        start = 1_760_000_000_000 + 60_000 * number
        artifacts = experiment / run_id_of(number) / "artifacts"
        write_run(
            experiment,
            run_id_of(number),
            params={"lr": f"0.{number:04}"},
            metrics={"val_auc": [(start + step, value_of(number, step), step) for step in range(STEPS)]},
            run_name=f"run {number}",
            start_time=start,
            end_time=start + 30_000,
            artifact_uri=str(artifacts),
        )
        write(artifacts / "notes.txt", f"notes of run {number}\n")
    return [run_id_of(number) for number in range(1, runs + 1)]


def words_of(template: Sequence[str], store: object, out: Path) -> list[str]:
    """The words of a command, with STORE and OUT replaced by a store and the folder for results."""
    return [word.replace("STORE", str(store)).replace("OUT", str(out)) for word in template]
