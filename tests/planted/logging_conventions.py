"""Synthetic stores with known truth in various logging conventions: names, scales, frameworks, few or many points."""

from __future__ import annotations

import math
import random

from .facts import Fact, Planted
from .store import PlantedStore, Run

WINNER = ("best_configuration",)


def _names(runs, key, value):
    return {run.name for run in runs if str(run.params.get(key, run.tags.get(key))) == str(value)}


def _decay(rng, points, start, end, noise, *, tau=None, every=1):
    """Points of an exponential decay from one value to another, one at every `every` steps."""
    tau = tau or points / 5
    return [
        (every * place, end + (start - end) * math.exp(-place / tau) + rng.gauss(0, noise)) for place in range(points)
    ]


def pretrained_weights(seed: int) -> Planted:
    """Models named by the file of their weights, as ultralytics logs them, with three seeds each."""
    rng = random.Random(seed)
    runs = [
        Run(f"{model}-{s}", {"model": f"{model}.pt", "imgsz": 640, "save_dir": f"runs/detect/{model}{s}", "seed": s},
            {"metrics/mAP50-95B": _decay(rng, 40, 0.02, level + rng.gauss(0, 0.004), 0.002),
             "val/box_loss": _decay(rng, 40, 2, 1.1, 0.02)})
        for model, level in (("yolov8n", 0.30), ("yolov8s", 0.42), ("yolov8m", 0.36)) for s in range(3)
    ]  # fmt: skip
    leader = _names(runs, "model", "yolov8s.pt")
    return Planted("pretrained_weights", PlantedStore({"detect": runs}), [Fact(WINNER, leader)], ("plateau",))


def better_on_every_data_set(seed: int) -> Planted:
    """A method that is better on each of seven data sets, which differ much more; all factors are tags."""
    rng = random.Random(seed)
    runs = []
    for place, data in enumerate(("esol", "lipo", "bace", "hiv", "tox21", "sider", "muv")):
        level = rng.uniform(0.5, 0.9)
        runs += [
            Run(f"{data}_{how}", {"lr": 0.01}, {"roc_auc": level + gain + rng.gauss(0, 0.005)},
                {"augmentation": how, "dataset": data, "order": str(place)})
            for how, gain in (("mixup", 0.05), ("cutout", 0.0))
        ]  # fmt: skip
    return Planted(
        "better_on_every_data_set", PlantedStore({"molecules": runs}),
        [Fact(("factor_effect",), {run.name for run in runs}, {"augmentation"}, ("7 of 7",))],
        never=("between values of dataset", "varies with dataset"),
    )  # fmt: skip


def different_scales(seed: int) -> Planted:
    """A descriptor with two thirds of the error on each of six molecules; errors differ by orders of magnitude."""
    rng = random.Random(seed)
    runs = []
    for place, molecule in enumerate(("aspirin", "ethanol", "toluene", "uracil", "benzene", "naphthalene")):
        runs += [
            Run(f"{molecule}-{kind}-{s}", {}, {"test_mae": share * 3.0**place * math.exp(rng.gauss(0, 0.05))},
                {"molecule": molecule, "descriptor": kind, "model_seed": str(s)})
            for kind, share in (("soap", 1.0), ("mace", 0.65)) for s in range(2)
        ]  # fmt: skip
    return Planted(
        "different_scales", PlantedStore({"forces": runs}),
        [Fact(("factor_effect",), {run.name for run in runs}, {"descriptor"}, ("descriptor=mace", "6 of 6"))],
        never=("molecule=",),
    )  # fmt: skip


def equal_methods_on_data_sets(seed: int) -> Planted:
    """Three equal methods on each of eight data sets: the effect of the data set is no finding."""
    rng = random.Random(seed)
    runs = []
    for data in range(8):
        level = rng.uniform(0.3, 0.9)
        runs += [
            Run(
                f"{method}-{data}",
                {"method": method, "dataset": f"ds{data}"},
                {"accuracy": level + rng.gauss(0, 0.02)},
            )
            for method in ("base", "ours", "other")
        ]
    return Planted("equal_methods_on_data_sets", PlantedStore({"benchmark": runs}), [], WINNER, never=("leads",))


def guessing(seed: int) -> Planted:
    """Two classes that no run has learned to distinguish."""
    rng = random.Random(seed)
    runs = [
        Run(f"g{i}", {"lr": 10.0 ** (-i)}, {"val_accuracy": [(k, 0.5 + rng.gauss(0, 0.008)) for k in range(20)]})
        for i in range(6)
    ]
    return Planted(
        "guessing", PlantedStore({"coins": runs}), [Fact(("saturated",), {run.name for run in runs})], WINNER
    )  # fmt: skip


def killed_and_continued(seed: int) -> Planted:
    """A run that was killed and another one that continues it: one training, and no failure."""
    rng = random.Random(seed)
    runs = [
        Run(f"{kind}{s}", {"encoder": kind, "seed": s}, {"val_acc": _decay(rng, 30, 0.3, level, 0.004)})
        for kind, level in (("conv", 0.8), ("mlp", 0.7)) for s in range(3)
    ]  # fmt: skip
    whole = _decay(rng, 30, 0.3, 0.8, 0.004)
    params = {"encoder": "conv", "seed": 3}
    runs += [
        Run("begun", params, {"val_acc": whole[:15]}, status="KILLED"),
        Run("ended", params, {"val_acc": whole[15:]}, {"resumed_from": "begun"}),
    ]
    leader = {"conv0", "conv1", "conv2", "ended"}
    return Planted("killed_and_continued", PlantedStore({"preempted": runs}), [Fact(WINNER, leader)], ("plateau",))


def epochs_and_batches(seed: int) -> Planted:
    """Half of the runs count steps in epochs and half in batches; all were trained equally long."""
    rng = random.Random(seed)
    runs = [
        Run(f"s{i}", {"width": 2 ** (3 + i // 2), "seed": i % 2},
            {"val_acc": _decay(rng, 30, 0.1, 0.8, 0.01, tau=3, every=391 if i % 2 else 1)})
        for i in range(8)
    ]  # fmt: skip
    return Planted("epochs_and_batches", PlantedStore({"units": runs}), [], (*WINNER, "plateau", "seeds_vary_more"))


def early_stopping(seed: int) -> Planted:
    """Early stopping ends runs at different epochs, each when it no longer improved."""
    rng = random.Random(seed)
    runs = []
    for i in range(10):
        points = rng.randint(20, 80)
        params = {"lr": f"{10 ** rng.uniform(-4, -2):.1e}", "early_stopping_patience": 10}
        loss = _decay(rng, points, 2, 0.4 + 0.02 * rng.random(), 0.006, tau=points / 7)
        runs.append(Run(f"p{i}", params, {"val_loss": loss}))
    return Planted("early_stopping", PlantedStore({"patience": runs}), [], (*WINNER, "plateau", "monotone"))


def hugging_face(seed: int) -> Planted:
    """Three learning rates with three seeds, evaluated every 50 steps; the middle one is best by eight deviations."""
    rng = random.Random(seed)
    runs = []
    for rate, level in ((1e-5, 0.80), (3e-5, 0.88), (1e-4, 0.82)):
        for s in (13, 42, 87):
            metrics = {
                "loss": _decay(rng, 30, 0.7, 0.2, 0.02, every=10),
                "eval_loss": _decay(rng, 6, 0.65, 0.35, 0.01, every=50),
                "eval_accuracy": _decay(rng, 6, 0.5, level, 0.01, tau=0.8, every=50),
                "learning_rate": [(10 * k, rate * (1 - k / 30)) for k in range(30)],
                "grad_norm": [(10 * k, abs(rng.gauss(3, 1))) for k in range(30)],
                "epoch": [(10 * k, k / 10) for k in range(30)],
                "train_runtime": rng.uniform(100, 120),
            }
            params = {"learning_rate": rate, "seed": s, "num_train_epochs": 3, "output_dir": f"out/{rate}/{s}"}
            runs.append(Run(f"bert-{rate}-{s}", params, metrics))
    leader = _names(runs, "learning_rate", 3e-5)
    return Planted("hugging_face", PlantedStore({"glue": runs}), [Fact(WINNER, leader)], ("matters",))


def sparse_validation(seed: int) -> Planted:
    """Validation every five epochs; two of six runs overfit."""
    rng = random.Random(seed)
    runs, bad = [], set(rng.sample(range(6), 2))
    for i in range(6):
        held_out = _decay(rng, 80, 1.2, 0.4, 0.012, tau=12)
        if i in bad:
            held_out = [(step, value + max(0, step - 30) * 0.012) for step, value in held_out]
        metrics = {"loss": _decay(rng, 80, 1.2, 0.05, 0.01), "val_loss": held_out[4::5]}
        runs.append(Run(f"k{i}", {"units": 2 ** (5 + i)}, metrics))
    return Planted(
        "sparse_validation", PlantedStore({"keras": runs}), [Fact(("overfitting",), {f"k{i}" for i in bad})],
        (*WINNER, "plateau"),
    )  # fmt: skip


def pruned_trials(seed: int) -> Planted:
    """Thirty trials of a study, some pruned, under their parent; only the rate matters, with its optimum inside."""
    rng = random.Random(seed)
    runs = [Run("study", {"n_trials": 30}, {"best_value": 0.3})]
    for i in range(34):
        rate, pruned = 10 ** rng.uniform(-5, -1), i > 8 and rng.random() < 0.2
        value = 0.3 + 0.1 * (math.log10(rate) + 3) ** 2 + rng.gauss(0, 0.015) + 0.5 * pruned
        state = {"state": f"TrialState.{'PRUNED' if pruned else 'COMPLETE'}", "direction": "MINIMIZE", "number": i}
        params = {"lr": rate, "depth": rng.randint(2, 8)}
        runs.append(Run(f"trial-{i}", params, {"val_loss": value}, state, parent="study"))
    return Planted(
        "pruned_trials", PlantedStore({"optuna": runs}), [Fact(("matters",), None, {"lr"})], WINNER,
        never=("study leads", "with depth"),
    )  # fmt: skip


def boolean_spellings(seed: int) -> Planted:
    """One boolean param, spelled True and true."""
    rng = random.Random(seed)
    runs = [
        Run(f"{on}{s}", {"use_bn": str(on).lower() if s % 2 else str(on), "seed": s},
            {"val_iou": 62 + 5 * on + rng.gauss(0, 0.8)})
        for on in (True, False) for s in range(6)
    ]  # fmt: skip
    leader = {f"True{s}" for s in range(6)}
    return Planted("boolean_spellings", PlantedStore({"segment": runs}), [Fact(WINNER, leader)], ("factor_effect",))


def out_of_memory(seed: int) -> Planted:
    """All runs with a batch size of 512 or more fail, whatever their other params."""
    rng = random.Random(seed)
    runs = []
    for i in range(40):
        batch = rng.choice([64, 128, 256, 512, 1024])
        params = {"batch": batch, "net": rng.choice(["tiny", "base"]), "lr": rng.choice([0.1, 0.01])}
        metrics = {} if batch >= 512 else {"val_acc": rng.gauss(0.8, 0.02)}
        runs.append(Run(f"m{i}", params, metrics, status="FAILED" if batch >= 512 else "FINISHED"))
    failed = {run.name for run in runs if run.status == "FAILED"}
    return Planted(
        "out_of_memory", PlantedStore({"gpu": runs}),
        [Fact(("failed_apart",), failed, {"batch"}, ("batch ≥ 512",))], (*WINNER, "seeds_vary_more", "factor_effect"),
    )  # fmt: skip


def reinforcement_learning(seed: int) -> Planted:
    """PPO against A2C with five seeds each; value and policy losses fluctuate."""
    rng = random.Random(seed)
    runs = []
    for algorithm, level in (("PPO", 180), ("A2C", 120)):
        for s in range(5):
            steps = [2048 * k for k in range(60)]
            metrics = {
                "rollout/ep_rew_mean": _decay(rng, 60, -200, rng.gauss(level, 10), 8, tau=8, every=2048),
                "train/value_loss": [(k, abs(rng.gauss(0, 1)) * (1 + 30 * k / (9000 + k))) for k in steps],
                "train/policy_gradient_loss": [(k, rng.gauss(-0.01, 0.01)) for k in steps],
                "train/approx_kl": [(k, abs(rng.gauss(0.01, 0.003))) for k in steps],
                "time/fps": [(k, rng.gauss(900, 20)) for k in steps],
            }
            runs.append(Run(f"{algorithm}_{s}", {"algo": algorithm, "seed": s}, metrics))
    leader = _names(runs, "algo", "PPO")
    return Planted("reinforcement_learning", PlantedStore({"sb3": runs}), [Fact(WINNER, leader)], ("plateau",))


def experiments_of_equal_models(seed: int) -> PlantedStore:
    """Five experiments of three equal models, four seeds each, one of which might win by luck."""
    rng = random.Random(seed)
    return PlantedStore(
        {
            f"task{task}": [
                Run(f"{task}-{model}-{s}", {"model": model, "seed": s}, {"rmse": rng.gauss(3 + task, 0.2)})
                for model in "abc"
                for s in range(4)
            ]
            for task in range(5)
        }
    )


def experiments_of_noise(seed: int) -> PlantedStore:
    """Two, four or eight experiments without any difference: models over seeds, single runs, or grids."""
    rng = random.Random(seed)
    shapes = {
        "models": [{"model": model, "seed": s} for model in "abcd" for s in range(3)],
        "single": [{"lr": 10 ** rng.uniform(-4, -1), "depth": rng.randint(1, 9)} for _ in range(12)],
        "grid": [{"lr": lr, "depth": depth, "seed": s} for lr in (0.1, 0.01) for depth in (1, 2, 4) for s in range(3)],
    }
    return PlantedStore(
        {
            f"task{task}": [
                Run(f"{task}-{place}", params, {"rmse": rng.gauss(3 + task, 0.2)})
                for place, params in enumerate(shapes[rng.choice(sorted(shapes))])
            ]
            for task in range(rng.choice([2, 4, 8]))
        }
    )


SHAPES = (
    pretrained_weights,
    better_on_every_data_set,
    different_scales,
    equal_methods_on_data_sets,
    guessing,
    killed_and_continued,
    epochs_and_batches,
    early_stopping,
    hugging_face,
    sparse_validation,
    pruned_trials,
    boolean_spellings,
    out_of_memory,
    reinforcement_learning,
)
