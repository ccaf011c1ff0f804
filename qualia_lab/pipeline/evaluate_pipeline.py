"""`python -m qualia_lab.pipeline.evaluate_pipeline`: evaluate four search methods on questions, with MLflow 3."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import os
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.errors import StoreError
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.stores.uri import split_uri
from qualia_lab.stores.writing import default_tracking_uri, find_or_create_experiment, open_for_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.resources.abc import Traversable

    import numpy as np
    from mlflow import MlflowClient

    from qualia_lab.stores.uri import TrackingUri


@dataclass(frozen=True)
class Method:
    """A search method: what a text is split into, and how many results it returns."""

    split: str
    results: int

    @property
    def name(self) -> str:
        """The name of its evaluation run."""
        return f"{self.split}-top{self.results}"


@dataclass(frozen=True)
class Document:
    """What a module of this package says about itself."""

    module: str
    text: str


METHODS = tuple(Method(split, results) for split in ("words", "letters") for results in (1, 3))

# Questions, and the module whose documentation answers each.
QUESTIONS = {
    "How do I replace a file atomically, completely or not at all?": "files",
    "What happens after Ctrl-C or SIGTERM?": "interruptions",
    "Where are secrets masked in everything that is read from a store?": "stores.masked",
    "Which part of a tracking URI may be shown?": "stores.uri",
    "How does the text of a filter become a condition?": "query.parse",
    "How much does each param matter for being among the best runs?": "analysis.ped_anova",
    "Is there a random forest over configurations?": "analysis.forest",
    "Fisher's exact test, for many conditions": "analysis.fisher",
    "95 % intervals of small samples": "analysis.intervals",
    "Which runs are the same computation, logged more than once?": "study.computations",
    "Which runs stopped much earlier than the others?": "study.budgets",
    "How is the objective of a task chosen?": "study.objective",
    "parent runs and child runs": "study.parents",
    "A cache for the metric histories of servers": "stores.http.history_cache",
    "How are too many points to draw reduced?": "charts.sampling",
    "Who writes plotly JSON without plotly?": "charts.plotly_json",
    "How is a new notebook merged into an edited one?": "notebook.merge",
    "Run the cells of a notebook": "notebook.execute",
    "untrusted HTML in an iframe": "framing",
    "Does a bundle give the same outputs on its data?": "bundle.verify",
}


@click.command(
    "evaluate-pipeline",
    epilog="""\b
Examples:
  python -m qualia_lab.pipeline.evaluate_pipeline
  python -m qualia_lab.pipeline.evaluate_pipeline --tracking-uri sqlite:///mlflow.db --experiment search""",
)
@click.option("--tracking-uri", help="Where to write.  [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]")
@click.option("--experiment", default="search", show_default=True, help="Experiment to add the runs to.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def evaluate_pipeline(*, tracking_uri: str | None, experiment: str, debug: bool) -> None:
    """Evaluate four methods of searching the documentation of this package, with `mlflow.genai.evaluate`.

    Each method answers the same 20 questions; scorers in code say whether the right module was found, and at which
    place. No model and no network is used. It needs MLflow 3.
    """
    if debug:
        console.debug()
    uri = split_uri(tracking_uri or default_tracking_uri())
    with console.step(f"opening {uri.safe}"):
        client = open_for_writing(uri.full)
        experiment_id = find_or_create_experiment(client, uri.full, experiment)
    with console.progress("evaluating", "methods") as advance:
        evaluate_methods(uri, client, experiment_id, METHODS, advance=advance)
    console.say(f"{len(METHODS)} evaluation runs in experiment {one_line(experiment)} of {uri.safe}")
    where = f" --tracking-uri {for_shell(uri.safe)}" if tracking_uri else ""
    console.say(f"next: create-observation-notebook{where} --experiment {for_shell(experiment)} --template evaluate")


# MLflow evaluates ten rows at a time. Ten writers of a SQLite file wait for each other, on a busy machine until some
# give up, and traces were lost then. A search takes milliseconds.
_ONE_AT_A_TIME = ("MLFLOW_GENAI_EVAL_MAX_WORKERS", "MLFLOW_GENAI_EVAL_MAX_SCORER_WORKERS")


def evaluate_methods(
    uri: TrackingUri,
    client: MlflowClient,
    experiment_id: str,
    methods: Sequence[Method],
    *,
    advance: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Evaluate each method in a run of its own.

    Args:
        uri: the tracking URI of the store.
        client: the client to write with.
        experiment_id: the experiment to add the runs to.
        methods: the methods.
        advance: called after each method with the number of methods evaluated and the total.

    Returns:
        The run ids, in the order of the methods.

    Raises:
        StoreError: the installed MLflow has no `mlflow.genai.evaluate`.
    """
    import mlflow

    if not hasattr(mlflow, "genai") or not hasattr(mlflow.genai, "evaluate"):
        raise StoreError(
            f"MLflow {mlflow.__version__} has no mlflow.genai.evaluate.", "Install MLflow 3.0 or newer, and run again."
        )
    for name in _ONE_AT_A_TIME:
        os.environ.setdefault(name, "1")
    mlflow.set_tracking_uri(uri.full)
    mlflow.set_experiment(experiment_id=experiment_id)
    documents = read_documents()
    run_ids = []
    for place, method in enumerate(methods):
        with mlflow.start_run(experiment_id=experiment_id, run_name=method.name) as run, _silenced():
            mlflow.log_params({"split": method.split, "results": method.results})
            model = client.create_logged_model(
                experiment_id, name=method.name, source_run_id=run.info.run_id, model_type="retriever"
            )
            client.finalize_logged_model(model.model_id, "READY")
            mlflow.genai.evaluate(
                data=[
                    {"inputs": {"question": question}, "expectations": {"module": module}}
                    for question, module in QUESTIONS.items()
                ],
                predict_fn=search_function(method, documents),
                scorers=_scorers(),
                model_id=model.model_id,
            )
            mlflow.flush_trace_async_logging()
        run_ids.append(str(run.info.run_id))
        if advance:
            advance(place + 1, len(methods))
    return run_ids


def read_documents() -> list[Document]:
    """Read the first paragraph of every module of this package, as it is installed."""
    found = []
    for module, source in _sources(resources.files("qualia_lab"), ""):
        said = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
        if said:
            found.append(Document(module, said))
    return found


def _sources(folder: Traversable, package: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{package}{entry.name}.")
        elif entry.name.endswith(".py") and entry.name != "__init__.py":
            yield package + entry.name.removesuffix(".py"), entry.read_text(encoding="utf-8")


def search_function(method: Method, documents: Sequence[Document]) -> Callable[[str], list[str]]:
    """Return the function that is evaluated: it takes a question and returns the best modules, traced by MLflow."""
    import mlflow
    from mlflow.entities import SpanType
    from sklearn.feature_extraction.text import TfidfVectorizer

    options = {"analyzer": "word", "stop_words": "english"} if method.split == "words" else {"analyzer": "char_wb"}
    ranges = (1, 1) if method.split == "words" else (3, 5)
    vectorizer = TfidfVectorizer(ngram_range=ranges, sublinear_tf=True, **options)
    matrix = vectorizer.fit_transform([document.text for document in documents])

    def find_documents(question: str) -> list[dict[str, Any]]:
        scores: np.ndarray[Any, Any] = (matrix @ vectorizer.transform([question]).T).toarray()[:, 0]
        best = scores.argsort(kind="stable")[::-1][: method.results]
        return [
            {"page_content": documents[place].text, "metadata": {"doc_uri": documents[place].module}} for place in best
        ]

    traced: Callable[[str], list[dict[str, Any]]] = mlflow.trace(find_documents, span_type=SpanType.RETRIEVER)

    def answer(question: str) -> list[str]:
        return [found["metadata"]["doc_uri"] for found in traced(question)]

    whole: Callable[[str], list[str]] = mlflow.trace(answer, span_type=SpanType.CHAIN)
    return whole


def _scorers() -> list[Any]:
    """The scorers, in code: whether the expected module is found, and 1 divided by its place."""
    from mlflow.entities import Feedback
    from mlflow.genai.scorers import scorer

    def found(outputs: list[str], expectations: dict[str, Any]) -> Feedback:
        right = expectations["module"] in outputs
        return Feedback(value=right, rationale="" if right else f"Expected {expectations['module']}.")

    def reciprocal_rank(outputs: list[str], expectations: dict[str, Any]) -> float:
        return 1 / (outputs.index(expectations["module"]) + 1) if expectations["module"] in outputs else 0.0

    return [scorer(found), scorer(reciprocal_rank)]


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Drop what MLflow prints about the evaluation: this command has its own progress and last lines."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def main() -> None:
    """Run the command line and exit."""
    console.run(lambda: evaluate_pipeline.main(standalone_mode=False))


if __name__ == "__main__":
    main()
