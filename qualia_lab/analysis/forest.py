"""A random forest over configurations: how well the params predict a metric, and how much each param contributes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from qualia_lab.analysis.distinct_rows import distinct_rows, number_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from qualia_lab.analysis.histories import Numbers

    Singles = NDArray[np.float32]

TREES = 100  # at most
_ADDED = 8  # trees that are added before R² is compared with what it was
_SETTLED = 0.01
REPEATS = 10  # permutations of a param; their mean is its importance
_PARTIAL = 60  # configurations over which an interaction is averaged
_SEED = 0


class Predictor(Protocol):
    """A model that predicts a number for each row."""

    def predict(self, rows: Numbers, /) -> Numbers:
        """Predict a number for each row."""
        ...


@dataclass(frozen=True)
class Forest:
    """A fitted random forest.

    Attributes:
        trees: the fitted trees.
        r2: the out-of-bag R².
        importances: for each column, the mean drop of r2 when the column is permuted; () if not computed.
        deviations: the standard deviations of these drops; () if not computed.
    """

    trees: tuple[Any, ...]
    r2: float
    importances: tuple[float, ...]
    deviations: tuple[float, ...]

    def predict(self, rows: Numbers) -> Numbers:
        """The mean prediction of the trees for each row."""
        as_float32 = rows.astype(np.float32)
        total = np.zeros(len(rows))
        for tree in self.trees:
            total += tree.predict(as_float32)[:, 0]
        return total / len(self.trees)


def grow_forest(x: Numbers, y: Numbers, *, least_r2: float = -math.inf) -> Forest:
    """Fit a random forest to configurations and evaluate it out of bag.

    Random forest, out-of-bag R², and permutation importance measured out of bag: Breiman (2001), "Random forests"; mean
    and standard deviation over 10 permutations. Importances on the rows that the trees were fitted to would credit pure
    noise. Each tree is fitted to half of the rows, drawn without replacement: as good as a bootstrap sample (Bühlmann
    and Yu 2002, "Analyzing bagging"). Trees are added 8 at a time until that changes the out-of-bag R² by no more than
    0.01, at most 100. The result is deterministic.

    Args:
        x: the params, shape (configurations, params).
        y: the metric, shape (configurations,).
        least_r2: the out-of-bag R² below which importances are not computed.

    Returns:
        The forest.
    """
    rows, count = x.shape
    as_float32 = x.astype(np.float32)
    votes, seen = np.zeros(rows), np.zeros(rows)
    out_of_bag: list[_OutOfBag] = []
    r2 = -math.inf
    for tree, unseen in _grow_trees(as_float32, y):
        predicted = tree.predict(as_float32.take(unseen, axis=0))[:, 0]
        votes[unseen] += predicted
        seen[unseen] += 1
        out_of_bag.append(_OutOfBag(tree, unseen, predicted))
        if len(out_of_bag) % _ADDED == 0 or len(out_of_bag) == TREES:
            known = seen > 0
            before, r2 = r2, _r_squared(y[known], votes[known] / seen[known])
            if abs(r2 - before) <= _SETTLED and known.all():
                break
    trees = tuple(one.tree for one in out_of_bag)
    if r2 < least_r2:
        return Forest(trees, r2, (), ())
    shuffled = [_shuffled(rows, column) for column in range(count)]
    falls = [
        [r2 - _r_squared(y[known], repeat[known] / seen[known]) for repeat in column]
        for column in _shuffled_votes(as_float32, out_of_bag, shuffled)
    ]
    return Forest(trees, r2, tuple(map(_mean, falls)), tuple(float(np.std(fall, ddof=1)) for fall in falls))


@lru_cache(maxsize=64)  # tasks of one grid have equally many configurations
def _shuffled(rows: int, column: int) -> NDArray[np.intp]:
    """For each repeat, the row from which the value of each row is taken, shape (repeats, rows)."""
    in_order = np.tile(np.arange(rows), (REPEATS, 1))
    shuffled: NDArray[np.intp] = np.random.default_rng((_SEED, column)).permuted(in_order, axis=1)
    shuffled.setflags(write=False)
    return shuffled


@cache
def _seeds() -> list[int]:
    """The seed of each tree."""
    seeds: list[int] = np.random.RandomState(_SEED).randint(np.iinfo(np.int32).max, size=TREES).tolist()
    return seeds


@dataclass(frozen=True)
class _OutOfBag:
    """A tree with its out-of-bag rows and its predictions for them."""

    tree: Any
    unseen: NDArray[np.intp]
    predicted: Numbers


def _shuffled_votes(x: Singles, trees: list[_OutOfBag], shuffled: list[NDArray[np.intp]]) -> list[Numbers]:
    """For each column, the sum of the out-of-bag predictions for each row when the column is shuffled.

    Args:
        x: the params, shape (configurations, params).
        trees: the trees.
        shuffled: for each column, the row from which its value is taken, shape (repeats, configurations).

    Returns:
        The sums for each column, shape (repeats, configurations).
    """
    levels = [np.unique(column, return_inverse=True) for column in x.T]
    few = [column for column, (values, _) in enumerate(levels) if len(values) <= REPEATS]
    votes = dict(zip(few, _votes_by_value(x, trees, levels, few), strict=True))
    in_order = np.arange(len(x))
    return [
        votes[column][levels[column][1][draw], in_order] if column in votes else _votes_by_draw(x, trees, column, draw)
        for column, draw in enumerate(shuffled)
    ]


def _votes_by_value(
    x: Singles, trees: list[_OutOfBag], levels: list[tuple[Singles, NDArray[np.intp]]], few: list[int]
) -> list[Numbers]:
    """The sum of the out-of-bag predictions for each row with each value of a column in its place.

    Rows that become equal are predicted once: of a grid, hardly more rows than it has.

    Args:
        x: the params, shape (configurations, params).
        trees: the trees.
        levels: for each column, its distinct values, and the place of the value of each row among these.
        few: the columns.

    Returns:
        The sums for each of these columns, shape (values, configurations).
    """
    if not few:
        return []
    sizes = [len(levels[column][0]) for column in few]
    codes = np.repeat(np.array([code for _, code in levels])[:, None], sum(sizes), axis=1)
    for column, size, begin in zip(few, sizes, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True):
        codes[column, begin : begin + size] = np.arange(size)[:, None]
    codes = codes.reshape(len(levels), -1)
    first, place = distinct_rows(number_rows(codes))
    different = np.column_stack([values[code] for (values, _), code in zip(levels, codes[:, first], strict=True)])
    places = place.reshape(-1, len(x))
    sums = np.zeros(places.shape)
    for one in trees:
        is_unseen = np.zeros(len(x))
        is_unseen[one.unseen] = 1
        sums += np.take(one.tree.predict(different)[:, 0], places) * is_unseen
    return np.split(sums, np.cumsum(sizes)[:-1])


def _votes_by_draw(x: Singles, trees: list[_OutOfBag], column: int, draw: NDArray[np.intp]) -> Numbers:
    """The sum of the out-of-bag predictions for each row with the drawn values of a column, shape (repeats, rows)."""
    sums = np.zeros(draw.shape)
    for one in trees:
        if column not in one.tree.feature:
            sums[:, one.unseen] += one.predicted
            continue
        trial = np.tile(x[one.unseen], (len(draw), 1))
        trial[:, column] = x[draw[:, one.unseen].ravel(), column]
        sums[:, one.unseen] += one.tree.predict(trial)[:, 0].reshape(len(draw), -1)
    return sums


def _grow_trees(x: Singles, y: Numbers) -> Iterator[tuple[Any, NDArray[np.intp]]]:
    """Fully grown trees, each with its out-of-bag rows.

    Not scikit-learn's RandomForestRegressor, because its own validation of every tree takes as long as fitting a tree
    to a few hundred rows; nor weights of rows, because checking those takes a third as long. One generator is seeded
    again for each tree: creating one takes as long as fitting a small tree.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    drawer = np.random.RandomState(_SEED)
    regressor = DecisionTreeRegressor(random_state=drawer)
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for seed in _seeds():
            drawer.seed(seed)
            is_unseen = np.zeros(len(x), np.bool_)
            is_unseen[drawer.permutation(len(x))[: len(x) // 2]] = True
            seen = np.flatnonzero(~is_unseen)
            yield regressor.fit(x.take(seen, axis=0), y[seen], check_input=False).tree_, np.flatnonzero(is_unseen)


def interaction(model: Predictor, x: Numbers, first: int, second: int) -> float:
    """How much of the joint effect of two columns is not the sum of their separate effects, from 0 to about 1.

    Friedman's H² (Friedman and Popescu 2008, "Predictive learning via rule ensembles", eq. 44), from partial dependence
    on at most 60 evenly chosen rows. Correlated columns make it uncertain, because the model then extrapolates.

    Args:
        model: the fitted model.
        x: the params, shape (configurations, params).
        first: the index of one column.
        second: the index of the other column.

    Returns:
        H².
    """
    rows = x[np.unique(np.linspace(0, len(x) - 1, _PARTIAL).astype(np.intp))]
    one, other = _partial(model, rows, (first,)), _partial(model, rows, (second,))
    both = _partial(model, rows, (first, second))
    spread = float(both @ both)
    rest = both - one - other
    return float(rest @ rest) / spread if spread > 0 else 0.0


def _partial(model: Predictor, rows: Numbers, columns: tuple[int, ...]) -> Numbers:
    """The centred partial dependence at each row's values of some columns, averaged over all rows of the others."""
    count = len(rows)
    trial = np.tile(rows, (count, 1))
    for column in columns:
        trial[:, column] = np.repeat(rows[:, column], count)
    means = np.asarray(model.predict(trial), np.float64).reshape(count, count).mean(axis=1)
    return np.asarray(means - means.mean(), np.float64)


def _r_squared(y: Numbers, predicted: Numbers) -> float:
    """The coefficient of determination; 0 where y does not vary."""
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - predicted) ** 2).sum()) / spread if spread > 0 else 0.0


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
