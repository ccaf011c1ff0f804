"""`qualia compare A B`: is the comparison isolated, is there a difference, and what else differs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.errors import ForbiddenFinding

if TYPE_CHECKING:
    from qualia_lab.analysis.compare import SideComparison
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

# What each word of --fail-unless lets pass.
_PASSES = {"better": ("better",), "not-worse": ("better", "not told apart")}


@click.command(
    "compare",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia compare 1f0c… 77ab…",
        "qualia compare attention=full attention=none --claimed attention",
        "qualia compare lr=0.01 \"params.lr = '0.1' AND params.depth > 3\" --metric val_auc --json",
        "qualia compare candidate baseline --experiment churn --fail-unless not-worse",
    ),
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@options.tracking_uri
@options.which_runs
@options.limit
@options.how_to_look
@click.option("--claimed", metavar="PARAM", help="What you believe to be the only difference: a param or a tag.")
@click.option(
    "--fail-unless",
    type=click.Choice(sorted(_PASSES)),
    help="Exit with code 55 unless A is better, or unless it is better or cannot be told from B.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it, as one JSON object for programs.")
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    a: str,
    b: str,
    tracking_uri: str | None,
    conditions: Conditions,
    limit: int | None,
    settings: StudySettings,
    claimed: str | None,
    fail_unless: str | None,
    as_json: bool,
    show_secrets: bool,
) -> None:
    """Compare two sides, A and B: each a run's id, a run's name, KEY=VALUE of a param or tag, or a filter.

    The other flags say among which runs they are looked for. Whatever the answer is, the exit code is 0, unless
    --fail-unless asks for another.
    """
    from qualia_lab.cli.output import plain_json
    from qualia_lab.masking.tables import masked_keys
    from qualia_lab.runs import Runs

    generator = options.open_generator(tracking_uri, show_secrets=show_secrets)
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(replace(conditions, limit=limit), settings)
        runs = Runs(generator.store, generator.read(selection), generator.describe(selection, settings))
        found = runs.compare(a, b, metric=settings.metric, claimed=claimed)
    if as_json:
        console.show(json.dumps(plain_json(found.as_data()), allow_nan=False))
    else:
        for sentence in found.sentences:
            console.sentence(sentence)
        options.say_named(selection)
    tables = generator.read(selection)
    options.say_masked(masked_keys(tables))
    options.say_unread(tables)
    if fail_unless is not None:
        _fail(found, fail_unless)


def _fail(found: SideComparison, fail_unless: str) -> None:
    """Raise ForbiddenFinding where the verdict is none of those that pass."""
    if found.verdict not in _PASSES[fail_unless]:
        raise ForbiddenFinding(
            f"--fail-unless {fail_unless}: by {found.metric}, A against B is: {found.verdict}.",
            "Look at the runs, or repeat them with other seeds.",
        )
