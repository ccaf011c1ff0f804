"""`qualia bundle`: write a notebook with all data that it uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.counts import and_more, counted

if TYPE_CHECKING:
    from qualia_lab.bundle.write import WrittenBundle


@click.command(
    "bundle",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia bundle notebooks/churn_2026-11-23.ipynb",
        "qualia bundle notebooks/churn_2026-11-23.ipynb --output for-ben",
        "qualia verify notebooks/churn_2026-11-23.zip",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="FOLDER|FILE.zip",
              help="What to write. Default: a zip file beside the notebook, with its name.")  # fmt: skip
@click.option("--tracking-uri", metavar="URI", help="The tracking URI of its store. Default: that in the notebook.")
@click.option("--force", is_flag=True, help="Replace an existing file, or a folder that is a bundle.")
@options.timeout
@options.no_cache
@options.debug
def command(notebook: Path, output: Path | None, tracking_uri: str | None, force: bool, timeout: float) -> None:
    """Write NOTEBOOK, its page and a snapshot of the data that it uses to one zip file or folder.

    The runs or traces are read anew, and the cells run on them, without the store and without a network. Somebody else
    can run them again with qualia-lab alone, and verify that nothing was changed. NOTEBOOK itself is not changed.
    """
    from qualia_lab.bundle.write import write_bundle
    from qualia_lab.cli.execute import tracking_uri_of

    with console.progress("executing", "cells") as advance:
        written = write_bundle(
            notebook,
            output,
            tracking_uri=tracking_uri or tracking_uri_of(notebook),
            force=force,
            timeout=timeout,
            on_cell=advance,
        )
    _show(notebook, written)


def _show(notebook: Path, written: WrittenBundle) -> None:
    """Print what the bundle holds and how it differs from the notebook, then where it is and what to do next."""
    from qualia_lab.escaping import for_shell

    manifest = written.manifest
    artifacts = f", {counted(manifest.rows.get('artifact_starts', 0), 'artifact')}" if manifest.run_ids else ""
    console.say(f"{manifest.content}{artifacts}: {written.bytes / 1e6:,.1f} MB")
    for sentence in written.left_out:
        console.say(sentence)
    notes.print_masked(written.manifest.masked)
    if written.changed:
        cells = and_more([str(cell.number) for cell in written.changed], 10)
        console.say(f"Other outputs than in {notebook}, in {counted(len(written.changed), 'cell')}: {cells}")
    console.show(str(written.path))
    console.say(f"next: qualia verify {for_shell(str(written.path))}")
