"""The chart of an answer: configurations in its order, and beside them the curves of the first ones."""

from __future__ import annotations

import pytest

from qualia_lab.charts.marks import Line, Points
from qualia_lab.runs.message import Message
from tests.planted import logging_conventions
from tests.planted.store import PlantedStore, Run

from .test_evidence import runs_of


def with_curves(configurations, seeds=3, steps=8):
    """Runs whose accuracy rises to a level that their width determines, so that the widest leads."""
    return [
        Run(
            f"w{width}-{seed}",
            {"width": 2**width, "seed": seed},
            {"val_acc": [(step, 0.5 + 0.03 * width + 0.02 * step + 0.002 * seed) for step in range(steps)]},
        )
        for width in range(configurations)
        for seed in range(seeds)
    ]


def test_leading_configurations_come_first_and_their_runs_are_curves():
    runs = runs_of(PlantedStore({"x": [*with_curves(5), Run("alone", {"width": 99}, {"val_acc": 0.99})]}))
    chart = runs.plot.answer()
    configurations, curves = chart.panels
    assert [text for _, text in configurations.y.ticks] == [
        *(f"width={2**width} (n=3)" for width in reversed(range(5))),
        "width=99 (n=1)",  # ran once: no rival, though its value is the best
    ]
    drawn = {mark.runs for mark in curves.marks if isinstance(mark, Line)}
    names = dict(zip(runs.tables.run_ids, runs.tables.runs.column("run_name").to_pylist(), strict=True))
    assert {names[run_id] for run_id in drawn} == {f"w{width}-{seed}" for width in (4, 3, 2) for seed in range(3)}
    assert "those that ran once after the others" in chart.sentence
    # A mean has the colour of the curves of its configuration.
    colours = {names[mark.runs][:2]: mark.colour for mark in curves.marks if isinstance(mark, Line)}
    means = [mark for mark in configurations.marks if isinstance(mark, Points)][-1]
    assert means.colours[:3] == (colours["w4"], colours["w3"], colours["w2"])
    assert len(set(means.colours[:3])) == 3


def test_at_most_eight_configurations_and_three_experiments_are_drawn():
    store = PlantedStore(
        {
            f"experiment {n}": [Run(f"{n}-{k}", {"lr": k}, {"val_acc": 0.5 + k / 100}) for k in range(14 - n)]
            for n in range(5)
        }
    )
    chart = runs_of(store).plot.answer()
    assert [panel.title for panel in chart.panels] == ["experiment 0", "experiment 1", "experiment 2"]
    assert [len(panel.y.ticks) for panel in chart.panels] == [8, 8, 8]
    assert "Showing 3 of 5 experiments" in chart.note
    assert "Showing the first 8 of 14 configurations" in chart.note


def test_a_run_has_its_own_name_where_nothing_is_repeated():
    chart = runs_of(PlantedStore({"x": [Run(f"r{k}", {"lr": k}, {"val_acc": k / 10}) for k in range(3)]})).plot.answer()
    assert [text for _, text in chart.panels[0].y.ticks] == ["r2 (n=1)", "r1 (n=1)", "r0 (n=1)"]


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (PlantedStore({"x": [Run("a", {}, {"quux": 1.0}), Run("b", {}, {"quux": 2.0})]}), "higher values of quux"),
        (PlantedStore({"x": [Run("a")]}), "None of these runs has a metric"),
        (logging_conventions.better_on_every_data_set(1).store, "are problems, not rivals"),
    ],
)
def test_a_message_says_why_there_is_no_chart(store, words):
    message = runs_of(store).plot.answer()
    assert isinstance(message, Message)
    assert words in repr(message)


def test_a_single_configuration_has_one_row():
    chart = runs_of(PlantedStore({"x": with_curves(1, seeds=4)})).plot.answer()
    assert [text for _, text in chart.panels[0].y.ticks] == ["all runs (n=4)"]
    assert "the curves of these" in chart.title
