"""What failed runs have in common, against scipy; logs are recognised by name and cut as a terminal shows them."""

from __future__ import annotations

import random

import pytest
from scipy.stats import fisher_exact

from qualia_lab.analysis.endings import endings, error_tags
from qualia_lab.analysis.log_tails import LINE_WIDTH, last_lines, looks_like_log
from qualia_lab.analysis.models import model_folders, named_models
from qualia_lab.analysis.shared_values import shared_values
from qualia_lab.inventory import take_inventory
from qualia_lab.schema import EXPERIMENTS, LOGGED_MODELS, METRICS, PARAMS, RUNS, TAGS
from qualia_lab.study import describe_study
from qualia_lab.tables import run_tables, table_of

DAY = 86_400_000


def tables_of(runs, params=(), tags=(), metrics=(), models=()):
    """Tables of runs given as (id, status, start, end); the others as (id, key, value), models as (id, name)."""
    return run_tables(
        experiments=table_of(EXPERIMENTS, [{"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}]),
        runs=table_of(
            RUNS,
            [{"run_id": i, "experiment_id": "1", "status": s, "start_time": a, "end_time": b} for i, s, a, b in runs],
        ),
        params=table_of(PARAMS, [{"run_id": i, "key": k, "value": v} for i, k, v in params]),
        tags=table_of(TAGS, [{"run_id": i, "key": k, "value": v} for i, k, v in tags]),
        metrics=table_of(
            METRICS, [{"run_id": i, "key": k, "value": v, "step": 0, "timestamp": 0} for i, k, v in metrics]
        ),
        logged_models=table_of(LOGGED_MODELS, [{"run_id": i, "model_id": "m", "name": n} for i, n in models]),
    )


def shared(tables, wrong, others):
    """What the failed runs share, by the study of these tables."""
    return shared_values(tables, describe_study(tables, take_inventory(tables)), wrong, others)


def runs_with_failures(failed, finished, value_of):
    """Runs of one day with the params that `value_of(place)` returns; the first ones failed."""
    runs = [(f"r{place}", "FAILED" if place < failed else "FINISHED", 0, 1000) for place in range(failed + finished)]
    params = [(run_id, key, value) for place, (run_id, *_) in enumerate(runs) for key, value in value_of(place).items()]
    return tables_of(runs, params), [r[0] for r in runs[:failed]], [r[0] for r in runs[failed:]]


@pytest.mark.parametrize("seed", range(20))
def test_p_is_that_of_fishers_exact_test(seed):
    dice = random.Random(seed)
    tables, failed, finished = runs_with_failures(
        dice.randint(2, 9), dice.randint(2, 20), lambda _: {key: dice.choice("abc") for key in ("x", "y")}
    )
    found = shared(tables, failed, finished)
    for one in found:
        counts = [[one.wrong_with, one.wrong - one.wrong_with], [one.others_with, one.others - one.others_with]]
        assert one.p == pytest.approx(fisher_exact(counts, alternative="greater").pvalue)
        assert one.p <= one.corrected_p <= 1
    assert [one.p for one in found] == sorted(one.p for one in found)


def test_a_value_shared_by_all_failed_runs_is_first_and_significant():
    tables, failed, finished = runs_with_failures(
        5,
        20,
        lambda place: {"batch": "4096" if place < 5 else "64", "seed": str(place), "same": "1", "own": f"v{place}"},
    )
    first, *rest = shared(tables, failed, finished)
    assert (first.kind, first.key, first.relation, first.value) == ("param", "batch", "=", "4096")
    assert (first.wrong_with, first.wrong, first.others_with, first.others) == (5, 5, 0, 20)
    assert first.corrected_p < 0.001
    assert rest == []  # a seed, a constant and a unique value carry no information


def test_random_failures_hardly_ever_share_a_significant_value():
    significant = 0
    for seed in range(200):
        dice = random.Random(seed)
        tables, failed, finished = runs_with_failures(
            6, 30, lambda _, dice=dice: {f"p{n}": dice.choice("abcd") for n in range(8)}
        )
        significant += any(one.corrected_p <= 0.05 for one in shared(tables, failed, finished))
    assert significant <= 10  # 5 % of 200


def test_thresholds_and_missing_params_are_compared():
    tables, failed, finished = runs_with_failures(
        4,
        12,
        lambda place: (
            {"lr": str(1 + place / 100 if place < 4 else place / 1000)} | ({} if place < 4 else {"warm": "1"})
        ),
    )
    found = {(one.key, one.relation, one.value): one for one in shared(tables, failed, finished)}
    above = found["lr", ">=", "1.0"]
    assert (above.wrong_with, above.others_with) == (4, 0)
    missing = found["warm", "=", None]
    assert (missing.wrong_with, missing.others_with) == (4, 0)


def test_tags_code_and_day_are_compared_and_outcome_tags_are_not():
    runs = [(f"r{n}", "FAILED" if n < 3 else "FINISHED", 0 if n < 3 else DAY, None) for n in range(12)]
    tags = [(r, "augment", "a" if s == "FAILED" else "b") for r, s, *_ in runs]
    tags += [(r, "mlflow.source.git.commit", "bad" if s == "FAILED" else "good") for r, s, *_ in runs]
    tags += [(r, "error", "out of memory") for r, s, *_ in runs if s == "FAILED"]
    tags += [(r, "exit_code", "1") for r, s, *_ in runs if s == "FAILED"]
    found = shared(tables_of(runs, tags=tags), {"r0", "r1", "r2"}, {f"r{n}" for n in range(3, 12)})
    assert {(one.kind, one.key, one.value) for one in found if one.wrong_with == 3} == {
        *(("tag", "augment", "a"), ("origin", "git commit", "bad"), ("time", "started on", "1970-01-01"))
    }
    assert len({one.corrected_p for one in found}) == 1  # conditions with the same runs are one test


def test_runs_are_grouped_by_status_with_failed_ones_first():
    tables = tables_of(
        [("a", "FINISHED", 0, 4000), ("b", "FAILED", 5, 1005), ("c", None, None, None), ("d", "FINISHED", 9, None)],
        metrics=[("a", "loss", 1.0)],
        tags=[("b", "error", "boom"), ("b", "mlflow.error", "x"), ("a", "mirror", "no error")],
    )
    found = endings(tables)
    assert [(one.status, one.run_ids) for one in found] == [
        *(("FAILED", ("b",)), ("FINISHED", ("a", "d")), ("UNKNOWN", ("c",)))
    ]
    assert [one.seconds for one in found] == [(1.0,), (4.0,), ()]  # no duration without an end
    assert [one.without_metrics for one in found] == [1, 1, 1]
    assert error_tags(tables) == {"b": "boom"}


@pytest.mark.parametrize(
    ("path", "log"),
    [
        *(("train.log", True), ("logs/train.log.2", True), ("stdout", True), ("run/stderr.txt", True)),
        *(("slurm-12.out", True), ("traceback.txt", True), ("logs.txt", True), ("error_log", True)),
        *(("blog.html", False), ("catalog.csv", False), ("logs.json", False), ("model.pkl", False)),
        *(("logistic.txt", False), ("output.csv", False), ("README.md", False), ("dialog.txt", False)),
    ],
)
def test_logs_are_recognised_by_their_names(path, log):
    assert looks_like_log(path) is log


def test_the_last_lines_of_a_log_are_those_of_a_terminal():
    text = 'start\n\x1b[31mred\x1b[0m\n 10%\r 50%\r100%\nTraceback:\n  File "x"\n\n\n'
    assert last_lines(text, 3) == (("100%", "Traceback:", '  File "x"'), 5)
    assert last_lines(text, 99)[0][:2] == ("start", "red")
    assert last_lines("", 5) == ((), 0)
    [line], _ = last_lines("x" * 5000 + "end", 5)
    assert line.endswith("end")
    assert len(line) < LINE_WIDTH + 5


def test_models_are_found_in_tables_tags_and_files():
    history = '[{"artifact_path": "model"}, {"artifact_path": "second"}, 3, {"artifact_path": 4}]'
    tables = tables_of(
        [(i, "FINISHED", 0, 1) for i in "abcd"],
        tags=[
            (run_id, "mlflow.log-model.history", text)
            for run_id, text in (("b", history), ("c", "{damaged"), ("d", "[" * 100_000))
        ],
        models=[("a", "gbm")],
    )
    assert named_models(tables) == {"a": ("gbm",), "b": ("model", "second")}
    assert model_folders(["a/MLmodel", "a/model.pkl", "MLmodel", "notMLmodel"]) == ("a", "model")
