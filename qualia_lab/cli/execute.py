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
@options.no_cache
@options.debug
def command(notebook: Path, tracking_uri: str | None, timeout: float, formats: tuple[str, ...]) -> None:
    """Run the cells of NOTEBOOK on its runs as they are now; the outputs go into the same file."""
    from qualia_lab.cli.new import show_made
    from qualia_lab.generator import NotebookGenerator

    generator = NotebookGenerator(tracking_uri or tracking_uri_of(notebook))
    with console.progress("executing", "cells") as advance:
        generator.execute(notebook, formats=formats, timeout=timeout, on_cell=advance)
    show_made(notebook, formats)


def tracking_uri_of(notebook: Path) -> str:
    """Where the notebook says that its runs are, with the password of MLFLOW_TRACKING_URI if that is the same place.

    A relative path is meant from the notebook's folder, as for its cells.
    Raises NotebookError when the file is no notebook, or says nothing of it.
    """
    from qualia_lab.errors import NotebookError
    from qualia_lab.notebook.parameters import read_parameters
    from qualia_lab.stores.uri import lasting_uri, with_credentials

    uri = read_parameters(notebook).get("TRACKING_URI")
    if not isinstance(uri, str):
        raise NotebookError(
            f"{notebook} does not say where its runs are: it has no TRACKING_URI in a cell tagged parameters.",
            "Pass --tracking-uri, or run it with: jupyter execute",
        )
    return lasting_uri(with_credentials(uri).full, notebook.parent)
