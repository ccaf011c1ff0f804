"""Findings on a store of which everything is known: all of it is found, with its runs and numbers, and nothing else."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.analysis.findings import RULES
from qualia_lab.analysis.findings.finding import number
from qualia_lab.errors import ForbiddenFinding, QualiaLabError
from qualia_lab.sections import SECTIONS

from .cli.command import QUALIA, run
from .known_truth import write_known_truth
from .second_truth import write_second_truth


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The tracking URI, what is true of its runs, and the runs."""
    uri = str(tmp_path_factory.mktemp("truth") / "mlruns")
    truth = write_known_truth(uri)
    return uri, truth, load_runs(uri, NotebookGenerator(uri).select(experiments=["truth"]).run_ids)


@pytest.fixture(scope="module")
def found(known):
    return known[2].find({})


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """What is true of the second store, its runs, and what is found."""
    uri = str(tmp_path_factory.mktemp("second") / "mlruns")
    truth = write_second_truth(uri)
    runs = load_runs(uri, NotebookGenerator(uri).select(experiments=["second"]).run_ids)
    return truth, runs, runs.find({})


def the(found, rule):
    [finding] = [one for one in found if one.rule == rule]
    return finding


def test_exactly_what_is_true_is_found(found):
    assert {one.rule for one in found} == {
        "diverged", "non_finite", "failed_apart", "failed", "other_data", "overfitting", "duplicates",
        "best_configuration", "differences", "matters", "constant_params",
    }  # fmt: skip
    assert len({one.rule for one in found}) == len(found)


def test_each_finding_names_the_right_runs_and_steps(known, found):
    _, truth, _ = known
    diverged = the(found, "diverged")
    assert dict(zip(diverged.run_ids, diverged.steps, strict=True)) == truth.diverges
    assert set(the(found, "non_finite").run_ids) == {run_id for run_id, step in truth.diverges.items() if step > 8}
    overfitting = the(found, "overfitting")
    assert dict(zip(overfitting.run_ids, overfitting.steps, strict=True)) == truth.overfits
    assert overfitting.keys == ("train_loss", "val_loss")
    assert set(the(found, "duplicates").run_ids) == truth.duplicates
    assert set(the(found, "failed").run_ids) == set(the(found, "failed_apart").run_ids) == truth.failed
    assert the(found, "failed_apart").keys == ("optimizer",)
    assert "optimizer = lbfgs" in the(found, "failed_apart").sentence
    assert set(the(found, "other_data").run_ids) == truth.other_data


def test_two_standard_deviations_at_ten_seeds_are_a_difference_and_half_a_one_at_three_is_none(known, found):
    _, truth, _ = known
    assert set(the(found, "best_configuration").run_ids) == truth.best
    assert set(the(found, "differences").run_ids) == truth.best | truth.worse_by_two_sd
    assert not set(the(found, "differences").run_ids) & truth.worse_by_half_sd


def test_the_learning_rate_matters_and_the_batch_size_does_not(found):
    assert the(found, "matters").keys == ("lr",)
    assert re.search(r"batch_size.* no more than chance", the(found, "matters").sentence)


def test_the_most_important_comes_first_and_what_was_said_already_last(found):
    assert [one.rule for one in found[:2]] == ["diverged", "failed_apart"]
    assert [one.rule for one in found[-2:]] == ["non_finite", "failed"]


def test_every_number_can_be_recomputed_by_the_code_of_the_finding(known, found, second):
    """Of every rule there is: each fires on one of the two stores."""
    assert {one.rule for one in (*found, *second[2])} == {rule.name for rule in RULES}
    for runs, findings in ((known[2], found), (second[1], second[2])):
        for finding in findings:
            numbers = numbers_in(eval(finding.code, {"runs": runs}))
            for one in finding.numbers:
                assert any(math.isclose(abs(value), abs(one.value), rel_tol=1e-9) for value in numbers), (finding, one)


def test_what_is_found_in_the_second_store_is_what_was_written(second):
    """Every number of the rules that only fire there, from the points as they were given to MLflow's client."""
    truth, _, found = second
    accuracy = {run_id: curves["val_acc"] for run_id, curves in truth.points.items() if "val_acc" in curves}
    lost = the(found, "best_not_last")
    assert set(lost.run_ids) == truth.loses
    assert {(n.run_id, n.what): n.value for n in lost.numbers} == pytest.approx({
        (run_id, what): value
        for run_id in truth.loses
        for values in [accuracy[run_id]]
        for what, value in (("best", max(values)), ("step of the best", values.index(max(values))), ("last", values[-1]))
    })  # fmt: skip
    stood = the(found, "plateau")
    assert set(stood.run_ids) == truth.stands | truth.loses
    assert {(n.run_id, n.what): n.value for n in stood.numbers} == pytest.approx({
        (run_id, what): max(values)
        for run_id in stood.run_ids
        for what, values in (("best before", accuracy[run_id][:20]), ("best", accuracy[run_id]))
    })  # fmt: skip

    spikes = the(found, "spikes")
    [spiked] = truth.spiked
    losses = np.array(truth.points[spiked]["train_loss"])
    jumps = np.diff(losses)
    away = np.abs(jumps - np.median(jumps))
    size = away[20] / (1.4826 * np.median(away))
    assert (spikes.run_ids, spikes.steps) == ((spiked,), (21,))
    assert [n.value for n in spikes.numbers] == pytest.approx([21, losses[20], losses[21], size, 1])

    unfinished = the(found, "unfinished")
    [(still, times)] = truth.open.items()
    assert unfinished.run_ids == (still,)
    assert [n.value for n in unfinished.numbers] == list(times)
    silent = the(found, "silent")
    assert set(silent.run_ids) == truth.silent
    assert silent.sentence.startswith("1 run of 23 finished without")

    latest = [(values[-1], truth.points[run_id]["latency_ms"][-1]) for run_id, values in accuracy.items()]
    trade_off = the(found, "trade_offs")
    rho = spearmanr([value for value, _ in latest], [-latency for _, latency in latest]).statistic
    assert [n.value for n in trade_off.numbers] == pytest.approx([rho, len(latest)])
    unbeaten = {
        run_id
        for run_id, (value, latency) in zip(accuracy, latest, strict=True)
        if not any(a >= value and b <= latency and (a, b) != (value, latency) for a, b in latest)
    }
    assert set(trade_off.run_ids) == unbeaten

    commits = the(found, "other_code")
    assert {n.what: n.value for n in commits.numbers} == {
        "commits": 2, "runs of c0ffee": 9, "runs of decade": 6, "runs without a commit": 8,
    }  # fmt: skip
    assert set(commits.run_ids) == {run_id for run_id, commit in truth.commits.items() if commit == "decade"}


def test_the_code_of_silent_runs_shows_these_and_no_failed_one(second):
    truth, runs, found = second
    frame = eval(the(found, "silent").code, {"runs": runs})
    assert set(frame["run_id"]) == truth.silent


def test_what_is_said_to_be_a_seed_is_one_in_the_finding_and_in_its_code(known):
    runs = known[2]
    by_default, chosen = the(runs.find({}), "matters"), the(runs.find({}, seeds=["seed", "optimizer"]), "matters")
    assert "optimizer" in by_default.sentence
    assert "optimizer" not in chosen.sentence
    assert chosen.code == 'runs.importance("val_acc", seeds=SEEDS)'
    table = eval(chosen.code, {"runs": runs, "SEEDS": ["seed", "optimizer"]})
    assert "left out" in table.loc["optimizer", "note"]


def test_every_number_of_a_sentence_is_one_of_the_finding(known, found):
    for finding in found:
        said = re.sub(r"\S+ ?= ?\S+|95 %|10 times", "", finding.sentence)
        ours = {number(one.value) for one in finding.numbers} | {f"{one.value:.2f}" for one in finding.numbers}
        ours |= {f"{one.value:.2g}" for one in finding.numbers}
        ours |= {number(len(finding.run_ids)), number(len(known[2])), "1"}
        for token in re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", said):
            assert token.rstrip(",") in ours, (finding.sentence, token)


def numbers_in(value):
    """Every number in a frame, in its index and in what is attached to it, and how many rows it has."""
    if isinstance(value, pd.Series):
        value = value.to_frame()
    attached = [one for one in value.attrs.values() if isinstance(one, (int, float))]
    flat = [value.index.to_frame().to_numpy().ravel(), value.to_numpy().ravel()]
    flat.append(np.array([len(value), *attached], object))
    return [float(one) for one in np.concatenate(flat) if isinstance(one, (int, float, np.number)) and not pd.isna(one)]


def test_rules_find_it_in_the_histories_that_the_client_has(known):
    """The summary of histories against points taken one by one."""
    runs = known[2]
    summary = runs.history_summary("train_loss")
    points = runs.history("train_loss")
    for run_id, rows in points.groupby("run_id"):
        values, steps = rows["value"].to_numpy(), rows["step"].to_numpy()
        finite = np.isfinite(values) & (np.abs(values) < 1.79e308)
        row = summary.loc[run_id]
        assert row["points"] == len(values)
        assert row["not_finite"] == (~finite).sum()
        assert row["best"] == values[finite].min()
        assert row["best_step"] == steps[finite][values[finite].argmin()]
        assert row["last"] == values[finite][-1]


def test_every_finding_points_to_a_section_there_is(found):
    assert {one.section for one in found} <= SECTIONS.keys()


def test_thresholds_are_arguments(known, found):
    runs = known[2]
    assert "overfitting" not in set(runs.findings(overfitting=False)["rule"])
    assert "diverged" in set(runs.findings(diverged={"growth": 1e6})["rule"])
    assert len(runs.findings(diverged={"growth": 1e6}).query("rule == 'diverged'")["run_ids"].iloc[0]) == 2
    with pytest.raises(QualiaLabError, match=r"no rule called spike. Did you mean spikes\?"):
        runs.findings(spike=False)
    with pytest.raises(QualiaLabError, match="no threshold of the rule spikes called mad"):
        runs.findings(spikes={"mad": 3})
    with pytest.raises(QualiaLabError, match="has to be a number"):
        runs.findings(spikes={"deviations": "3"})


def test_the_frame_is_the_findings(known, found):
    frame = known[2].findings()
    assert list(frame["sentence"]) == [one.sentence for one in found]
    assert frame["numbers"].iloc[0][0].keys() == {"what", "run_id", "value"}


def test_the_card_folds_what_is_past_its_limit(known):
    card = known[2].show_findings(limit=3)
    first, folded = card._repr_html_().split("<details>")
    assert first.count("<p><b") == 3
    assert folded.count("<p><b") == len(card.findings) - 3
    assert "and 8 more: runs.findings()" in repr(card)


def test_the_command_says_the_same_and_fails_on_what_it_is_told(known, found, tmp_path):
    uri, *_ = known
    done = run(QUALIA, "findings", "--tracking-uri", uri, "--experiment", "truth", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["sentence"] for row in json.loads(done.stdout)] == [one.sentence for one in found]
    assert json.loads(done.stdout)[0]["run_ids"] == list(found[0].run_ids)

    (tmp_path / "pyproject.toml").write_text(
        '[tool.qualia]\nmetric = "val_loss:min"\n[tool.qualia.findings]\ndiverged = false\nmatters.r2 = 0.999\n'
    )
    args = (
        "findings",
        "--tracking-uri",
        uri,
        "--experiment",
        "truth",
        "--fail-on",
        "overfitting",
        "--set",
        "failed=off",
    )
    done = run(QUALIA, *args, cwd=tmp_path)
    assert done.returncode == ForbiddenFinding.exit_code
    assert "1 finding that --fail-on forbids: overfitting." in done.stderr
    assert "best mean val_loss" in done.stdout
    assert "diverged" not in done.stdout
    done = run(QUALIA, "findings", "--tracking-uri", uri, "--experiment", "truth", "--fail-on", "spikes", cwd=tmp_path)
    assert done.returncode == 0


def test_the_thresholds_of_a_project_stand_in_its_new_notebooks(known, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.qualia.findings]\nplateau = false\nspikes.deviations = 20\n")
    monkeypatch.chdir(tmp_path)
    generator = NotebookGenerator(known[0])
    cells = {cell.key: cell.source for cell in generator.plan(generator.select(experiments=["truth"])).cells}
    assert "FINDINGS = {'plateau': False, 'spikes': {'deviations': 20}}" in cells["parameters"]
    assert cells["findings"] == "runs.show_findings(seeds=SEEDS, statuses=STATUSES, **FINDINGS)"
    (tmp_path / "pyproject.toml").write_text("[tool.qualia.findings]\nplateaus = false\n")
    with pytest.raises(QualiaLabError, match="no rule called plateaus"):
        generator.plan(generator.select(experiments=["truth"]))


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--fail-on", "plateaus"), 2, "'plateaus' is none of diverged"),
        (("--set", "spikes.deviation=3"), 1, "Did you mean deviations?"),
        (("--set", "spikes"), 1, "spikes sets nothing"),
        (("--set", "spikes.deviations=many"), 1, "is no number"),
    ],
)
def test_a_wrong_flag_is_said_before_anything_is_read(args, code, words, tmp_path):
    done = run(QUALIA, "findings", *args, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr


def test_the_guide_says_of_every_rule_what_fires_it_and_its_thresholds():
    from .test_docs import GUIDE

    rows = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| ((?:`\w+` [\d.,]+(?:, )?)+) \| ([^|]*) ?\|$",
        GUIDE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    described = {name: (fires, thresholds, source.strip()) for name, fires, thresholds, source in rows}
    for rule in RULES:
        from qualia_lab.analysis.findings.settings import threshold_names

        thresholds = ", ".join(f"`{name}` {number(value)}" for name, value in threshold_names(rule.thresholds).items())
        assert described[rule.name] == (rule.fires, thresholds, rule.source)
    assert described.keys() == {rule.name for rule in RULES}
