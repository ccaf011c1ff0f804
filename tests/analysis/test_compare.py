"""The comparison of two sides: how they are read, isolated, paired and tested."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from qualia_lab.analysis.compare import compare_sides
from qualia_lab.analysis.sides import read_side
from qualia_lab.errors import NoRunMatches, SelectionError
from qualia_lab.study import StudySettings
from tests.planted.store import Run

from .study_samples import evidence_of

COMMIT = "mlflow.source.git.commit"


def sides(*, sizes=(32, 32), commits=("a", "a"), gain=0.1, data=(None, None), n=5, seeds=True, seed=7):
    dice = random.Random(seed)
    return [
        Run(
            f"{kind}-{s}", {"attention": kind, "batch_size": size, **({"seed": s} if seeds else {})},
            {"val_acc": level + dice.gauss(0, 0.005)}, {COMMIT: commit * 40}, data=digest and ("train", digest),
        )
        for kind, size, level, commit, digest in zip(("full", "none"), sizes, (0.8 + gain, 0.8), commits, data, strict=True)
        for s in range(n)
    ]  # fmt: skip


def compared(runs, a="attention=full", b="attention=none", metric=None, claimed=None, settings=None, **more):
    evidence = evidence_of(runs, settings)
    texts = (a, b)
    read = [read_side(evidence.tables, evidence.study, text) for text in texts]
    return compare_sides(evidence.tables, evidence.study, *read, metric, claimed, labels=texts, **more)


def names(runs, text):
    evidence = evidence_of(runs)
    return [evidence.labels[run_id] for run_id in read_side(evidence.tables, evidence.study, text)]


def test_a_side_is_read_as_id_name_key_value_or_filter():
    runs = [
        Run("one", {"lr": "0.10", "a.b": "x"}, {"acc": 1.0}, {"kind": "k"}),
        Run("lr=0.1", {"lr": "1e-1"}, {"acc": 2.0}, {"kind": "l"}),
        Run("two", {"lr": "0.2"}, {"acc": 3.0}),
        Run("three", {"lr": "0.3"}, {"acc": 4.0}),
    ]
    assert names(runs, f"{1:032x}") == ["one"]
    assert names(runs, "lr=0.1") == ["lr=0.1"]  # a run's name comes first
    assert names(runs, "params.lr=0.1") == ["one", "lr=0.1"]
    assert names(runs, "lr = 1e-1 ") == ["one", "lr=0.1"]
    assert names(runs, "kind=k") == names(runs, "tags.kind=k") == names(runs, "a.b=x") == ["one"]
    assert names(runs, "metrics.acc > 2") == ["two", "three"]
    assert names(runs, "params.lr = '0.2' OR metrics.acc = 4") == ["two", "three"]
    with pytest.raises(NoRunMatches, match=r"No run has lr=7. Its values are: 0.10, 1e-1, 0.2, 0.3"):
        names(runs, "lr=7")
    with pytest.raises(NoRunMatches, match="No run matches"):
        names(runs, "metrics.acc > 9")
    with pytest.raises(SelectionError, match=r"tree is no run id.*Did you mean three\?"):
        names(runs, "tree")


def test_runs_paired_by_seed_match_scipy_and_are_isolated():
    runs = sides()
    found = compared(runs, claimed="attention")
    a, b = ([run.metrics["val_acc"] for run in runs if run.name.startswith(side)] for side in ("full", "none"))
    expected = stats.ttest_rel(a, b)
    assert (found.verdict, found.isolated, found.pairs, found.paired_by) == ("better", True, 5, ("seed",))
    assert found.comparison.p == pytest.approx(expected.pvalue)
    assert found.comparison.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert found.sentences[1] == "They differ in attention (full against none) alone: the comparison is isolated."
    assert compared(runs, "attention=none", "attention=full").verdict == "worse"


def test_a_comparison_is_shown_as_sentences_and_escaped_in_html():
    runs = [Run(f"<b>{run.name}", run.params, run.metrics) for run in sides()]
    found = compared(runs, "<b>full-0", "attention=none")
    assert repr(found).splitlines() == list(found.sentences)
    page = found._repr_html_()
    assert page.startswith("<p><b>Too few runs to tell A (") and "<b>full-0" not in page


def test_runs_without_seeds_are_compared_by_welchs_test():
    runs = sides(seeds=False)
    a, b = ([run.metrics["val_acc"] for run in runs if run.name.startswith(side)] for side in ("full", "none"))
    found = compared(runs)
    assert (found.pairs, found.comparison.test) == (None, "Welch's t")
    assert found.comparison.p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"sizes": (64, 32)}, {("param", "batch_size", "64", "32")}),
        ({"commits": ("a", "b")}, {("commit", COMMIT, "a" * 40, "b" * 40)}),
        ({"data": ("d1", "d2")}, {("data", "train (training)", "d1", "d2"), ("data", "train", "d1", "d2")}),
    ],
)
def test_other_differences_are_listed_with_both_values(more, what):
    found = compared(sides(**more), claimed="attention").as_data()
    others = {tuple(one[name] for name in ("what", "key", "a", "b")) for one in found["differs"]}
    attention = ("param", "attention", "full", "none")
    assert attention in others
    assert len(others) == 2 and others - {attention} <= what
    assert found["isolated"] is False
    assert "cannot be put down to attention alone" in found["sentences"][1]


@pytest.mark.parametrize(
    ("key", "a", "b", "what"),
    [
        ("git_sha", "abc1234", "def5678", "commit"),
        ("git_sha", "abcdef0123", "abcdef0", None),
        ("torch_version", "2.1.0", "2.2.0", "library"),
        ("data_hash", "deadbeef12", "cafebabe34", "data"),
        ("data_path", "/data/v1.csv", "/data/v2.csv", "data"),
        ("data_path", "/home/one/train.csv", "/mnt/two/train.csv", None),
        ("output_dir", "out/a", "out/b", None),
        ("num_params", "1200", "900", None),
    ],
)
@pytest.mark.parametrize("where", ["param", "tag"])
def test_labels_for_commit_data_and_library_are_compared(key, a, b, what, where):
    pair = [
        Run(kind, {"attention": kind} | ({key: value} if where == "param" else {}), {"val_acc": acc}, {"tag": "x"} | (
            {key: value} if where == "tag" else {}))
        for kind, value, acc in (("full", a, 0.9), ("none", b, 0.8))
    ]  # fmt: skip
    found = compared(pair, "full", "none", claimed="attention")
    assert [one.what for one in found.differs if one.key == key] == [what] * (what is not None)
    assert found.isolated == (what is None)


def test_a_claim_may_name_a_unique_tag_or_the_last_part_of_a_key():
    pair = [Run(kind, {"lr": 1}, {"val_acc": 0.9}, {"stage": kind}) for kind in ("full", "none")]
    assert compared(pair, "full", "none", claimed="stage").isolated
    pair = [Run(kind, {"model.attention": kind, "lr": 1}, {"val_acc": 0.9}) for kind in ("full", "none")]
    assert compared(pair, "full", "none", claimed="attention").isolated


def test_libraries_are_compared_where_known():
    runs = sides()
    ids = [f"{place + 1:032x}" for place in range(10)]
    environments = {ids[0]: {"torch": "2.1", "numpy": "2.0"}, ids[5]: {"torch": "2.2", "numpy": "2.0"}}
    found = compared(runs, environments=environments)
    assert [(one.what, one.key) for one in found.differs] == [("param", "attention"), ("library", "torch")]
    assert not found.isolated
    assert compared(runs, environments={ids[0]: {"torch": "2.1"}}).isolated  # the other side records no libraries


def test_a_claimed_factor_that_does_not_differ_is_reported():
    found = compared(sides(), claimed="batch_size")
    assert not found.isolated
    assert found.sentences[1] == "They do not differ in batch_size, but in attention (full against none)."


def test_level_sides_are_not_told_apart_and_single_runs_are_too_few():
    found = compared(sides(gain=0.0, seed=11))
    assert found.verdict == "not told apart"
    assert "80 %" in found.sentences[1]
    single = compared(sides(), "full-0", "none-0")
    assert (single.verdict, single.comparison.p) == ("too few", None)
    assert single.isolated


def test_runs_of_one_target_are_averaged_and_paired():
    dice = random.Random(3)
    runs = [
        Run(
            f"{kind}{i}-{s}",
            {"target": i, "seed": s + 10 * (kind == "b")},
            {"val_acc": i + gain + dice.gauss(0, 0.01)},
            {"kind": kind},
        )
        for i in range(6)
        for kind, gain in (("a", 0.1), ("b", 0.0))
        for s in range(2)
    ]
    found = compared(runs, "kind=a", "kind=b", settings=StudySettings(seeds=("seed",)))
    # The seeds differ between the sides, so no two runs form a pair.
    assert found.pairs is None
    assert found.isolated
    same = [Run(run.name, {"target": run.params["target"]}, run.metrics, run.tags) for run in runs]
    paired = compared(same, "kind=a", "kind=b")
    assert (paired.pairs, paired.paired_by, paired.verdict) == (6, ("target",), "better")


def test_the_verdict_follows_the_direction_of_the_metric():
    runs = sides()
    lower = compared(runs, metric="val_acc", settings=StudySettings(metric="val_acc", better={"val_acc": "lower"}))
    assert (lower.verdict, lower.as_data()["better"]) == ("worse", "lower")
    foo = [Run(run.name, run.params, {"foo": run.metrics["val_acc"]}) for run in runs]
    unknown = compared(foo, metric="foo")
    assert (unknown.verdict, unknown.as_data()["better"]) == ("higher", None)
    assert "Which way is better is not known" in unknown.sentences[0]


def test_experiments_are_different_tasks_unless_pooled():
    runs = sides()
    stores = {"x": runs[:5], "y": runs[5:]}
    found = compared(stores)
    assert found.verdict == "too few" and not found.isolated
    assert "different tasks: no winner is named" in found.sentences[0]
    assert compared(stores, settings=StudySettings(pool=True)).verdict == "better"


def test_runs_that_do_not_count_are_reported():
    runs = sides()
    runs[0].status = "FAILED"
    found = compared(runs, "metrics.val_acc > 0.85", "attention=none")
    assert len(found.a.scored) == 4
    assert found.sentences[-1] == "Not counted: of A 1 failed."
    overlapping = compared(runs, "metrics.val_acc > 0.85", "params.seed = '1' OR params.attention = 'none'")
    assert "1 run on both sides" in overlapping.sentences[-1]
    with pytest.raises(SelectionError, match="One side holds all runs of the other"):
        compared(runs, "attention=full", "metrics.val_acc > 0")
    with pytest.raises(SelectionError, match="the same runs"):
        compared(runs, "attention=full", "attention=full")
    assert compared(sides(), without={f"{1:032x}": "diverged"}).sentences[-1] == "Not counted: of A 1 diverged."


def test_the_error_rate_for_level_sides_is_about_5_percent():
    dice = random.Random(1)
    claims = 0
    for _ in range(100):
        runs = [
            Run(f"{kind}-{s}", {"kind": kind, "seed": s}, {"val_acc": dice.gauss(0.8, 0.01)})
            for kind in "ab"
            for s in range(4)
        ]
        claims += compared(runs, "kind=a", "kind=b").verdict in ("better", "worse")
    assert claims <= 11  # 5 % of 100, with sampling error
