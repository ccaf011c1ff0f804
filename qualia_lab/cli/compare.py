"""`qualia compare A B`: is the comparison isolated, is there a difference, and what else differs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.errors import ForbiddenFinding

if TYPE_CHECKING:
    from qualia_lab.analysis.compare import SideComparison
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

# The verdicts that each value of --fail-unless accepts.
_ACCEPTED_VERDICTS = {"better": ("better",), "not-worse": ("better", "not told apart")}


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
@options.selection_options
@options.limit
@options.study_options
@click.option("--claimed", metavar="PARAM", help="What you believe to be the only difference: a param or a tag.")
@click.option(
    "--fail-unless",
    type=click.Choice(sorted(_ACCEPTED_VERDICTS)),
    help="Exit with code 55 unless A is better, or unless it is better than B or cannot be distinguished from it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object for programs.")
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

    The other flags select the runs among which they are searched. The exit code is 0 whatever the result, unless
    --fail-unless is given.
    """
    from qualia_lab.cli.output import plain_json
    from qualia_lab.runs import Runs

    generator = options.open_generator(tracking_uri, show_secrets=show_secrets)
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(replace(conditions, limit=limit), settings)
        tables = generator.read(selection)
        runs = Runs(generator.store_of(selection), tables, generator.describe(selection, settings))
        # The study knows the metric, or it is the key of several series, of which the objective is the first.
        metric = settings.metric if settings.metric in tables.metrics.column("key").to_pylist() else None
        comparison = runs.compare(a, b, metric=metric, claimed=claimed)
    if as_json:
        console.show(json.dumps(plain_json(comparison.as_data()), allow_nan=False))
    else:
        for sentence in comparison.sentences:
            console.sentence(sentence)
    notes.print_notes(selection, tables)
    if fail_unless is not None:
        _check_verdict(comparison, fail_unless)


def _check_verdict(comparison: SideComparison, fail_unless: str) -> None:
    """Raise ForbiddenFinding unless --fail-unless accepts the verdict."""
    if comparison.verdict not in _ACCEPTED_VERDICTS[fail_unless]:
        raise ForbiddenFinding(
            f"--fail-unless {fail_unless}: by {comparison.metric}, A compared with B is: {comparison.verdict}.",
            "Look at the runs, or repeat them with other seeds.",
        )
