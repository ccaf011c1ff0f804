"""A random forest over configurations: how well they predict a metric, and how much worse without each param."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

TREES = 100
REPEATS = 10  # shufflings of a param; their mean is its importance
_PARTIAL = 60  # configurations over which an interaction is averaged
_SEED = 0


class Predictor(Protocol):
    """Predicts a number for each row."""

    def predict(self, rows: Numbers, /) -> Numbers:
        """A number for each row."""
        ...


@dataclass(frozen=True)
class Forest:
    """r2: out of bag.  importances, deviations: of each column, the fall of r2 when it is shuffled; () if not asked."""

    trees: tuple[Any, ...]
    r2: float
    importances: tuple[float, ...]
    deviations: tuple[float, ...]

    def predict(self, rows: Numbers) -> Numbers:
        """The mean of what the trees say of these rows."""
        narrow = rows.astype(np.float32)
        said = np.zeros(len(rows))
        for tree in self.trees:
            said += tree.predict(narrow)[:, 0]
        return said / len(self.trees)


def grow_forest(x: Numbers, y: Numbers, *, least_r2: float = -math.inf) -> Forest:
    """A forest of 100 trees on configurations (rows of x), and what it knows of those that a tree has not seen.

    Random forest, out-of-bag R² and the importance of a column as what is lost out of bag when its values are
    shuffled: Breiman (2001), "Random forests"; mean and standard deviation of 10 shufflings. Importances of the rows
    that the trees were grown on would credit pure noise. Always the same for the same numbers.

    Args:
        x: a row of each configuration.
        y: the value of each.
        least_r2: the R² out of bag under which importances are not computed.
    """
    rows, count = x.shape
    narrow = x.astype(np.float32)
    grown = list(_grow_trees(narrow, y))
    votes, seen = np.zeros(rows), np.zeros(rows)
    apart = []
    for tree, is_unseen in grown:
        unseen = np.flatnonzero(is_unseen)
        said = tree.predict(narrow[unseen])[:, 0]
        votes[unseen] += said
        seen[unseen] += 1
        apart.append((tree, unseen, said))
    known = seen > 0
    r2 = _r_squared(y[known], votes[known] / seen[known])
    trees = tuple(tree for tree, _ in grown)
    if r2 < least_r2:
        return Forest(trees, r2, (), ())
    in_order = np.tile(np.arange(rows), (REPEATS, 1))
    shuffled = [np.random.default_rng((_SEED, column)).permuted(in_order, axis=1) for column in range(count)]
    changed = np.zeros((count, REPEATS, rows))
    for tree, unseen, said in apart:
        changed[:, :, unseen] += said
        for column in np.unique(tree.feature[tree.feature >= 0]):
            trial = np.tile(narrow[unseen], (REPEATS, 1))
            trial[:, column] = narrow[shuffled[column][:, unseen].ravel(), column]
            changed[column][:, unseen] += tree.predict(trial)[:, 0].reshape(REPEATS, -1) - said
    falls = [[r2 - _r_squared(y[known], repeat[known] / seen[known]) for repeat in column] for column in changed]
    return Forest(trees, r2, tuple(map(_mean, falls)), tuple(float(np.std(fall, ddof=1)) for fall in falls))


def _grow_trees(x: NDArray[np.float32], y: Numbers) -> Iterator[tuple[Any, NDArray[np.bool_]]]:
    """The trees of scikit-learn's RandomForestRegressor, each with the rows that it has not seen.

    Grown one by one, since the regressor's own checks of every tree take as long as a tree of a few hundred rows.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    drawer = np.random.RandomState(_SEED)
    with config_context(skip_parameter_validation=True):
        for _ in range(TREES):
            seed = drawer.randint(np.iinfo(np.int32).max)
            drawn = np.random.RandomState(seed).randint(0, len(x), len(x), dtype=np.int32)
            times = np.bincount(drawn, minlength=len(x)).astype(np.float64)
            tree = DecisionTreeRegressor(random_state=seed)
            yield tree.fit(x, y, sample_weight=times, check_input=False).tree_, times == 0


def interaction(model: Predictor, x: Numbers, first: int, second: int) -> float:
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


def _partial(model: Predictor, rows: Numbers, columns: tuple[int, ...]) -> Numbers:
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
