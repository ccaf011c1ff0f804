"""`qualia study`: tasks, objective, factors and repeats of runs, and which runs take part in no comparison."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.console_table import Column

if TYPE_CHECKING:
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings
    from qualia_lab.study.study import Factor, Study

SHOWN = 25  # params and tags in the table; the others are only counted
LEVELS = 6  # values listed of a param or tag


@click.command(
    "study",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia study --experiment churn",
        "qualia study --experiment 'churn*' --pool --metric val_auc",
        "qualia study --experiment churn --seeds trial --label out_dir --json",
    ),
)
@options.tracking_uri
@options.selection_options
@options.limit
@options.study_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object for programs.")
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    conditions: Conditions,
    limit: int | None,
    settings: StudySettings,
    as_json: bool,
    show_secrets: bool,
) -> None:
    """Show how runs are interpreted, and why: the objective, the factors, the seeds, and the runs left out."""
    from dataclasses import replace

    from qualia_lab.cli.output import plain_json
    from qualia_lab.study.as_data import study_as_data

    generator = options.open_generator(tracking_uri, show_secrets=show_secrets)
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(replace(conditions, limit=limit), settings)
        study = generator.describe(selection, settings)
    tables = generator.read(selection)
    if as_json:
        console.show(json.dumps(plain_json(study_as_data(study, tables)), allow_nan=False))
    else:
        names = dict(zip(*(tables.runs.column(name).to_pylist() for name in ("run_id", "run_name")), strict=True))
        show_study(study, {run_id: name or run_id for run_id, name in names.items()})
    notes.print_notes(selection, tables)


def show_study(study: Study, names: dict[str, str]) -> None:
    """Print the sentences under their headings, and a table of params and tags."""
    from qualia_lab.study.sentences import sentences_of

    for heading, lines in sentences_of(study, names):
        console.show(heading)
        for line in lines:
            console.sentence(line, indent=2)
    roles = ("factor", "tied", "seed", "label", "constant")
    rows = sorted((*study.params, *study.tags), key=lambda factor: roles.index(factor.role))
    if not rows:
        return
    console.show("Params and tags")
    console.table(
        [
            Column("name", name=True),
            Column("what it is"),
            Column("from"),
            Column("values", right=True),
            Column("such as"),
        ],
        [_row(factor, study) for factor in rows[:SHOWN]],
    )
    if len(rows) > SHOWN:
        console.say(f"and {len(rows) - SHOWN:,} more; --json has them.")


def _row(setting: Factor, study: Study) -> tuple[str, ...]:
    from qualia_lab.study.sentences import SOURCE_TEXT, levels_of, listed

    role = f"goes with {setting.tied_to}" if setting.role == "tied" else setting.role
    if setting.role == "constant" and setting.values > 1:
        role = "constant in each task"
    return (
        setting.name,
        role,
        SOURCE_TEXT[setting.source],
        f"{setting.values:,}",
        listed(levels_of(study, setting.name), LEVELS),
    )
