"""`qualia templates`: the templates by name, and copies of them to change."""

from __future__ import annotations

from pathlib import Path

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.console_table import Column
from qualia_lab.counts import counted


@click.group(
    "templates",
    context_settings=options.SETTINGS,
    invoke_without_command=True,
    subcommand_metavar="[copy NAME FILE]",
    epilog=options.examples(
        "qualia templates",
        "qualia templates copy observe notebooks/templates/mine.py",
        "qualia new --template mine",
    ),
)
@options.data_format
@options.debug
@click.pass_context
def command(context: click.Context, *, data_format: str | None) -> None:
    """List the templates: built-in ones, those of the project, and those that installed packages add.

    Those of the project are the names in [tool.qualia.templates] of pyproject.toml and the files in
    notebooks/templates. Sections, rules and previews of installed packages that cannot be used are named, too.
    """
    if context.invoked_subcommand is not None:
        return
    from qualia_lab.analysis.findings import rule_faults
    from qualia_lab.charts.previews.added import preview_faults
    from qualia_lab.notebook.template import list_templates
    from qualia_lab.sections.added import section_faults

    templates, errors = list_templates()
    errors += map(str, (*section_faults(), *rule_faults(), *preview_faults()))
    rows = [{"template": one.name, "from": one.origin, "description": text} for one, text in templates]
    if data_format:
        from qualia_lab.cli.output import show_csv, show_json

        show_json(rows) if data_format == "json" else show_csv(["template", "from", "description"], rows)
    else:
        columns = [Column("template", name=True), Column("from", name=True), Column("what it is for")]
        console.table(columns, [tuple(row.values()) for row in rows])
        console.say(f"{counted(len(rows), 'template')}; a copy to change: qualia templates copy NAME FILE")
    for error in errors:
        console.sentence(error, "error:", "red", is_message=True)


@command.command("copy", context_settings=options.SETTINGS)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that already exists.")
@options.debug
def copy(*, name: str, file: Path, force: bool) -> None:
    """Copy the template NAME to FILE, for you to change.

    Each empty cell that names a section gets a comment with the title of the section, so that Jupyter shows what it is.
    """
    from qualia_lab.errors import OutputExists
    from qualia_lab.escaping import for_shell
    from qualia_lab.files import check_writable, write_atomically
    from qualia_lab.notebook.copied_template import copied_template
    from qualia_lab.notebook.template import read_template_file

    template = read_template_file(name)
    file = file if file.suffix else file.with_suffix(template.suffix)
    if file.suffix != template.suffix:
        message = f"the template {name} is a {template.suffix} file, and {file} is not named like one."
        raise click.BadParameter(message, param_hint="FILE")
    check_writable(file)
    if file.exists() and not force:
        raise OutputExists(f"{file} already exists.", "Add --force to replace it, or choose another file.")
    write_atomically(file, copied_template(template).encode())
    console.show(str(file))
    console.say(f"next: change it, then qualia new --template {for_shell(str(file))}")
