"""A random forest over configurations: how well they predict a metric, and how much worse without each param."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from qualia_lab.analysis.histories import Numbers

TREES = 100
REPEATS = 10  # shufflings of a param; their mean is its importance
_PARTIAL = 60  # configurations over which an interaction is averaged
_SEED = 0


@dataclass(frozen=True)
class Forest:
    """r2: out of bag.  importances, deviations: of each column, the fall of r2 when it is shuffled."""

    model: Any
    r2: float
    importances: tuple[float, ...]
    deviations: tuple[float, ...]


def grow_forest(x: Numbers, y: Numbers) -> Forest:
    """A forest of 100 trees on configurations (rows of x), and what it knows of those that a tree has not seen.

    Random forest, out-of-bag R² and the importance of a column as what is lost out of bag when its values are
    shuffled: Breiman (2001), "Random forests"; mean and standard deviation of 10 shufflings. Importances of the rows
    that the trees were grown on would credit pure noise. Always the same for the same numbers.
    """
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(TREES, random_state=_SEED)
    model.fit(x, y)
    rows, count = len(x), x.shape[1]
    narrow = x.astype(np.float32)
    in_order = np.tile(np.arange(rows), (REPEATS, 1))
    shuffled = [np.random.default_rng((_SEED, column)).permuted(in_order, axis=1) for column in range(count)]
    votes, seen = np.zeros(rows), np.zeros(rows)
    changed = np.zeros((count, REPEATS, rows))
    for tree, drawn in zip(model.estimators_, model.estimators_samples_, strict=True):
        unseen = np.setdiff1d(np.arange(rows), drawn)
        said = tree.tree_.predict(narrow[unseen])[:, 0]
        votes[unseen] += said
        seen[unseen] += 1
        changed[:, :, unseen] += said
        for column in np.unique(tree.tree_.feature[tree.tree_.feature >= 0]):
            trial = np.tile(narrow[unseen], (REPEATS, 1))
            trial[:, column] = narrow[shuffled[column][:, unseen].ravel(), column]
            changed[column][:, unseen] += tree.tree_.predict(trial)[:, 0].reshape(REPEATS, -1) - said
    known = seen > 0
    r2 = _r_squared(y[known], votes[known] / seen[known])
    falls = [[r2 - _r_squared(y[known], repeat[known] / seen[known]) for repeat in column] for column in changed]
    return Forest(model, r2, tuple(map(_mean, falls)), tuple(float(np.std(fall, ddof=1)) for fall in falls))


def interaction(model: Any, x: Numbers, first: int, second: int) -> float:
    """How much of the joint effect of two columns is not the sum of their own effects, between 0 and about 1.

    H² of Friedman and Popescu (2008), "Predictive learning via rule ensembles", eq. 44, from partial dependences on
    at most 60 rows, evenly drawn. Columns that go together make it uncertain: the forest is asked beyond its data.
    """
    rows = x[np.unique(np.linspace(0, len(x) - 1, _PARTIAL).astype(np.intp))]
    one, other = _partial(model, rows, (first,)), _partial(model, rows, (second,))
    both = _partial(model, rows, (first, second))
    spread = float(both @ both)
    rest = both - one - other
    return float(rest @ rest) / spread if spread > 0 else 0.0


def _partial(model: Any, rows: Numbers, columns: tuple[int, ...]) -> Numbers:
    """The centred mean prediction at each row's values of some columns, over all rows of the others."""
    count = len(rows)
    trial = np.tile(rows, (count, 1))
    for column in columns:
        trial[:, column] = np.repeat(rows[:, column], count)
    means = np.asarray(model.predict(trial), np.float64).reshape(count, count).mean(axis=1)
    return np.asarray(means - means.mean(), np.float64)


def _r_squared(y: Numbers, predicted: Numbers) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - predicted) ** 2).sum()) / spread if spread > 0 else 0.0


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
