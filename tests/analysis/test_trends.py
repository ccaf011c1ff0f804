"""Shapes of curves: how often they occur in noise of several kinds, and how often planted ones are found."""

from __future__ import annotations

import numpy as np
import pytest

from qualia_lab.analysis.trends import collapse, oscillates, trend_p


def autoregressive(generator, n, coefficient):
    values = np.zeros(n + 100)
    for at, drawn in enumerate(generator.normal(size=n + 99), 1):
        values[at] = coefficient * values[at - 1] + drawn
    return values[100:]


NOISE = {
    "random walk": lambda generator, n: np.cumsum(generator.normal(size=n)),
    "white": lambda generator, n: generator.normal(size=n),
    "AR(0.9)": lambda generator, n: autoregressive(generator, n, 0.9),
    "AR(0.9) after a fall": lambda generator, n: (
        3 * np.exp(-np.arange(n) / (n / 6)) + 0.05 * autoregressive(generator, n, 0.9)
    ),
}


def noise(kind, runs):
    generator = np.random.default_rng(11)
    return [NOISE[kind](generator, int(generator.integers(20, 301))) for _ in range(runs)]


def falling_then_rising(generator, points, deviation, bend=1.0):
    """A fall by two followed by a rise by one over `points` points."""
    before = int(generator.integers(5, 30))
    fall = 2 * np.exp(-np.arange(before) / (before / 4))
    rise = np.linspace(0, 1, points + 1)[1:] ** bend
    return np.concatenate((fall - fall[-1], rise)) + generator.normal(0, deviation, before + points)


def from_the_best(values):
    return trend_p(values[int(values.argmin()) :])


@pytest.mark.parametrize("kind", list(NOISE))
def test_at_most_2_percent_of_noise_curves_rise_after_their_best_point(kind):
    assert np.mean([from_the_best(one) < 0.02 for one in noise(kind, 900)]) <= 0.02


def test_p_is_uniform_for_random_walks_above_their_start():
    generator = np.random.default_rng(1)
    for n in (7, 12, 40, 150):
        walks = np.cumsum(generator.normal(size=(40_000, n)), axis=1)
        ps = [trend_p([0.0, *walk]) for walk in walks[(walks > 0).all(axis=1)][:1000]]
        for p in (0.5, 0.1, 0.02):
            assert np.mean(np.array(ps) < p) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 1000))


@pytest.mark.parametrize(
    ("points", "deviation", "p", "power"),
    [(10, 0.05, 0.05, 0.9), (20, 0.05, 0.02, 0.9), (30, 0.1, 0.05, 0.9), (50, 0.1, 0.02, 0.9), (1000, 0.1, 0.02, 1)],
)
def test_a_rise_after_the_best_point_is_found(points, deviation, p, power):
    generator = np.random.default_rng(points)
    found = [from_the_best(falling_then_rising(generator, points, deviation)) < p for _ in range(300)]
    assert np.mean(found) >= power


@pytest.mark.parametrize("bend", [0.5, 2.0])
def test_a_curved_rise_is_found(bend):
    generator = np.random.default_rng(3)
    found = [from_the_best(falling_then_rising(generator, 30, 0.05, bend)) < 0.02 for _ in range(200)]
    assert np.mean(found) >= 0.9


def test_falling_constant_and_short_curves_do_not_rise():
    assert trend_p(np.linspace(1, 0, 30)) > 0.5
    assert trend_p([0.5] * 30) == 1
    assert trend_p([0, 1, 2, 3, 4, 5]) == 1
    assert trend_p(np.arange(30.0)) < 0.001
    assert trend_p(np.arange(30.0) * 1e300) < 0.001


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_late_collapse_is_located_and_is_no_trend(share, better):
    generator = np.random.default_rng(0)
    for n in (40, 200):
        begins = n - max(2, int(share * n))
        curve = 0.3 + 2 * np.exp(-np.arange(n) / (n / 8)) + generator.normal(0, 0.03, n)
        curve[begins:] = 2.3 + generator.normal(0, 0.03, n - begins)
        assert collapse(curve if better == "lower" else -curve, better) == begins
        assert collapse(curve if better == "higher" else -curve, better) is None
        assert from_the_best(curve) > 0.05


def test_gradual_rises_spikes_and_noise_are_no_collapse():
    assert collapse([1, 0.5, 0.3, 0.2, 0.21, 0.2, 0.19, 0.2, 0.5, 0.8, 1, 1, 1, 1], "lower") == 9
    generator = np.random.default_rng(2)
    for points in (10, 30, 100):
        for _ in range(100):
            assert collapse(falling_then_rising(generator, points, 0.05), "lower") is None
    assert collapse([1, 0.5, 0.3, 0.2, 0.21, 0.2, 0.19, 0.2, 0.2, 0.2, 3.0, 0.2, 0.2, 0.2], "lower") is None
    for kind in NOISE:
        assert np.mean([collapse(one, "lower") is not None for one in noise(kind, 300)]) <= 0.01


@pytest.mark.parametrize("period", [2, 3, 4.3, 11])
@pytest.mark.parametrize("is_square", [False, True])
def test_an_oscillation_is_found_with_its_period_and_amplitude(period, is_square):
    generator = np.random.default_rng(4)
    at = np.arange(100)
    wave = np.sin(2 * np.pi * (at + 0.3) / period)
    wave = np.sign(wave) if is_square else wave
    found = oscillates(2 * np.exp(-at / 15) + 0.3 * wave + generator.normal(0, 0.05, 100))
    assert found.period == pytest.approx(period, rel=0.05)
    assert found.amplitude == pytest.approx(0.3 * np.std(wave) * np.sqrt(2), rel=0.35)
    assert 0.6 <= found.share <= 1


def test_noise_and_smooth_curves_do_not_oscillate():
    for kind in NOISE:
        assert np.mean([oscillates(one) is not None for one in noise(kind, 500)]) <= 0.01
    assert oscillates(np.exp(-np.arange(60) / 10)) is None
    assert oscillates([1.0] * 60) is None
    assert oscillates([1.0, 2.0] * 4) is None
