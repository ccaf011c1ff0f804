"""`qualia execute`: run the cells of an existing notebook."""

from __future__ import annotations

from pathlib import Path

import click

from qualia_lab import console
from qualia_lab.cli import notes, options


@click.command(
    "execute",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia execute notebooks/churn_2026-11-23.ipynb",
        "qualia execute notebooks/churn_2026-11-23.ipynb --to html,pdf --timeout 60",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--tracking-uri", metavar="URI", help="The tracking URI of its runs. Default: that in the notebook.")
@options.timeout
@options.to("Also export, after executing")
@options.no_cache
@options.debug
def command(notebook: Path, tracking_uri: str | None, timeout: float, formats: tuple[str, ...]) -> None:
    """Run the cells of NOTEBOOK with the current state of its runs; the outputs are written to the same file."""
    from qualia_lab.cli.outputs import show_outputs
    from qualia_lab.generator import NotebookGenerator
    from qualia_lab.notebook.export import check_formats
    from qualia_lab.notebook.parameters import privacy_in, read_parameters

    check_formats(formats)
    privacy = privacy_in(read_parameters(notebook))
    generator = NotebookGenerator(tracking_uri or tracking_uri_of(notebook), **privacy)
    with console.progress("executing", "cells") as advance:
        generator.execute(notebook, formats=formats, timeout=timeout, on_cell=advance)
    notes.print_left_out(generator.store)
    show_outputs(notebook, formats)


def tracking_uri_of(notebook: Path) -> str:
    """The tracking URI in a notebook, with the password of MLFLOW_TRACKING_URI if that is the same store.

    A relative path is relative to the notebook's folder, as for its cells.

    Args:
        notebook: the path of a notebook.

    Raises:
        NotebookError: the file is not a notebook, or has no tracking URI.
    """
    from qualia_lab.errors import NotebookError
    from qualia_lab.notebook.parameters import read_parameters
    from qualia_lab.stores.uri import absolute_uri, with_credentials

    uri = read_parameters(notebook).get("TRACKING_URI")
    if not isinstance(uri, str):
        raise NotebookError(
            f"{notebook} has no TRACKING_URI in a cell tagged parameters.",
            "Pass --tracking-uri, or run it with: jupyter execute",
        )
    return absolute_uri(with_credentials(uri).full, notebook.parent)
