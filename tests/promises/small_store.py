"""An mlruns folder of a few runs, whose every value says of which run and key it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .planted_secrets import write

if TYPE_CHECKING:
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
    write(root / "1" / "meta.yaml", "experiment_id: '1'\nname: small\nlifecycle_stage: active\n")
    for number in range(1, runs + 1):
        folder = root / "1" / run_id_of(number)
        start = 1_760_000_000_000 + 60_000 * number
        write(
            folder / "meta.yaml",
            f"run_id: {run_id_of(number)}\nexperiment_id: '1'\nrun_name: run {number}\nstatus: 3\n"
            f"start_time: {start}\nend_time: {start + 30_000}\nartifact_uri: {folder / 'artifacts'}\n",
        )
        write(folder / "params" / "lr", f"0.{number:04}")
        points = (f"{start + step} {value_of(number, step)} {step}\n" for step in range(STEPS))
        write(folder / "metrics" / "val_auc", "".join(points))
        write(folder / "artifacts" / "notes.txt", f"notes of run {number}\n")
    return [run_id_of(number) for number in range(1, runs + 1)]
