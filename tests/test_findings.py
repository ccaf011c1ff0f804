"""Findings on a store with known truth: all of it is found, with its runs and numbers, and nothing else."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from qualia_lab import NotebookGenerator, load_runs
from qualia_lab.analysis.findings import RULES
from qualia_lab.analysis.findings.finding import KINDS, SEVERITIES, number
from qualia_lab.analysis.findings.settings import threshold_names
from qualia_lab.errors import ForbiddenFinding, QualiaLabError
from qualia_lab.runs import evidence
from qualia_lab.sections import SECTIONS

from .analysis import planted_genai
from .cli.command import QUALIA, run_here
from .known_truth import SD, write_known_truth
from .planted import curves, rare_rules, sweeps, typical_stores
from .second_truth import write_second_truth
from .stores.empty import new_client

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The tracking URI, the truth about its runs, and the runs."""
    uri = str(tmp_path_factory.mktemp("truth") / "mlruns")
    truth = write_known_truth(uri)
    return uri, truth, load_runs(uri, NotebookGenerator(uri).select(experiments=["truth"]).run_ids)


@pytest.fixture(scope="module")
def first_findings(known):
    return known[2].find({})


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The truth about the second store, its runs, and their findings."""
    uri = str(tmp_path_factory.mktemp("second") / "mlruns")
    truth = write_second_truth(uri)
    runs = load_runs(uri, NotebookGenerator(uri).select(experiments=["second"]).run_ids)
    return truth, runs, runs.find({})


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The runs of one store per planted shape, read from a folder, with their findings."""
    stores = []
    for shape in (*sweeps.SHAPES, *curves.SHAPES, *typical_stores.SHAPES, *rare_rules.SHAPES):
        uri = shape(100).store.write(tmp_path_factory.mktemp(shape.__name__) / "mlruns")
        runs = load_runs(uri, NotebookGenerator(uri).select().run_ids)
        stores.append((runs, runs.find({})))
    return stores


def only(findings, rule):
    [finding] = [one for one in findings if one.rule == rule]
    return finding


def test_exactly_the_true_findings_are_found(first_findings):
    assert {one.rule for one in first_findings} == {
        "best_configuration", "diverged", "failed_apart", "overfitting", "matters", "other_data", "duplicates",
        "not_examined",
    }  # fmt: skip
    assert len({one.rule for one in first_findings}) == len(first_findings)


def test_each_finding_names_the_right_runs_and_steps(known, first_findings):
    _, truth, _ = known
    diverged = only(first_findings, "diverged")
    assert dict(zip(diverged.run_ids, diverged.steps, strict=True)) == truth.diverges
    overfitting = only(first_findings, "overfitting")
    assert dict(zip(overfitting.run_ids, overfitting.steps, strict=True)) == truth.overfits
    assert overfitting.keys == ("train_loss", "val_loss")
    assert set(only(first_findings, "duplicates").run_ids) == truth.duplicates
    assert set(only(first_findings, "failed_apart").run_ids) == truth.failed
    assert only(first_findings, "failed_apart").keys == ("optimizer",)
    assert "optimizer = lbfgs" in only(first_findings, "failed_apart").sentence
    assert set(only(first_findings, "other_data").run_ids) == truth.other_data


def test_two_standard_deviations_at_ten_seeds_are_significant_and_half_of_one_at_three_is_not(known, first_findings):
    _, truth, _ = known
    answer = only(first_findings, "best_configuration")
    assert set(answer.run_ids[:10]) == truth.best
    assert set(answer.run_ids[10:]) == truth.worse_by_a_little | truth.worse_by_half_sd
    led, _, apart = answer.sentence.partition("The first is better, by 0.0228 and by more than luck, than ")
    assert "cannot be told apart" in led
    assert apart.startswith("batch_size=128, lr=0.03, optimizer=adam;")
    of = {one.what: one.value for one in answer.numbers}
    assert of["difference"] == pytest.approx(2 * SD)
    assert of["smallest"] == pytest.approx(SD)


def test_diverged_failed_and_duplicate_runs_are_excluded_from_means(known):
    _, truth, runs = known
    assert runs.groups()["n"].sum() == len(runs) - len(truth.diverges) - len(truth.failed) - 1


@pytest.mark.parametrize(("thresholds", "times"), [({}, 1), ({"spikes": {"deviations": 3}}, 2)])
def test_findings_use_the_histories_that_were_read_for_the_page(thresholds, times, known, monkeypatch):
    uri, _, runs = known
    read = []
    original = evidence.collect_evidence
    monkeypatch.setattr(evidence, "collect_evidence", lambda *given, **how: read.append(how) or original(*given, **how))
    shown = load_runs(uri, list(runs))
    shown._repr_mimebundle_()
    findings = shown.find(thresholds)
    assert len(read) == times
    assert findings == load_runs(uri, list(runs)).find(thresholds)


def test_the_learning_rate_matters_and_the_batch_size_does_not(first_findings):
    matters = only(first_findings, "matters")
    assert matters.keys == ("lr",)
    assert "batch_size" not in matters.sentence.partition("no effect of")[0]


def test_findings_are_sorted_by_kind_and_severity(first_findings, second):
    for findings in (first_findings, second[2]):
        kinds = [KINDS.index(one.kind) for one in findings]
        assert kinds == sorted(kinds)
        of_problems = [SEVERITIES.index(one.severity) for one in findings if one.kind == "problem"]
        assert of_problems == sorted(of_problems)
        assert [one.kind for one in findings].count("not examined") == 1
    assert [one.rule for one in first_findings[:3]] == ["best_configuration", "diverged", "failed_apart"]
    assert [one.rule for one in first_findings[-2:]] == ["duplicates", "not_examined"]


def test_covered_findings_are_not_repeated(known, first_findings):
    """Such as non-finite values of a diverged run, or failures that a param explains."""
    assert not {"non_finite", "failed", "best_not_last", "plateau"} & {one.rule for one in first_findings}
    alone = known[2].findings(diverged=False, failed_apart=False)
    assert "failed" in set(alone["rule"])


def test_every_rule_fires_and_its_code_recomputes_every_number(known, first_findings, second, planted):
    fired = {one.rule for one in (*first_findings, *second[2], *planted_genai.every_rule())} | {
        one.rule for _, findings in planted for one in findings
    }
    assert fired >= {rule.name for rule in RULES} - {"constant_params"}
    assert "1 param, which never varies (epochs = 30)" in only(first_findings, "not_examined").sentence
    for runs, findings in ((known[2], first_findings), second[1:], *planted):
        for finding in findings:
            if not finding.code:
                assert not finding.numbers
                continue
            numbers = numbers_in(eval(finding.code, {"runs": runs}))
            for one in finding.numbers:
                assert any(math.isclose(abs(value), abs(one.value), rel_tol=1e-9) for value in numbers), (finding, one)


def test_findings_in_the_second_store_match_the_written_points(second):
    """Recompute all numbers of the rules that only fire there from the points given to MLflow's client."""
    truth, _, findings = second
    accuracy = {run_id: curves["val_acc"] for run_id, curves in truth.points.items() if "val_acc" in curves}
    lost = only(findings, "best_not_last")
    assert set(lost.run_ids) == truth.best_not_last
    assert {(n.run_id, n.what): n.value for n in lost.numbers} == pytest.approx({
        (run_id, what): value
        for run_id in truth.best_not_last
        for values in [accuracy[run_id]]
        for what, value in (("best", max(values)), ("step of the best", values.index(max(values))), ("last", values[-1]))
    })  # fmt: skip
    stood = only(findings, "plateau")
    assert set(stood.run_ids) == truth.plateau
    assert {(n.run_id, n.what): n.value for n in stood.numbers} == {
        (run_id, what): step
        for run_id in truth.plateau
        for values in [accuracy[run_id]]
        for what, step in (("step of the best", values.index(max(values))), ("last step", len(values) - 1))
    }

    spikes = only(findings, "spikes")
    [spiked] = truth.spiked
    losses = truth.points[spiked]["train_loss"]
    assert (spikes.run_ids, spikes.steps) == ((spiked,), (21,))
    assert [n.value for n in spikes.numbers] == pytest.approx([21, losses[20], losses[21], 1])

    unfinished = only(findings, "unfinished")
    [(still, times)] = truth.running.items()
    assert unfinished.run_ids == (still,)
    assert [n.value for n in unfinished.numbers] == list(times)
    silent = only(findings, "silent")
    assert set(silent.run_ids) == truth.silent
    assert silent.sentence.startswith("1 of 23 runs finished without")

    ended = {run_id: values for run_id, values in accuracy.items() if run_id not in truth.running}
    latest = [(values[-1], truth.points[run_id]["latency_ms"][-1]) for run_id, values in ended.items()]
    trade_off = only(findings, "trade_offs")
    rho = spearmanr([value for value, _ in latest], [-latency for _, latency in latest]).statistic
    assert [n.value for n in trade_off.numbers] == pytest.approx([rho, len(latest)])
    unbeaten = {
        run_id
        for run_id, (value, latency) in zip(ended, latest, strict=True)
        if not any(a >= value and b <= latency and (a, b) != (value, latency) for a, b in latest)
    }
    assert set(trade_off.run_ids) == unbeaten

    commits = only(findings, "other_code")
    assert {n.what: n.value for n in commits.numbers} == {
        "commits": 2, "runs of c0ffee": 9, "runs of decade": 6, "runs without a commit": 8,
    }  # fmt: skip
    assert set(commits.run_ids) == {run_id for run_id, commit in truth.commits.items() if commit == "decade"}


def test_the_code_of_silent_selects_exactly_these_runs(second):
    truth, runs, findings = second
    frame = eval(only(findings, "silent").code, {"runs": runs})
    assert set(frame["run_id"]) == truth.silent


def test_a_seed_set_by_the_user_is_one_in_the_finding_and_its_code(known):
    runs = known[2].with_settings(seeds=["seed", "optimizer"])
    assert "optimizer" in only(known[2].find({}), "matters").sentence
    matters = only(runs.find({}), "matters")
    assert "optimizer" not in matters.sentence
    table = eval(matters.code, {"runs": runs})
    assert "only repeats a configuration" in table.loc["optimizer", "note"]


def test_every_number_in_a_sentence_is_in_the_finding(known, first_findings, second, planted):
    """Or it is a number of runs, configurations or metrics, or a fixed one; names and values are removed first."""
    for runs, findings in ((known[2], first_findings), second[1:], *planted):
        counted = runs.groups()["n"] if len(runs) else pd.Series(dtype=int)
        counts = {(counted == 1).sum(), (counted > 1).sum(), *range(len(counted) + 1), len(runs)}
        values_of_params = {str(value) for value in runs.params.to_numpy().ravel()}
        names = sorted({*runs.overview().index, *runs.params, *runs.metrics, *runs.tags}, key=len, reverse=True)
        for finding in findings:
            if finding.kind == "not examined":
                continue
            text = re.sub(
                r"\S+ ?= ?\S+|95 %|80 %|R²|and [\d,]+ more|UTC|\d{4}-\d\d-\d\d \d\d:\d\d", "", finding.sentence
            )
            for name in names:
                text = text.replace(name, "")
            values = [one.value for one in finding.numbers]
            ours = {
                text for value in values for text in (number(value), f"{value:.2f}", f"{value:.2g}", f"{value:.0f}")
            }
            ours |= values_of_params | {number(int(one)) for one in counts} | {number(len(finding.run_ids))}
            for token in re.findall(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", text):
                assert token.rstrip(",") in ours, (finding, token)


def numbers_in(value):
    """All numbers in a frame, its index and its attributes, and its number of rows."""
    if isinstance(value, pd.Series):
        value = value.to_frame()
    attached = list(numbers_attached(value.attrs))
    flat = [value.index.to_frame().to_numpy().ravel(), value.to_numpy().ravel()]
    flat.append(np.array([len(value), *attached], object))
    return [float(one) for one in np.concatenate(flat) if isinstance(one, (int, float, np.number)) and not pd.isna(one)]


def numbers_attached(value):
    """All numbers in nested mappings and lists."""
    if isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers_attached(one)
    elif isinstance(value, (int, float)):
        yield value


def test_history_summary_matches_the_points(known):
    """Compare the summary of histories with their points."""
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


def test_every_finding_refers_to_an_existing_section(first_findings):
    assert {one.section for one in first_findings} <= SECTIONS.keys()


def test_thresholds_are_arguments(known):
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


def test_the_frame_lists_all_findings(known, first_findings):
    frame = known[2].findings()
    assert list(frame["sentence"]) == [one.sentence for one in first_findings]
    assert frame["numbers"].iloc[0][0].keys() == {"what", "run_id", "value"}


def test_the_card_folds_findings_beyond_its_limit(known):
    card = known[2].show_findings(limit=3)
    more = len(card.findings) - 3
    first, folded = card._repr_html_().split(f"<details><summary>{more} more</summary>")
    assert first.count('<div class="finding ') == 3
    assert folded.count('<div class="finding ') == more
    assert len(re.findall(r'width="320" height="\d+" src="data:image/svg\+xml;base64,', first)) == len(card.charts) > 0
    assert "<img" not in folded
    assert f"and {len(card.findings) - 3} more: runs.findings()" in repr(card)


def test_the_command_prints_the_same_findings_and_fails_on_forbidden_ones(known, first_findings, tmp_path):
    uri, *_ = known
    done = run_here(QUALIA, "findings", "--tracking-uri", uri, "--experiment", "truth", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert [row["sentence"] for row in printed] == [one.sentence for one in first_findings]
    assert printed[0]["run_ids"] == list(first_findings[0].run_ids)
    assert set(repr(known[2].headline()).splitlines()) <= set(done.stderr.splitlines())

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
    done = run_here(QUALIA, *args, cwd=tmp_path)
    assert done.returncode == ForbiddenFinding.exit_code
    assert "1 finding that --fail-on forbids: overfitting." in done.stderr
    assert "val_loss" in done.stdout.splitlines()[0]  # the headline
    assert re.search(r"^· best_configuration: .*val_loss", done.stdout, re.MULTILINE)
    assert not re.search(r"^. diverged: ", done.stdout, re.MULTILINE)
    done = run_here(
        QUALIA, "findings", "--tracking-uri", uri, "--experiment", "truth", "--fail-on", "spikes", cwd=tmp_path
    )
    assert done.returncode == 0


def test_a_run_in_another_unit_is_not_left_out_silently(tmp_path):
    client = new_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("units")
    for place, value in enumerate((0.81, 0.83, 0.84, 84.5)):
        run = client.create_run(experiment, run_name=f"run-{place}").info
        client.log_param(run.run_id, "lr", place)
        client.log_metric(run.run_id, "val_acc", value)
        client.set_terminated(run.run_id)
    args = (QUALIA, "findings", "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}")
    said = run_here(*args, cwd=tmp_path).stdout
    assert said.startswith("run-2 (lr=2) has the best val_acc, 0.84") and "run-3, 84.5" in said
    said = run_here(*args, "--set", "mixed_units=off", cwd=tmp_path).stdout
    assert said.startswith("run-3 (lr=3) has the best val_acc, 84.5")


def test_project_thresholds_are_written_into_new_notebooks(known, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.qualia.findings]\nplateau = false\nspikes.deviations = 20\n")
    monkeypatch.chdir(tmp_path)
    generator = NotebookGenerator(known[0])
    cells = {cell.key: cell.source for cell in generator.plan(generator.select(experiments=["truth"])).cells}
    assert "FINDINGS = {'plateau': False, 'spikes': {'deviations': 20}}" in cells["parameters"]
    assert "findings=FINDINGS" in cells["loading"]
    assert cells["findings"] == "runs.show_findings()"
    (tmp_path / "pyproject.toml").write_text("[tool.qualia.findings]\nplateaus = false\n")
    with pytest.raises(QualiaLabError, match="no rule called plateaus"):
        generator.plan(generator.select(experiments=["truth"]))


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--fail-on", "plateaus"), 2, "'plateaus' is none of diverged"),
        (("--set", "spikes.deviation=3"), 1, "Did you mean deviations?"),
        (("--set", "spikes"), 1, "spikes is not a setting"),
        (("--set", "spikes.deviations=many"), 1, "is not a number"),
    ],
)
def test_an_invalid_flag_is_reported_before_anything_is_read(args, code, words, tmp_path):
    done = run_here(QUALIA, "findings", *args, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr


def test_the_guide_lists_condition_thresholds_and_source_of_every_rule(first_findings, second, planted):
    rows = re.findall(
        r"^\| `(\w+)` \| ([a-z ]+) \| ([^|]+) \| ((?:`\w+` [\d.,]+(?:, )?)*) ?\| ([^|]*) ?\|$",
        (CHECKOUT / "docs/guide/findings.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    described = {name: (fires, thresholds.strip(), source.strip()) for name, _, fires, thresholds, source in rows}
    for rule in RULES:
        thresholds = ", ".join(f"`{name}` {number(value)}" for name, value in threshold_names(rule.thresholds).items())
        assert described[rule.name] == (rule.fires, thresholds, rule.source)
    assert described.keys() == {rule.name for rule in RULES}

    kinds = {(name, kind) for name, kind, *_ in rows}
    of_runs = (first_findings, second[2], *(them for _, them in planted))
    stated = [one for findings in (*of_runs, planted_genai.every_rule()) for one in findings]
    assert {(one.rule, one.kind) for one in stated if one.rule != "not_examined"} == {
        (name, kind) for name, kind in kinds if kind != "not examined"
    }
