"""`create-demo-runs`: write demo runs to a store with MLflow's own client."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qualia_lab import console
from qualia_lab.errors import QualiaLabError, StoreError
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.scripts.demo_artifacts import dataset_text, run_files, sweep_files
from qualia_lab.scripts.demo_story import DemoRun, generate_story
from qualia_lab.scripts.genai_story import VERSIONS, generate_genai_story
from qualia_lab.scripts.genai_writing import write_genai_story
from qualia_lab.stores.uri import split_uri
from qualia_lab.stores.writing import default_tracking_uri, find_or_create_experiment, open_for_writing

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

_RUNS = 24
_EXPERIMENT_TAGS = {
    "mlflow.experiment.primaryMetric.name": "val_auc",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    "mlflow.note.content": "Which customers leave within a month? Runs made by `create-demo-runs`.",
}


@click.command(
    "create-demo-runs",
    epilog="""\b
Examples:
  create-demo-runs
  create-demo-runs 100 --seed 7 --tracking-uri sqlite:///demo.db
  create-demo-runs 5 --tracking-uri http://127.0.0.1:5000 --experiment try-out
  create-demo-runs --genai --tracking-uri sqlite:///demo.db""",
)
@click.argument("count", metavar="[N]", type=click.IntRange(min=1), required=False)
@click.option("--genai", is_flag=True, help="Write an assistant's evaluations and traces instead; needs MLflow 3.5.")
@click.option("--tracking-uri", help="Where to write.  [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]")
@click.option("--experiment", help="Experiment to add the runs to.  [default: churn; with --genai: docs-assistant]")
@click.option("--seed", default=0, show_default=True, help="Random seed; the same seed gives the same runs.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def create_demo_runs(
    *, count: int | None, genai: bool, tracking_uri: str | None, experiment: str | None, seed: int, debug: bool
) -> None:
    """Write N realistic runs (24 by default) of a team that tunes two kinds of model.

    They have params, learning curves, seeds, tags, a dataset and artifacts. Some are nested, some failed, one
    diverges to NaN, one is still running. With --genai: an assistant that answers questions from documentation, six
    versions of it evaluated on the same questions by judges and humans, logged and registered models, and the traces
    of its use. This command writes to the store, and creates it if it does not exist.
    """
    if debug:
        console.debug()
    if genai and count is not None:
        raise QualiaLabError(f"--genai writes one story, not {count} runs.", "Omit the number, or --genai.")
    uri = split_uri(tracking_uri or default_tracking_uri())
    experiment = experiment or ("docs-assistant" if genai else "churn")
    with console.step(f"opening {uri.safe}"):
        client = open_for_writing(uri.full)
        experiment_id = find_or_create_experiment(client, uri.full, experiment, {} if genai else _EXPERIMENT_TAGS)
    with console.progress(f"writing to {one_line(experiment)}", "traces" if genai else "runs") as advance:
        try:
            if genai:
                answers = generate_genai_story(seed)
                write_genai_story(client, uri.full, experiment_id, answers, advance=advance)
                written = f"{len(answers)} traces, {len(VERSIONS)} evaluation runs and {len(VERSIONS)} models"
            else:
                runs = write_story(client, experiment_id, generate_story(count or _RUNS, seed), advance=advance)
                written = f"{len(runs)} runs"
        except OSError as error:
            raise StoreError(
                f"The artifacts of {one_line(experiment)} cannot be written: {one_line(str(error), 300)}",
                "Make their folder writable, or pass another --experiment or --tracking-uri.",
            ) from error
    console.say(f"{written} in experiment {one_line(experiment)} of {uri.safe}")
    where = f" --tracking-uri {for_shell(uri.safe)}" if tracking_uri else ""
    template = " --template evaluate" if genai else ""
    console.say(f"next: create-observation-notebook{where} --experiment {for_shell(experiment)}{template}")


def write_story(
    client: MlflowClient,
    experiment_id: str,
    story: list[DemoRun],
    *,
    now: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the runs of a story.

    Args:
        client: the client to write with.
        experiment_id: the experiment to add the runs to.
        story: the runs, see `generate_story`.
        now: the time in ms that the times of the story are relative to; by default the current time.
        advance: called after each run with the number of runs written and the total.

    Returns:
        The run ids, in the order of the story.
    """
    now = int(time.time() * 1000) if now is None else now
    run_ids: list[str] = []
    children: dict[int, list[DemoRun]] = {}
    for run in story:
        if run.parent is not None:
            children.setdefault(run.parent, []).append(run)
    for index, run in enumerate(story):
        parent_id = None if run.parent is None else run_ids[run.parent]
        files = run_files(run) | (sweep_files(children[index]) if index in children else {})
        run_ids.append(_write_run(client, experiment_id, run, now=now, parent_id=parent_id, files=files))
        if advance:
            advance(index + 1, len(story))
    return run_ids


def _write_run(
    client: MlflowClient,
    experiment_id: str,
    run: DemoRun,
    *,
    now: int,
    parent_id: str | None,
    files: dict[str, bytes],
) -> str:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    tags = run.tags | ({"mlflow.parentRunId": parent_id} if parent_id else {})
    start = now + run.start
    run_id = str(client.create_run(experiment_id, start_time=start, tags=tags, run_name=run.name).info.run_id)
    client.log_batch(
        run_id,
        metrics=[Metric(point.key, point.value, start + point.at, point.step) for point in run.points],
        params=[Param(key, str(value)) for key, value in run.params.items()],
    )
    dataset = Dataset("customers", f"c0ffee0{run.data_version}", "local", **dataset_text(run.data_version))
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        client.log_artifacts(run_id, folder)
    if run.status == "FINISHED" and run.params.get("seed") == 0:
        _write_logged_model(client, experiment_id, run_id, run)
    if run.end is not None:
        client.set_terminated(run_id, run.status, now + run.end)
    return run_id


def _write_logged_model(client: MlflowClient, experiment_id: str, run_id: str, run: DemoRun) -> None:
    """Create the entry of a logged model, without a trained model. MLflow has logged models since 3.0."""
    if not hasattr(client, "create_logged_model"):
        return
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(experiment_id, name=str(run.params["model"]), source_run_id=run_id)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def main() -> None:
    """Run the command line and exit."""
    console.run(lambda: create_demo_runs.main(standalone_mode=False))


if __name__ == "__main__":
    main()
