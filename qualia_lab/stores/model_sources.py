"""Ids of logged models: in the source of a version of a registered model, where databases and files have it only."""

from __future__ import annotations

import re

_ID = re.compile(r"m-[0-9a-f]{32}\Z")
# `models:/m-…`, or the folder of the model's artifacts, as `…/models/m-…/artifacts`.
_OF_MODEL = re.compile(r"(?:\Amodels:/|/models/)(m-[0-9a-f]{32})(?=[/?#]|\Z)")


def model_id_of(source: str | None) -> str | None:
    """The id of the logged model that the source of a version names; None for the artifacts of a run or others."""
    match = _OF_MODEL.search(source or "")
    return match[1] if match else None


def is_model_id(text: str) -> bool:
    """Whether a text is the id of a logged model, as MLflow generates them."""
    return _ID.match(text) is not None
