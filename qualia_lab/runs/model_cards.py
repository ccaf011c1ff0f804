"""Model cards: what is known of a model from the store and from its MLmodel file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qualia_lab.analysis.model_checkpoints import latest_points
from qualia_lab.analysis.model_files import ModelFile
from qualia_lab.analysis.origins import origins
from qualia_lab.charts.model_cards import ModelCard
from qualia_lab.charts.sizes import size_text
from qualia_lab.counts import and_more
from qualia_lab.escaping import DASH, one_line
from qualia_lab.runs.evaluated import models_of_runs
from qualia_lab.runs.listed_models import listed_models
from qualia_lab.runs.model_files import model_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qualia_lab.analysis.models import KnownModel
    from qualia_lab.runs.listed_models import ListedModels
    from qualia_lab.runs.loaded import Loaded

_NAMED = 3
_OF_REGISTRY = ("registered model", "version ")  # as the subjects of its problems begin
# What is said of the code of the run, as `origins` names it.
_CODE = ("source", "git commit", "git branch", "git repository", "git dirty", "git diff", "entry point", "docker image")
_DATASET = "dataset ("


def model_cards(loaded: Loaded, models: Sequence[KnownModel]) -> list[ModelCard]:
    """A card for each of these models.

    Args:
        loaded: the runs.
        models: the models.
    """
    listed = listed_models(loaded)
    files = model_files(loaded, models)
    measured: dict[str, list[tuple[tuple[str, str, str], Any]]] = {}
    for (model_id, *metric), point in latest_points(models_of_runs(loaded)).items():
        measured.setdefault(model_id, []).append(((metric[0], metric[1], metric[2]), point["value"]))
    of_runs = origins(loaded.tables)
    unread = [subject or "" for subject in models_of_runs(loaded).problems.column("subject").to_pylist()]
    is_known = not any(subject.startswith(_OF_REGISTRY) for subject in unread)
    # A registry elsewhere is not contacted.
    unregistered = "no version in this store" if is_known else "not known: the registry could not be read"
    cards = []
    for model in models:
        file, points = files[model.key], sorted(measured.get(model.key, []))
        known = file if isinstance(file, ModelFile) else None
        versions = listed.registered.get(model.key, ())
        size = size_text(known.size) if known else ""
        flavours = known.flavours_in_short() if known else ""
        said = (and_more(listed.runs[model.key], _NAMED), flavours, size, ", ".join(versions))
        cards.append(
            ModelCard(
                name=listed.names[model.key],
                summary=" · ".join(filter(None, said)),
                origin=[
                    *_origin(loaded, model, listed, of_runs.get(model.run_id, {})),
                    *_measured_on(points),
                    ("registered as", ", ".join(versions) or unregistered),
                ],
                facts=[*_facts(model, known, size)],
                signature=known.signature if known else None,
                metrics=[
                    (one_line(key, 80), _dataset(name, digest), _number(value)) for (key, name, digest), value in points
                ],
                notes=[*_notes(model, file)],
            )
        )
    return cards


def _origin(
    loaded: Loaded, model: KnownModel, listed: ListedModels, of_run: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The run, its code and its data."""
    label = loaded.labels.get(model.run_id)
    if label is not None:
        yield "run", label if label == model.run_id else f"{label} ({model.run_id})"
    elif model.run_id:
        yield "run", f"{one_line(model.run_id, 40)} (not among these runs)"
    else:
        yield "run", "none recorded"
        if runs := listed.runs[model.key]:
            yield "output of", and_more(runs, _NAMED)
    if step := listed.steps.get(model.key):  # MLflow writes 0 if none was given
        yield "step", f"{step:,}"
    yield from ((name, one_line(of_run[name], 200)) for name in _CODE if name in of_run)
    data = sorted((name, value) for name, value in of_run.items() if name.startswith(_DATASET))
    yield from ((f"run's data ({name.removeprefix(_DATASET)}", one_line(value, 300)) for name, value in data)


def _measured_on(points: Sequence[tuple[tuple[str, str, str], Any]]) -> Iterator[tuple[str, str]]:
    """The datasets on which metrics of the model were measured."""
    datasets = dict.fromkeys(_dataset(name, digest) for (_, name, digest), _ in points if name)
    if datasets:
        yield "measured on", ", ".join(datasets)


def _facts(model: KnownModel, known: ModelFile | None, size: str) -> Iterator[tuple[str, str]]:
    yield ("model id", model.model_id) if model.model_id else ("artifact path", one_line(model.path, 200))
    for name, value in (("type", model.model_type), ("status", (model.status or "").lower())):
        if value:
            yield name, one_line(value, 80)
    yield "created", _time(model.created)
    if known is None:
        return
    for name, value in (
        ("flavours", known.flavours_in_short()),
        ("size", size),
        ("Python", known.python_version),
        ("MLflow", known.mlflow_version),
    ):
        yield name, value or "not recorded"
    yield "example of an input", known.example or "none"


def _notes(model: KnownModel, file: ModelFile | str) -> Iterator[str]:
    """What is not known of the model, and what its file says otherwise than the store."""
    if isinstance(file, str):
        yield file
        return
    if not any(vars(file.signature).values()):
        yield "No signature was logged."
    if file.run_id and model.run_id and file.run_id != model.run_id:
        yield f"The file MLmodel names another run: {one_line(file.run_id, 40)}."


def _dataset(name: str, digest: str) -> str:
    return (f"{one_line(name, 60)} @ {one_line(digest, 20)}" if digest else one_line(name, 60)) if name else DASH


def _number(value: float | None) -> str:
    return DASH if value is None else "NaN" if value != value else f"{value:.6g}"  # noqa: PLR0124 - NaN


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "not recorded"
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "at an impossible time"
