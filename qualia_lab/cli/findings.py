"""`qualia findings`: what stands out among runs, for people, for programs, and for a job that is to fail on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import options
from qualia_lab.counts import counted
from qualia_lab.errors import ForbiddenFinding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.findings.finding import Finding, Severity
    from qualia_lab.selection import Conditions
    from qualia_lab.study.settings import StudySettings

SHOWN = 10  # sentences that a person is shown without asking for more
_COLOURS: dict[Severity, console.Colour] = {"problem": "red", "warning": "yellow", "note": "grey"}


@click.command(
    "findings",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia findings --experiment churn",
        "qualia findings --experiment churn --top 20 --by val_auc --seeds trial",
        "qualia findings --since '7 days ago' --json",
        "qualia findings --experiment churn --fail-on diverged --fail-on non_finite",
        "qualia findings --set spikes.deviations=20 --set plateau=off --fail-on problem",
    ),
)
@options.tracking_uri
@options.which_runs
@options.how_to_look
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help=f"Show N findings. Default: {SHOWN}.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="RULE.THRESHOLD=NUMBER",
    help="A threshold of a rule, or RULE=off. Repeatable. Before that counts [tool.qualia.findings] of pyproject.toml.",
)
@click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    metavar="RULE",
    help="Exit with code 55 when this rule finds something; also: problem, or warning (and worse). Repeatable.",
)
@options.data_format
@options.show_secrets
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str | None,
    conditions: Conditions,
    settings: StudySettings,
    limit: int | None,
    sets: tuple[str, ...],
    fail_on: tuple[str, ...],
    data_format: str | None,
    show_secrets: bool,
) -> None:
    """Say what stands out among runs: which diverged, overfit, were not finished, used other data, and more."""
    from qualia_lab.analysis.findings import RULES
    from qualia_lab.analysis.findings.settings import chosen_thresholds, parse_settings
    from qualia_lab.masking.tables import masked_keys
    from qualia_lab.runs import Runs
    from qualia_lab.settings import read_settings

    thresholds = _merged(dict(read_settings().study.findings), parse_settings(sets))
    chosen_thresholds(thresholds)  # before anything is read
    known = [*(rule.name for rule in RULES), "problem", "warning", "note"]
    for name in fail_on:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}.", param_hint="--fail-on")
    generator = options.open_generator(tracking_uri, show_secrets=show_secrets)
    with console.waiting(f"reading {generator.tracking_uri}"):
        selection = generator.choose(conditions, settings)
        tables = generator.read(selection)
        found = Runs(generator.store, tables, generator.describe(selection, settings)).find(thresholds)
    if data_format:
        _show_data(found, data_format)
    else:
        for finding in found[: limit or SHOWN]:
            _show(finding)
        console.say(
            f"showing {min(len(found), limit or SHOWN):,} of {counted(len(found), 'finding')} "
            f"on {counted(tables.runs.num_rows, 'run')} in {generator.tracking_uri}"
        )
    options.say_named(selection)
    options.say_masked(masked_keys(tables))
    options.say_unread(tables)
    _fail(found, fail_on)


def _show(finding: Finding) -> None:
    """A sentence behind the sign of its severity, and what to do next below it."""
    from qualia_lab.analysis.findings.finding import SIGNS

    console.sentence(f"{finding.rule}: {finding.sentence}", SIGNS[finding.severity], _COLOURS[finding.severity], 2)
    if finding.next:
        console.sentence(f"next: {finding.next}", indent=4)


def _show_data(found: Sequence[Finding], data_format: str) -> None:
    from qualia_lab.cli.output import show_csv, show_json
    from qualia_lab.runs.findings import COLUMNS, finding_rows

    rows = finding_rows(found)
    if data_format == "json":
        show_json(rows)
        return
    for row in rows:
        row["run_ids"] = " ".join(row["run_ids"])
        row["steps"] = " ".join(map(str, row["steps"]))
        row["keys"] = json.dumps(row["keys"])
        del row["numbers"]
    show_csv([name for name in COLUMNS if name != "numbers"], rows)


def _fail(found: Sequence[Finding], fail_on: Sequence[str]) -> None:
    """Raise ForbiddenFinding when a rule or severity that was named has found something."""
    severities = {"problem": {"problem"}, "warning": {"problem", "warning"}, "note": {"problem", "warning", "note"}}
    wrong = [
        finding
        for finding in found
        if any(finding.rule == name or finding.severity in severities.get(name, ()) for name in fail_on)
    ]
    if wrong:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in wrong))
        raise ForbiddenFinding(
            f"{counted(len(wrong), 'finding')} that --fail-on forbids: {rules}.",
            "Look at the runs, or set thresholds with --set.",
        )


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both, threshold by threshold; the second counts."""
    both = dict(first)
    for rule, settings in second.items():
        before = both.get(rule)
        both[rule] = {**before, **settings} if isinstance(before, dict) and isinstance(settings, dict) else settings
    return both
