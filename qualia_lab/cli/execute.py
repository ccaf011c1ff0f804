"""`qualia execute`: run the cells of a notebook that is there."""

from __future__ import annotations

from pathlib import Path

import click

from qualia_lab import console
from qualia_lab.cli import options


@click.command(
    "execute",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia execute notebooks/churn_2026-11-23.ipynb",
        "qualia execute notebooks/churn_2026-11-23.ipynb --to html --timeout 60",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--tracking-uri", metavar="URI", help="Where its runs are now. Default: where the notebook says.")
@options.timeout
@options.to
@options.debug
def command(notebook: Path, tracking_uri: str | None, timeout: float, formats: tuple[str, ...]) -> None:
    """Run the cells of NOTEBOOK on its runs as they are now; the outputs go into the same file."""
    from qualia_lab.cli.new import show_made
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.notebook.parameters import read_parameters

    uri = tracking_uri or read_parameters(notebook).get("TRACKING_URI")
    generator = NotebookGenerator(uri if isinstance(uri, str) else None)
    with console.progress("executing", "cells") as advance:
        generator.execute(notebook, timeout=timeout, on_cell=advance)
    made = [(notebook, "the notebook")]
    made += [(generator.export(notebook, fmt), "one file, works offline") for fmt in formats]
    show_made(made)
