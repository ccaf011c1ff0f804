"""`qualia export`: other formats of a notebook that is there."""

from __future__ import annotations

from pathlib import Path

import click

from qualia_lab import console
from qualia_lab.cli import options


@click.command(
    "export",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia export notebooks/churn_2026-11-23.ipynb --to html,pdf --no-code",
        "qualia export notebooks/churn_2026-11-23.ipynb --to md --brief --output comment.md",
    ),
)
@click.argument("notebook", type=click.Path(path_type=Path))
@options.to("The formats", required=True)
@click.option("--no-code", "code", is_flag=True, flag_value=False, default=True, help="For readers: without the code.")
@click.option("--brief", is_flag=True, help="With --to md: the headline, the findings and one chart.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="The file to write, with one format. Default: beside the notebook, with its name.")  # fmt: skip
@options.debug
def command(notebook: Path, formats: tuple[str, ...], code: bool, brief: bool, output: Path | None) -> None:
    """Export NOTEBOOK as it is, with the outputs that it has; existing exports of the same name are replaced."""
    from qualia_lab.cli.outputs import show_exports
    from qualia_lab.notebook.export import export_notebook
    from qualia_lab.notebook.formats.format import Options

    if output is not None and len(formats) != 1:
        raise click.UsageError("--output names the file of one format.", click.get_current_context())
    with console.waiting(f"exporting {notebook}"):
        exports = export_notebook(notebook, formats, output=output, options=Options(code=code, brief=brief))
    show_exports(exports, formats)
