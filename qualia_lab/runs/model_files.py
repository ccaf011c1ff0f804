"""The MLmodel files of models: each is read once, up to a limit, by the rules for artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.analysis.model_files import ModelFile, read_model_file
from qualia_lab.artifacts import decoded_text
from qualia_lab.runs.artifact_files import READ_BYTES, read_start
from qualia_lab.stores.parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.models import KnownModel
    from qualia_lab.runs.loaded import Loaded

_READ_IN_ALL = 5 * READ_BYTES  # a file has some kilobytes; parsing megabytes of YAML takes seconds


def model_files(loaded: Loaded, models: Sequence[KnownModel]) -> dict[str, ModelFile | str]:
    """What the MLmodel files of these models say, by the key of the model; else the reason why it is not known.

    Args:
        loaded: the runs.
        models: the models; files that were read before are not read again.
    """
    read: dict[str, ModelFile | str] = loaded.read_once("model files", dict)
    sizes: dict[str, int] = loaded.read_once("sizes of model files", dict)
    missing = [model for model in models if model.key not in read]
    starts = in_parallel(lambda model: _start(loaded, model), missing)
    for model, start in zip(missing, starts, strict=True):
        if isinstance(start, str):
            read[model.key] = start
        elif sum(sizes.values()) + len(start) > _READ_IN_ALL:
            read[model.key] = "MLmodel was not read: those of other models fill 5 MB already."
        else:
            sizes[model.key] = len(start)
            read[model.key] = _parsed(start)
    return {model.key: read[model.key] for model in models}


def _start(loaded: Loaded, model: KnownModel) -> bytes | str:
    if model.model_id:
        return read_start(loaded.store.artifact_place(model.model_id, model.location), "MLmodel", READ_BYTES + 1)
    # The path that a tag says is below the artifact root of the run: a place refuses others.
    return read_start(loaded.files.place(model.run_id), f"{model.path}/MLmodel", READ_BYTES + 1)


def _parsed(data: bytes) -> ModelFile | str:
    if len(data) > READ_BYTES:
        return "MLmodel was not read: it is larger than 1 MB."
    decoded = decoded_text(data)
    if decoded is None:
        return "MLmodel cannot be read: it is no text."
    try:
        return read_model_file(decoded[0])
    except ValueError as error:
        return f"MLmodel cannot be read: {error}."
