"""`qualia verify`: whether a bundle is as it was made, and its figures follow from its data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.counts import counted

if TYPE_CHECKING:
    from qualia_lab.bundle.verify import Verification

_MOST_LISTED = 20


@click.command(
    "verify",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia verify churn_2026-11-23.zip",
        "qualia verify churn_2026-11-23.zip --no-execute",
    ),
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--no-execute", "execute", is_flag=True, flag_value=False, default=True,
              help="Compare the files only. Otherwise the code of the notebook is run.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON for programs.")
@options.timeout
@options.debug
def command(bundle: Path, execute: bool, as_json: bool, timeout: float) -> None:
    """Verify that each file of BUNDLE is as recorded, and that its notebook gives the same outputs on its data.

    The notebook is executed in a temporary copy, without a network, and BUNDLE is not changed. Its code runs with your
    rights: use --no-execute for a bundle of somebody whom you do not trust. The exit code is 1 if anything differs.
    """
    from qualia_lab.bundle.verify import verify_bundle
    from qualia_lab.errors import BundleDiffers

    with console.progress("executing", "cells") as advance:
        found = verify_bundle(bundle, execute=execute, timeout=timeout, on_cell=advance)
    if as_json:
        console.show(json.dumps({"bundle": str(bundle), "holds": found.holds, **asdict(found)}))
    else:
        _show(bundle, found)
    if not found.holds:
        raise BundleDiffers(
            f"{bundle} is not as recorded: {_counts(found)}.",
            "Install the recorded versions and verify it again." if found.versions else "Ask for another copy.",
        )


def _counts(found: Verification) -> str:
    """What differs, as in `1 file and 2 cells`; at least a cell failed."""
    counts = [(len(found.files), "file"), (len(found.cells), "cell")]
    differ = " and ".join(counted(number, what) for number, what in counts if number)
    if not differ:
        return "a cell fails"
    return f"{differ} {'differs' if sum(number for number, _ in counts) == 1 else 'differ'}"


def _show(bundle: Path, found: Verification) -> None:
    """Print what differs, and what was compared."""
    for file in found.files[:_MOST_LISTED]:
        name = file.file or str(bundle)
        console.show(f"{name}: {file.state}" + (f" ({file.what})" if file.what else ""))
    if found.failure is not None:
        console.show(found.failure)
    for cell in found.cells[:_MOST_LISTED]:
        console.show(f"cell {cell.number}, {cell.source}")
        console.show(f"  {cell.what}\n    recorded  {cell.recorded}\n    here      {cell.here}")
    for what, number in (("file", len(found.files)), ("cell", len(found.cells))):
        if number > _MOST_LISTED:
            console.show(f"and {counted(number - _MOST_LISTED, f'more {what}')}; --json names all")
    if found.versions:
        console.say("These versions are not the recorded ones, so figures and the page may differ:")
        for name, (recorded, here) in found.versions.items():
            console.say(f"  {name}: {recorded or 'none'} recorded, {here or 'none'} here")
    if found.holds:
        ran = "; running the notebook on its data gives the same outputs" if found.executed else ""
        console.show(f"{bundle} is as recorded: {counted(found.compared, 'file')}{ran}")
        if not found.executed:
            console.say("The notebook was not executed, so it is not known whether its figures follow from its data.")
    elif not found.executed:
        console.say("The notebook was not executed.")
