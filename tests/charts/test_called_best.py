"""Which run a chart or table calls best: none that takes part in no comparison, on another problem, or by a part."""

from __future__ import annotations

from qualia_lab import NotebookGenerator, load_runs
from tests.planted.store import PlantedStore, Run


def loaded(folder, runs):
    uri = PlantedStore({"e": runs}).write(folder)
    return load_runs(uri, NotebookGenerator(uri).select().run_ids)


def test_a_failed_run_is_not_called_best(tmp_path):
    curves = {f"k{lr}": [(step, 3.0 - step / 10 + lr) for step in range(5)] for lr in range(3)}
    runs = [Run(name, {"lr": name}, {"val_mae": points}) for name, points in curves.items()]
    runs.append(Run("crashed", {"lr": 9}, {"val_mae": [(0, 2.0), (1, 0.1)]}, status="FAILED"))
    charts = loaded(tmp_path, runs).plot
    comparison = charts.comparison(["val_mae"])
    assert comparison.sentence == "val_mae of 3 runs, best first: 2.6 (k0) to 4.6 (k2)."
    assert "The last row takes part in no comparison: 1 failed." in comparison.note
    assert charts.history("val_mae").sentence.endswith("Best last value: 2.6 (k0).")


def test_no_run_is_best_by_a_part_of_a_loss(tmp_path):
    runs = [
        Run(f"r{lr}-{s}", {"lr": lr, "seed": s}, {"charts/episodic_return": [(0, 0.0), (1, 9.0 + lr + s / 5)],
                                                 "losses/policy_loss": [(0, 0.1), (1, -0.01 * lr - s / 1000)]})
        for lr in (1, 2) for s in range(3)
    ]  # fmt: skip
    charted = loaded(tmp_path, runs)
    assert "Best" not in charted.plot.history("losses/policy_loss").sentence
    table = charted.paper_table(["charts/episodic_return", "losses/policy_loss"])
    best = [line for line in table.markdown.splitlines() if "**" in line]
    assert len(best) == 1 and best[0].count("**") == 2 and "losses/policy_loss ↓" not in table.markdown
    asked = charted.with_settings(greater_is_better={"losses/policy_loss": False})
    assert "Best" in asked.plot.history("losses/policy_loss").sentence


def test_runs_on_different_problems_are_no_search(tmp_path):
    scales = {"boston": 3.0, "bike": 300.0, "wine": 0.6}
    runs = [
        Run(f"{data}-{model}", {"dataset": data, "model": model}, {"rmse": scale * factor})
        for data, scale in scales.items()
        for model, factor in (("gbm", 0.8), ("mlp", 0.9), ("ridge", 1.0))
    ]
    charts = loaded(tmp_path, runs).plot
    assert repr(charts.best_so_far()) == "Not drawn: the levels of dataset are problems, not rivals."
    assert "Best" not in charts.parallel().sentence


def test_a_single_second_metric_of_training_data_is_not_denied(tmp_path):
    runs = [Run(f"r{i}", {"lr": i}, {"val_loss": 1.0 + i, "train_loss": 0.5 + i}) for i in range(3)]
    found = loaded(tmp_path, runs)
    assert repr(found.plot.pareto()) == (
        "No run has val_loss and a second objective or a cost with a known direction; metrics of training data are drawn "
        "only if they are named."
    )
    assert "No two of these metrics" in repr(found.relations.trade_offs(["val_loss"]))


def test_repeats_of_few_configurations_are_no_search(tmp_path):
    runs = [Run(f"{m}{s}", {"model": m, "seed": s}, {"val_f1": 0.8 + s / 100}) for m in "ab" for s in range(4)]
    generator = NotebookGenerator(PlantedStore({"e": runs}).write(tmp_path))
    selection = generator.select()
    left_out = dict(generator.plan(selection).left_out)
    assert left_out["How the search went"].startswith("most configurations ran more than once")
