"""Which logged model a version of a registered model was made from: databases and files hold only its source."""

from __future__ import annotations

import re

# `models:/m-…`, or the folder of the model's artifacts, as `…/models/m-…/artifacts`.
_OF_MODEL = re.compile(r"(?:\Amodels:/|/models/)(m-[0-9a-f]{32})(?=[/?#]|\Z)")


def model_id_of(source: str | None) -> str | None:
    """The id of the logged model that the source of a version names; None for the artifacts of a run or others."""
    match = _OF_MODEL.search(source or "")
    return match[1] if match else None
