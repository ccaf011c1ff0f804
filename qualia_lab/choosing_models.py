"""Select logged models: those of a store that match a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.query.models import select_models
from qualia_lab.stores.masked_genai import MaskedGenAIStore
from qualia_lab.stores.protocol import ReadsGenAI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.genai_tables import ModelTables
    from qualia_lab.query.conditions import Condition


def matching_models(
    store: ReadsGenAI, condition: Condition | None, *, experiment_ids: Sequence[str] = (), run_ids: Sequence[str] = ()
) -> tuple[ModelTables, bool]:
    """The models that match; conditions are evaluated on the stored values, also where they are not shown.

    Args:
        store: the store.
        condition: the parsed filter; None for all.
        experiment_ids: the models of these experiments.
        run_ids: the models of these runs, see `ReadsGenAI.read_models`.

    Returns:
        The models, masked where the store masks, and whether there were any before the filter.
    """
    stored = store.stored if isinstance(store, MaskedGenAIStore) else store
    assert isinstance(stored, ReadsGenAI)
    tables = stored.read_models(experiment_ids=experiment_ids, run_ids=run_ids)
    found = select_models(condition, tables)
    shown = store.mask_models(found) if isinstance(store, MaskedGenAIStore) else found
    return shown, bool(tables.models.num_rows or tables.versions.num_rows)
