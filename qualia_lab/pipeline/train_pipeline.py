"""`python -m qualia_lab.pipeline.train_pipeline`: train a small hyperparameter sweep and log it to MLflow."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from qualia_lab import console
from qualia_lab.errors import QualiaLabError
from qualia_lab.escaping import for_shell, one_line
from qualia_lab.stores.uri import split_uri
from qualia_lab.stores.writing import default_tracking_uri, find_or_create_experiment, open_for_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from sklearn.pipeline import Pipeline

    from qualia_lab.stores.uri import TrackingUri

_EXPERIMENT_TAGS = {
    "mlflow.experiment.primaryMetric.name": "val_auc",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
}


@dataclass(frozen=True)
class Configuration:
    """A kind of model and its params, without the seed."""

    kind: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Data:
    """A data set with a fixed training/validation split: feature frames, and the class of each row."""

    name: str
    train_features: pd.DataFrame
    val_features: pd.DataFrame
    train_classes: pd.Series[int]
    val_classes: pd.Series[int]


# The first _KINDS configurations, one of each kind, form the quick sweep.
SWEEP = (
    Configuration("sgd", {"alpha": 0.0001, "penalty": "l2"}),
    Configuration("mlp", {"lr": 0.003, "hidden": 32, "batch_size": 32}),
    Configuration("gradient_boosting", {"lr": 0.1, "max_depth": 3}),
    Configuration("sgd", {"alpha": 0.01, "penalty": "elasticnet"}),
    Configuration("mlp", {"lr": 0.0003, "hidden": 128, "batch_size": 32}),
    Configuration("gradient_boosting", {"lr": 0.5, "max_depth": 2}),
)
_KINDS = 3


@click.command(
    "train-pipeline",
    epilog="""\b
Examples:
  python -m qualia_lab.pipeline.train_pipeline --quick
  python -m qualia_lab.pipeline.train_pipeline --data digits --seeds 5 --epochs 40
  python -m qualia_lab.pipeline.train_pipeline --tracking-uri http://127.0.0.1:5000""",
)
@click.option("--tracking-uri", help="Where to write.  [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]")
@click.option(
    "--data",
    "data_name",
    type=click.Choice(["breast-cancer", "digits"]),
    default="breast-cancer",
    show_default=True,
    help="Data that comes with scikit-learn; nothing is downloaded.",
)
@click.option("--experiment", help="Experiment to add the runs to.  [default: the name of the data]")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs, or trees.  [default: 30; quick: 10]")
@click.option("--seeds", type=click.IntRange(min=1), help="Runs of each configuration.  [default: 3; quick: 2]")
@click.option("--quick", is_flag=True, help="One configuration of each kind, in seconds.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def train_pipeline(
    *,
    tracking_uri: str | None,
    data_name: str,
    experiment: str | None,
    epochs: int | None,
    seeds: int | None,
    quick: bool,
    debug: bool,
) -> None:
    """Train three kinds of model with several params and seeds, and log everything to MLflow.

    One parent run contains the sweep; each of its children logs params, metrics of every epoch, the data sets, a
    confusion matrix, ROC curves and the model. The same flags give the same metrics.
    """
    if debug:
        console.debug()
    uri = split_uri(tracking_uri or default_tracking_uri())
    experiment = experiment or data_name
    with console.step(f"opening {uri.safe}"):
        client = open_for_writing(uri.full)
        experiment_id = find_or_create_experiment(client, uri.full, experiment, _EXPERIMENT_TAGS)
    with console.progress(f"training on {data_name}", "runs") as advance:
        failed = run_sweep(
            uri,
            experiment_id,
            load_data(data_name),
            SWEEP[:_KINDS] if quick else SWEEP,
            epochs=epochs or (10 if quick else 30),
            seeds=seeds or (2 if quick else 3),
            advance=advance,
        )
    console.say(f"runs in experiment {one_line(experiment)} of {uri.safe}")
    where = f" --tracking-uri {for_shell(uri.safe)}" if tracking_uri else ""
    console.say(f"next: create-observation-notebook{where} --experiment {for_shell(experiment)}")
    for reason in failed:
        console.say(reason)
    if failed:
        raise QualiaLabError(
            f"{len(failed)} runs failed.", "They are in the store with status FAILED; the other runs are complete."
        )


def load_data(name: str) -> Data:
    """Load `breast-cancer` or `digits`; a quarter is for validation, and the split is the same for every seed."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.model_selection import train_test_split

    load = {"breast-cancer": load_breast_cancer, "digits": load_digits}[name]
    features, classes = load(return_X_y=True, as_frame=True)
    return Data(name, *train_test_split(features, classes, test_size=0.25, random_state=0, stratify=classes))


def run_sweep(
    uri: TrackingUri,
    experiment_id: str,
    data: Data,
    configurations: Sequence[Configuration],
    *,
    epochs: int,
    seeds: int,
    advance: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Train every configuration with every seed, as children of one run; return a message for each failed run."""
    import mlflow

    mlflow.set_tracking_uri(uri.full)
    failed: list[str] = []
    best = ("", float("-inf"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from MLflow about its formats, and about models that have not converged
        with mlflow.start_run(experiment_id=experiment_id, run_name=f"{data.name}-sweep"):
            mlflow.log_params({"data": data.name, "epochs": epochs, "seeds": seeds})
            total = len(configurations) * seeds
            for number in range(total):
                configuration, seed = configurations[number // seeds], number % seeds
                name = f"{configuration.kind}-{number // seeds + 1:02d}-seed{seed}"
                try:
                    with mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=True) as run:
                        val_auc = _train_run(configuration, seed, data, epochs)
                    best = max(best, (run.info.run_id, val_auc), key=lambda candidate: candidate[1])
                except Exception as error:
                    failed.append(f"{name}: {one_line(uri.redact(str(error)), 200)}")
                if advance:
                    advance(number + 1, total)
            if best[0]:
                mlflow.log_metric("best_val_auc", best[1])
                mlflow.set_tag("best_run_id", best[0])
    return failed


def _train_run(configuration: Configuration, seed: int, data: Data, epochs: int) -> float:
    """Train one model in the active run and log everything about it; return its validation AUC."""
    import mlflow

    mlflow.log_params({"model": configuration.kind, **configuration.params, "epochs": epochs, "seed": seed})
    mlflow.set_tag("framework", "scikit-learn")
    _log_datasets(data)
    model = _new_pipeline(configuration, seed, data, epochs)
    metrics: dict[str, float] = {}
    for epoch, (train_probabilities, val_probabilities) in enumerate(_train(model, data, epochs)):
        metrics = _metrics(data, train_probabilities, val_probabilities)
        mlflow.log_metrics(metrics, step=epoch)
    _log_figures(data, val_probabilities)
    _log_model(model, data)
    return metrics["val_auc"]


def _new_pipeline(configuration: Configuration, seed: int, data: Data, epochs: int) -> Pipeline:
    """A pipeline of a fitted scaler and an untrained classifier."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().set_output(transform="pandas").fit(data.train_features)
    return Pipeline([("scale", scaler), ("classify", _classifier(configuration, seed, epochs))])


def _train(model: Pipeline, data: Data, epochs: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Train; after each epoch yield the class probabilities of the training and the validation rows."""
    scaler, classifier = model["scale"], model["classify"]
    train, val = scaler.transform(data.train_features), scaler.transform(data.val_features)
    if not hasattr(classifier, "partial_fit"):
        # For boosting, an epoch is a tree: all trees are fitted at once, then evaluated one after the other.
        classifier.fit(train, data.train_classes)
        yield from zip(classifier.staged_predict_proba(train), classifier.staged_predict_proba(val), strict=True)
        return
    classes = sorted(set(data.train_classes))
    for _ in range(epochs):
        classifier.partial_fit(train, data.train_classes, classes=classes)
        yield classifier.predict_proba(train), classifier.predict_proba(val)


def _classifier(configuration: Configuration, seed: int, epochs: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import SGDClassifier
    from sklearn.neural_network import MLPClassifier

    params = configuration.params
    if configuration.kind == "sgd":
        return SGDClassifier(loss="log_loss", random_state=seed, **params)
    if configuration.kind == "mlp":
        return MLPClassifier(
            hidden_layer_sizes=(params["hidden"],),
            learning_rate_init=params["lr"],
            batch_size=params["batch_size"],
            random_state=seed,
        )
    if configuration.kind == "gradient_boosting":
        # Without subsampling, every seed would give the same trees.
        return GradientBoostingClassifier(
            n_estimators=epochs,
            learning_rate=params["lr"],
            max_depth=params["max_depth"],
            subsample=0.8,
            max_features="sqrt",
            random_state=seed,
        )
    raise QualiaLabError(f"Unknown kind of model: {configuration.kind}.", "Use sgd, mlp or gradient_boosting.")


def _metrics(data: Data, train_probabilities: np.ndarray, val_probabilities: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    scores = val_probabilities[:, 1] if val_probabilities.shape[1] == 2 else val_probabilities
    return {
        "train_loss": float(log_loss(data.train_classes, train_probabilities)),
        "val_loss": float(log_loss(data.val_classes, val_probabilities)),
        "val_accuracy": float(accuracy_score(data.val_classes, val_probabilities.argmax(axis=1))),
        "val_auc": float(roc_auc_score(data.val_classes, scores, multi_class="ovr")),
    }


def _log_datasets(data: Data) -> None:
    import mlflow

    parts = (("training", data.train_features, data.train_classes), ("validation", data.val_features, data.val_classes))
    for context, features, classes in parts:
        frame = features.assign(target=classes)
        mlflow.log_input(mlflow.data.from_pandas(frame, name=data.name, targets="target"), context=context)


def _log_figures(data: Data, val_probabilities: np.ndarray) -> None:
    import mlflow
    from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, classification_report

    predicted = val_probabilities.argmax(axis=1)
    mlflow.log_text(classification_report(data.val_classes, predicted, zero_division=0), "report.txt")

    figure = _figure()
    ConfusionMatrixDisplay.from_predictions(data.val_classes, predicted, ax=figure.gca(), colorbar=False)
    mlflow.log_figure(figure, "plots/confusion_matrix.png")

    figure = _figure()
    classes = range(1, 2) if val_probabilities.shape[1] == 2 else range(val_probabilities.shape[1])
    for label in classes:
        RocCurveDisplay.from_predictions(
            data.val_classes == label, val_probabilities[:, label], ax=figure.gca(), name=f"class {label}"
        )
    mlflow.log_figure(figure, "plots/roc.png")


def _figure() -> Figure:
    """A figure that is not registered with pyplot, so it needs no closing."""
    from matplotlib.figure import Figure

    return Figure(figsize=(5, 4), layout="constrained")


def _log_model(model: Pipeline, data: Data) -> None:
    import mlflow.sklearn
    import sklearn
    from mlflow.models import infer_signature

    parameters = inspect.signature(mlflow.sklearn.log_model).parameters
    # Before MLflow 3, the argument for the name of a model was `artifact_path`.
    arguments: dict[str, Any] = {"name" if "name" in parameters else "artifact_path": "model"}
    if "skops_trusted_types" in parameters:
        # An MLflow that avoids pickle uses skops, which needs the list of types to trust; these were just created here.
        from skops.io import dumps, get_untrusted_types  # type: ignore[import-untyped]

        arguments["skops_trusted_types"] = get_untrusted_types(data=dumps(model))
    mlflow.sklearn.log_model(
        model,
        **arguments,
        signature=infer_signature(data.val_features, model.predict(data.val_features)),
        # Given explicitly: MLflow would infer the requirements by loading the model in another process.
        pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
    )


def main() -> None:
    """Run the command line and exit."""
    console.run(lambda: train_pipeline.main(standalone_mode=False))


if __name__ == "__main__":
    main()
