"""`qualia snapshot`: write the tables of a store as Parquet files, which can be read as a store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.cli import notes, options
from qualia_lab.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from qualia_lab.selection import Conditions
    from qualia_lab.stores.protocol import TrackingStore
    from qualia_lab.stores.snapshot.genai import GenAIChoice
    from qualia_lab.stores.snapshot.update import Update

# What the summary names only if there is any.
_SAID_IF_ANY = (("model_versions", "model version"), ("traces", "trace"))


@click.command(
    "snapshot",
    context_settings=options.SETTINGS,
    epilog=options.examples(
        "qualia snapshot sqlite:///mlflow.db runs-of-2026",
        "qualia snapshot http://localhost:5000 s3://bucket/churn --experiment churn",
        "qualia new --tracking-uri snapshot:runs-of-2026",
    ),
)
@click.argument("tracking_uri", metavar="URI")
@click.argument("out", metavar="OUT")
@options.selection_options
@options.limit
@click.option("--artifacts", is_flag=True, help="Also store the beginnings of artifacts that previews need.")
@click.option("--again", is_flag=True, help="Read every run again, also those that look unchanged.")
@click.option("--force", is_flag=True, help="Replace a snapshot of another store, or of other runs.")
@click.option("--json", "as_json", is_flag=True, help="Print what it holds and what was read, as JSON for programs.")
@options.privacy
@options.no_cache
@options.debug
def command(
    *,
    tracking_uri: str,
    out: str,
    conditions: Conditions,
    limit: int | None,
    artifacts: bool,
    again: bool,
    force: bool,
    as_json: bool,
    redact: bool | None,
    content: bool | None,
) -> None:
    """Write the runs of the store at URI to OUT, a folder or a URL that fsspec supports, as Parquet files.

    Without flags all runs are written, including deleted ones. A later call reads only runs that are new or have
    changed.
    """
    from qualia_lab.query.secret_values import masked_conditions
    from qualia_lab.settings import find_settings
    from qualia_lab.stores.open import open_store
    from qualia_lab.stores.snapshot.location import open_location
    from qualia_lab.stores.snapshot.update import old_snapshot, update_snapshot
    from qualia_lab.stores.uri import absolute_uri

    conditions = replace(conditions, limit=limit)
    settings = find_settings()
    rules, privacy = settings.masking, settings.privacy.with_choice(redact, content)
    choice = masked_conditions(conditions, rules).as_data() | privacy.as_data()  # the manifest records it
    place = open_location(out.removeprefix("snapshot:"))
    # Absolute, since the recorded URI has to mean the same store when it is read in another folder.
    with open_store(absolute_uri(tracking_uri), rules=rules, privacy=privacy) as store:
        old = old_snapshot(place, store.uri, choice, force=force)
        with console.step(f"reading {store.uri}") as outcome:
            listed = _listed(store, conditions)
            outcome(counted(listed.num_rows, "run"))
        with console.progress("writing", "runs") as on_runs:
            update = update_snapshot(
                store,
                place,
                listed,
                old=old,
                choice=choice,
                artifacts=artifacts,
                genai=_genai_choice(conditions, listed, artifacts=artifacts),
                again=again,
                on_runs=on_runs,
            )
    uri = f"snapshot:{place.shown}"
    if as_json:
        console.show(json.dumps(_summary(uri, store.uri, update)))
    else:
        _print_summary(uri, update)
    if place.note:
        console.say(place.note)
    notes.print_left_out(store)
    notes.print_masked(update.masked)
    for run_id, reason in list(update.missing.items())[:5]:
        console.say(f"run {run_id} was not read: {reason}")
    if len(update.missing) > 5:
        console.say(f"and {len(update.missing) - 5:,} more that could not be read; --json names them.")


def _listed(store: TrackingStore, conditions: Conditions) -> pa.Table:
    """The runs that meet the conditions, as in every command; without conditions, all runs."""
    from qualia_lab.choosing import query_of, read_matching
    from qualia_lab.selection import Query
    from qualia_lab.settings import read_settings

    if not conditions.as_data():
        return store.read_runs(Query(view="all"))
    return read_matching(store, query_of(store, conditions, read_settings().study))


def _genai_choice(conditions: Conditions, listed: pa.Table, *, artifacts: bool) -> GenAIChoice:
    """The models and traces of all runs, of whole experiments or of the chosen runs; `artifacts`: and MLmodel files."""
    from qualia_lab.genai_tables import TraceQuery
    from qualia_lab.stores.snapshot.genai import GenAIChoice

    chosen = conditions.as_data().keys()
    experiment_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    if chosen == {"experiments"}:
        experiment_ids = tuple(dict.fromkeys(listed.column("experiment_id").to_pylist()))
    elif chosen:
        run_ids = tuple(listed.column("run_id").to_pylist())
    return GenAIChoice(
        experiment_ids,
        run_ids,
        traces=TraceQuery(experiment_ids, run_ids),
        files_of=None if artifacts else (),
        standalone=True,
    )


def _summary(uri: str, source: str, update: Update) -> dict[str, Any]:
    return {
        "snapshot": uri,
        "tracking_uri": source,
        **update.counts,
        "bytes": update.size,
        "runs_read": update.read,
        "runs_kept": update.kept,
        "runs_removed": update.removed,
        "missing": update.missing,
        "masked": update.masked,
    }


def _print_summary(uri: str, update: Update) -> None:
    from qualia_lab.escaping import for_shell

    counts = update.counts
    console.say(
        f"{counted(counts['runs'], 'run')} of {counted(counts['experiments'], 'experiment')}, "
        f"{counted(counts['metric_history'], 'metric point')}"
        + "".join(f", {counted(counts[name], one)}" for name, one in _SAID_IF_ANY if counts[name])
        + f": {update.size / 1e6:,.1f} MB"
    )
    console.say(f"{update.read:,} read, {update.kept:,} unchanged, {update.removed:,} removed")
    console.say(f"next: qualia new --tracking-uri {for_shell(uri)}")
