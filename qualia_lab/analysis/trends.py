"""Shapes of one curve, judged against autocorrelated noise: a rise, a collapse, an oscillation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qualia_lab.analysis.intervals import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qualia_lab.analysis.histories import Numbers
    from qualia_lab.study.settings import Better

FEWEST_IN_TREND = 6
_MOST_IN_TREND = 200  # more points are averaged in blocks, which keeps a trend and reduces noise
_COLUMN_PS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
# For each number of points, the quantiles of the statistic over 40,000 or more Gaussian random walks that stay above
# their start, at the tail probabilities _COLUMN_PS. Less steep null hypotheses, such as stationary series, give smaller
# values.
_WALKS = {
    6: (1.45, 3.58, 5.31, 7.28, 10.28, 13.01, 16.25, 22.46, 28.54),
    8: (1.70, 4.13, 5.94, 7.82, 10.51, 12.70, 15.49, 19.20, 22.84),
    10: (1.85, 4.47, 6.45, 8.45, 11.24, 13.47, 15.95, 19.46, 21.95),
    14: (2.04, 4.98, 7.21, 9.49, 12.47, 14.80, 17.07, 20.09, 22.16),
    20: (2.16, 5.27, 7.59, 10.01, 13.29, 15.86, 18.51, 22.15, 25.92),
    30: (2.24, 5.39, 7.83, 10.27, 13.64, 16.08, 18.86, 22.51, 25.58),
    50: (2.40, 5.63, 8.10, 10.68, 14.22, 17.08, 20.00, 24.23, 26.40),
    100: (2.60, 5.81, 8.27, 10.81, 14.22, 17.09, 19.66, 23.62, 26.02),
    200: (2.96, 6.05, 8.40, 10.94, 14.59, 17.19, 20.06, 23.88, 26.25),
}

_FEWEST_AROUND_COLLAPSE = (5, 2)  # points needed before and after it
_STEPS_OF_COLLAPSE = 3
_COLLAPSE_OF_NOISE = 8.0  # times the noise of one point
_COLLAPSE_OF_GAIN = 0.5
_KEPT_OF_COLLAPSE = 0.7

_FEWEST_IN_OSCILLATION = 16
_FEWEST_CYCLES = 4
_FINER = 8  # oversampling factor of the periodogram
_HARMONICS = 3
_LEAST_SHARE = 0.6


def trend_p(values: Sequence[float] | Numbers) -> float:
    """The p value of a steady rise: how often a random walk from its lowest point rises as steadily.

    It is meant for the part of a curve after its best point (less is better). That such a part rises proves nothing,
    because it begins at the lowest value, and neighbouring points of training are correlated, so tests for independent
    points (Mann-Kendall) find trends in noise. The statistic is the rise of a fitted line or parabola over its residual
    noise. That noise is inflated for its autocorrelation (Bayley and Hammersley 1946; Hamed and Rao 1998, J. Hydrology
    204:182), which in turn is corrected for its downward bias in short series (Marriott and Pope 1954). The null
    distribution is that of simulated random walks that stay above their first point.

    Args:
        values: finite, in order, shape (points,); the first one is where the rise begins.

    Returns:
        The p value; 1 where fewer than six points follow the first.
    """
    rising = np.asarray(values, dtype=np.float64)[1:]
    if len(rising) < FEWEST_IN_TREND:
        return 1.0
    blocks = -(-len(rising) // _MOST_IN_TREND)
    if blocks > 1:
        rising = rising[len(rising) % blocks :].reshape(-1, blocks).mean(axis=1)
    scale = float(np.ptp(rising))
    if not scale > 0 or not math.isfinite(scale):
        return 1.0
    rising = (rising - rising[0]) / scale
    statistic = max(1.25 * _steadiness(rising, 1), _steadiness(rising, 2))
    sizes = np.log(list(_WALKS))
    quantiles = [np.interp(math.log(len(rising)), sizes, column) for column in zip(*_WALKS.values(), strict=True)]
    logs = np.log(_COLUMN_PS)
    if statistic > quantiles[-1]:  # the tail is nearly exponential
        slope = (logs[-1] - logs[1]) / (quantiles[-1] - quantiles[1])
        return float(math.exp(logs[-1] + slope * (statistic - quantiles[-1])))
    return float(math.exp(np.interp(statistic, [0.0, *quantiles], [0.0, *logs])))


def _steadiness(values: Numbers, degree: int) -> float:
    """The rise of a fitted polynomial over its standard error, with the residual noise inflated for autocorrelation."""
    n = len(values)
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, n), degree + 1))[0]
    fitted = basis @ (basis.T @ values)
    residuals = values - fitted
    squares = max(float(residuals @ residuals), 1e-24)
    autocorrelation = float(residuals[1:] @ residuals[:-1]) / squares
    autocorrelation = min(max(autocorrelation + 1.5 * (3 + 2 * max(autocorrelation, 0.0)) / n, 0.0), 0.97)
    error = math.sqrt(squares / (n - degree - 1) * 12 / n * (1 + autocorrelation) / (1 - autocorrelation))
    return float(fitted[-1] - fitted[0]) / error


def collapse(values: Sequence[float] | Numbers, better: Better) -> int | None:
    """The index of the point at which a curve falls to a worse level within three points and stays there.

    The point lies in the later half. The fall is at least eight times the noise of a point before it (the MAD of its
    steps, Hampel 1974), at least half of what had been gained, and nearly all of what is lost since the best point:
    where a curve gets worse gradually, half of the loss has happened before the midpoint of the fall.

    Args:
        values: finite, in order, shape (points,).
        better: the direction of the values.

    Returns:
        The index; None where there is no such fall.
    """
    curve = (-1.0 if better == "higher" else 1.0) * np.asarray(values, dtype=np.float64)
    curve, n = curve / unit_of(curve), len(curve)
    if n < sum(_FEWEST_AROUND_COLLAPSE):
        return None
    best, end_level = float(curve.min()), float(np.median(curve[-max(2, n // 20) :]))
    last_good = int(np.flatnonzero(curve <= (best + end_level) / 2)[-1])
    before = curve[: last_good + 1]
    level = float(np.median(before[-_FEWEST_AROUND_COLLAPSE[0] :]))
    fall = end_level - level
    fallen = np.flatnonzero(curve[last_good + 1 :] >= level + _KEPT_OF_COLLAPSE * fall)
    if not len(fallen) or not fall > 0:
        return None
    fall_at = last_good + 1 + int(fallen[0])
    is_placed = len(before) >= _FEWEST_AROUND_COLLAPSE[0] and n // 2 <= fall_at <= n - _FEWEST_AROUND_COLLAPSE[1]
    if not is_placed or fall_at - last_good > _STEPS_OF_COLLAPSE:
        return None
    noise = 1.4826 * float(np.median(np.abs(np.diff(before[-(n // 2) :]))))
    gained = float(before.max()) - best
    is_large = fall > max(
        _COLLAPSE_OF_NOISE * noise, _COLLAPSE_OF_GAIN * gained, _KEPT_OF_COLLAPSE * (end_level - best)
    )
    return fall_at if is_large else None


@dataclass(frozen=True)
class Oscillation:
    """A periodic component around the trend.

    Attributes:
        period: in points.
        amplitude: in the unit of the values.
        share: its share in the variance that the trend leaves, from 0 to 1.
    """

    period: float
    amplitude: float
    share: float


def oscillates(values: Sequence[float] | Numbers) -> Oscillation | None:
    """Find a periodic component of at least four cycles in the last two thirds of a curve.

    The largest ordinate of the periodogram (Schuster 1898) of the residuals of a parabola, with its two harmonics, has
    to hold 60 % of the variance, and as much as Fisher's test (1929) requires at p = 0.001. The slow waves of red noise
    are longer than a quarter of a curve.

    Args:
        values: finite, in order, shape (points,).

    Returns:
        The component; None where there is none.
    """
    n = len(values) - len(values) // 3
    if n < _FEWEST_IN_OSCILLATION:
        return None
    tail = np.asarray(values, dtype=np.float64)[-n:]
    unit = unit_of(tail)
    tail = tail / unit
    basis = np.linalg.qr(np.vander(np.linspace(-1, 1, n), 3))[0]
    residuals = tail - basis @ (basis.T @ tail)
    total = float(residuals @ residuals)
    if not total > 1e-24 * float(tail @ tail):
        return None
    grid = _FINER * n
    power = 2 * np.abs(np.fft.rfft(residuals, grid)) ** 2 / (n * total)
    power[-1] /= 1 if grid % 2 else 2
    first = _FEWEST_CYCLES * _FINER
    peak = first + int(power[first:].argmax())
    share = min(1.0, float(sum(power[peak * k] for k in range(1, _HARMONICS + 1) if peak * k < len(power))))
    by_chance = 1 - (0.001 / (n // 2)) ** (1 / (n // 2 - 1))
    if share < max(_LEAST_SHARE, by_chance):
        return None
    return Oscillation(grid / peak, unit * math.sqrt(2 * share * total / n), share)
