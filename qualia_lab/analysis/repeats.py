"""How many configurations there are, and how many of them ran more than once, without making one of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qualia_lab.analysis.groups import comparable, is_seed_like
from qualia_lab.analysis.scores import scores
from qualia_lab.columns import column, filled, numbers_of, whole
from qualia_lab.inventory import ConfigurationCount
from qualia_lab.study.statuses import left_out, statuses_of
from qualia_lab.tables import by_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.tables import RunTables


def count_configurations(tables: RunTables, metric: str, seeds: Sequence[str] | None = None) -> ConfigurationCount:
    """The configurations of `groups.configurations` over the runs whose latest value of a metric counts in a mean.

    Every value of a param has a random number of 64 bits, and a run the sum of those of its params: alike for alike
    params, and of a hundred thousand others alike by chance once in three billion times.
    """
    uncounted = left_out(statuses_of(tables))
    scored = scores(tables, metric).values
    there = np.array([run_id in scored and run_id not in uncounted for run_id in tables.run_ids], np.bool_)
    run_ids = column(list(tables.run_ids), pa.string())
    dice = np.random.default_rng(0)
    alike, comparably = np.zeros((2, len(there)), np.uint64)
    for key, rows in by_key(tables.params):
        if is_seed_like(key) if seeds is None else key in seeds:
            continue
        owner = numbers_of(filled(pc.index_in(whole(rows.column("run_id")), value_set=run_ids), -1))
        kept = (owner >= 0) & there[owner]
        encoded = whole(rows.column("value")).dictionary_encode()
        texts, codes = encoded.dictionary.to_pylist(), numbers_of(filled(encoded.indices, -1))[kept]
        known: dict[object, int] = {}
        places = np.array([known.setdefault(comparable(text), len(known)) for text in texts] + [len(texts)], np.int64)
        numbers = dice.integers(1, np.iinfo(np.uint64).max, len(texts) + 1, np.uint64, endpoint=True)
        of_runs = numbers[places[codes]]
        alike[owner[kept]] += of_runs
        # A text that is another one in every run, such as a path, sets apart and tells nothing.
        different = len(np.unique(codes))
        if not 2 < different == len(codes) or all(isinstance(one, Decimal) for one in known):
            comparably[owner[kept]] += of_runs
    _, runs = np.unique(alike[there], return_counts=True)
    return ConfigurationCount(len(runs), int((runs > 1).sum()), len(np.unique(comparably[there])))
