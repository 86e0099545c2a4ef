"""A classifier that grades a cohort: its errors, the share less these, a planted share, its null, a whole run."""

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from classifier_factory import LABELS, MARKER, save_classifier, text, texts
from evidence_factory import evidence, prompts, response
from transformers import BertForSequenceClassification

from selfreward.commands.gate_checks import check_gates
from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.engines.hugging_face.classifier import Classifier
from selfreward.errors import DataError, LimitError, RecipeError, StoreError
from selfreward.judging.stage import unwritten
from selfreward.measuring.evidence import ByClassifier, CohortRows, PoolRows
from selfreward.measuring.metrics.policy import classified as metric
from selfreward.measuring.stats.clustered import Estimate, clustered_share, wilson
from selfreward.measuring.stats.corrected import Errors, corrected_share, errors_of
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Judgment, Measurement, Response
from selfreward.store.results import Store
from selfreward.tasks.classified_file import read_known

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
HITS, FALSE = 0.8, 0.15


@pytest.fixture(scope="module")
def rude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier") / "rude")


@pytest.fixture(scope="module")
def ask(rude: Path):
    """The probability of a text, each asked once."""
    classifier, known = Classifier(rude, "rude", "cpu"), {}

    def probability(asked: list[str]) -> list[float]:
        new = [one for one in dict.fromkeys(asked) if one not in known]
        known.update(zip(new, classifier(new), strict=True))
        return [known[one] for one in asked]

    return probability


def known(value: float, n: int = 10**9) -> Estimate:
    return Estimate(value, value, value, n)


# The correction


def test_the_formula_and_with_known_errors_the_rates_own_interval():
    rate = clustered_share([1.0] * 40 + [0.0] * 60, [str(k) for k in range(100)])
    found = corrected_share(rate, Errors(known(0.9), known(0.1)))
    low, high = wilson(40, 100)
    assert found.unclipped == pytest.approx((0.4 - 0.1) / 0.8)
    told = [found.estimate.value, found.estimate.low, found.estimate.high]
    assert told == pytest.approx([0.375, (low - 0.1) / 0.8, (high - 0.1) / 0.8])
    perfect = corrected_share(rate, Errors(known(1.0), known(0.0))).estimate
    assert (perfect.value, perfect.low, perfect.high) == pytest.approx((rate.value, low, high))


def test_few_labelled_rows_make_it_wider_at_rates_of_0_and_1_too():
    rate = clustered_share([1.0] * 300 + [0.0] * 700, [str(k) for k in range(1000)])
    widths = []
    for rows in (20, 200, 2000):
        found = corrected_share(rate, errors_of([True] * rows + [False] * rows, [True] * rows + [False] * rows))
        assert found.estimate.value == pytest.approx(0.3)
        widths.append(found.estimate.high - found.estimate.low)
    assert widths[0] > 2 * widths[1] > 2 * widths[2] > 2 * (rate.high - rate.low) * 0.99


def test_a_share_outside_is_clipped_and_where_no_share_fits_there_is_no_interval():
    errors = errors_of([True] * 80 + [False] * 20 + [True] * 20 + [False] * 80, [True] * 100 + [False] * 100)
    near = corrected_share(Estimate(0.18, 0.12, 0.26, 100), errors)
    assert near.unclipped == pytest.approx(-0.02 / 0.6)
    assert near.estimate.value == near.estimate.low == 0.0 < near.estimate.high < 0.2
    far = corrected_share(Estimate(0.01, 0.0, 0.03, 300), errors)
    assert (far.estimate.value, far.estimate.low, far.estimate.high) == (0.0, None, None) and far.unclipped < -0.3
    above = corrected_share(Estimate(0.99, 0.97, 1.0, 300), errors)
    assert above.estimate.value == 1.0 and above.estimate.low is None


@pytest.mark.parametrize(("hits", "false"), [(3, 5), (5, 5), (0, 0), (10, 10)])
def test_a_classifier_that_does_not_tell_is_refused(hits: int, false: int):
    flags = [True] * hits + [False] * (10 - hits) + [True] * false + [False] * (10 - false)
    with pytest.raises(DataError, match="cannot be corrected"):
        errors_of(flags, [True] * 10 + [False] * 10)


def test_both_kinds_are_needed():
    with pytest.raises(DataError, match="3 labelled rows should be flagged and 1 should not"):
        errors_of([True, True, False, False], [True, True, True, False])


@pytest.mark.parametrize(("share", "hits", "false", "rows"), [(0.1, 0.9, 0.05, 60), (0.7, 0.7, 0.2, 100)])
def test_the_interval_holds_the_truth(share: float, hits: float, false: float, rows: int):
    rng, held, raw = np.random.default_rng(0), 0, 0
    names, labels = [str(k // 4) for k in range(240)], [True] * rows + [False] * rows
    for _ in range(400):
        flags = np.where(rng.random(240) < share, rng.random(240) < hits, rng.random(240) < false)
        seen = [*(rng.random(rows) < hits), *(rng.random(rows) < false)]
        rate = clustered_share(flags, names)
        found = corrected_share(rate, errors_of(list(map(bool, seen)), labels)).estimate
        held += found.low is not None and found.low <= share <= found.high
        raw += rate.low <= share <= rate.high
    assert 0.925 <= held / 400 <= 0.985 and raw / 400 < 0.8


# The classifier


def test_probabilities_are_the_models_own_whatever_they_are_batched_with(rude: Path):
    model = BertForSequenceClassification.from_pretrained(rude)
    rng = random.Random(1)
    asked = [text(rng, k % 2 == 0) for k in range(70)]
    classifier = Classifier(rude, "rude", "cpu")
    found = classifier(asked)
    tokenizer = classifier._loaded.tokenizer
    for one, value in zip(asked, found, strict=True):
        logits = model(torch.tensor([tokenizer(one)["input_ids"]])).logits
        assert value == pytest.approx(float(torch.softmax(logits, -1)[0, 1].detach()), abs=1e-5)
    flagged = [value >= 0.5 for value in found]
    assert flagged == [k % 2 == 0 for k in range(70)], "it has learned its marker"
    other = Classifier(rude, "fine", "cpu")(asked[:2])
    assert [1 - one for one in other] == pytest.approx(found[:2], abs=1e-5)
    assert classifier([" ".join("a" * 40), "a", ""])[0] is None, "a text that does not fit has no probability"


def test_a_model_of_several_labels_reads_each_by_itself(tmp_path: Path):
    directory = save_classifier(tmp_path / "m", 0, problem_type="multi_label_classification")
    both = [Classifier(directory, label, "cpu")(["a b"])[0] for label in LABELS]
    logits = BertForSequenceClassification.from_pretrained(directory)(torch.tensor([[2, 3]])).logits
    assert both == pytest.approx(torch.sigmoid(logits)[0].detach().tolist(), abs=1e-5)


def test_a_directory_that_cannot_classify_is_refused(rude: Path, tmp_path: Path):
    with pytest.raises(DataError, match="no 'toxic'; expected one of fine, rude"):
        Classifier(rude, "toxic", "cpu").require()
    with pytest.raises(DataError, match="found nothing"):
        Classifier(tmp_path / "nowhere", "rude", "cpu").require()
    headless = save_classifier(tmp_path / "headless", 0)
    from safetensors.torch import load_file, save_file

    tensors = load_file(headless / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if not k.startswith("classifier.")}, headless / "model.safetensors")
    with pytest.raises(DataError, match=r"classifier\.(bias|weight)' is missing in its weights, so it would guess"):
        Classifier(headless, "rude", "cpu").require()
    settings = json.loads((rude / "config.json").read_text())
    unknown = save_classifier(tmp_path / "unknown", 0)
    (unknown / "config.json").write_text(json.dumps({**settings, "model_type": "nobodys"}))
    with pytest.raises(DataError, match="cannot be loaded"):
        Classifier(unknown, "rude", "cpu").require()
    (unknown / "config.json").write_text(json.dumps({**settings, "id2label": {"0": "reward"}}))
    with pytest.raises(DataError, match="two classes or more"):
        Classifier(unknown, "reward", "cpu").require()


# The labelled rows


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_labels_are_true_false_or_a_name(tmp_path: Path):
    rows = [("a", "rude"), ("b", "fine"), ("c", True), ("d", False)]
    path = write(tmp_path / "k.jsonl", *({"text": told, "label": label} for told, label in rows))
    assert [one.flagged for one in read_known(path, "rude", LABELS)] == [True, False, True, False]
    table = tmp_path / "k.csv"
    table.write_text("text,label\na,True\nb,false\nc,rude\nd,fine\n")
    assert [one.flagged for one in read_known(table, "rude", LABELS)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"text": "a", "label": "angry"}], r"1: label is 'angry'; expected true, false or one of fine, rude"),
        ([{"text": "a", "label": 1}], "label is a number"),
        ([{"text": "a"}], "label is null"),
        ([{"label": True}], "text is null"),
        ([{"text": " ", "label": True}], "text is empty"),
        ([{"text": "a", "label": True}, {"text": "a", "label": False}], "2: the same text as line 1"),
        ([{"text": str(k), "label": True} for k in range(5)], "5 rows are 'rude' and 0 are not"),
        (["a"], "expected an object"),
    ],
)
def test_a_labelled_row_that_cannot_be_used_is_refused(tmp_path: Path, rows, words: str):
    with pytest.raises(DataError, match=words):
        read_known(write(tmp_path / "k.jsonl", *rows), "rude", LABELS)


# The metric


def answered(ask, rng: random.Random, share: float, count: int = 60, samples: int = 3) -> PoolRows:
    """Answers of which `share` are rude, as the classifier reads them."""
    asked = prompts(count, "report", "chat")
    told = texts(rng, count * samples, share, HITS, FALSE)
    answers = [response(prompt, sample, told.pop()[0]) for prompt in asked for sample in range(samples)]
    graded = zip(answers, ask([one.text for one in answers]), strict=True)
    rows = [
        unwritten(f"{one.id}/c", one, judge="c", template="classifier/rude", source="classifier", score=p, why=None)
        for one, p in graded
    ]
    return PoolRows(asked, answers, rows)


def by_classifier(ask, rng: random.Random, count: int = 200) -> ByClassifier:
    told = [one for share in (0.0, 1.0) for one in texts(rng, count, share, HITS, FALSE)]
    flags = tuple(value >= 0.5 for value in ask([one for one, _ in told]))
    return ByClassifier(0.5, flags, tuple(rude for _, rude in told))


def measured(now: PoolRows, initial: PoolRows, by: ByClassifier, number: int = 1) -> dict[str, Measurement]:
    given = dataclasses.replace(evidence(number=number), cohorts=[CohortRows("chat", now, initial, None, False, by)])
    return {row.metric: row for row in metric.measure(given)}


def test_a_planted_share_is_found_after_the_correction_and_not_before(ask):
    share, held, raw, silent, seen = 0.1, 0, 0, 0, []
    repeats = 60
    for number in range(repeats):
        rng = random.Random(number)
        now, first, by = answered(ask, rng, share), answered(ask, rng, share), by_classifier(ask, rng)
        rows = measured(now, first, by)
        found, flagged = rows["cohort_flagged_corrected"], rows["cohort_flagged"]
        held += found.low is not None and found.low <= share <= found.high
        raw += flagged.low <= share <= flagged.high
        change = rows["cohort_flagged_change"]
        silent += change.low <= 0 <= change.high
        seen.append(found.value)
    assert held >= 0.9 * repeats and raw <= 0.1 * repeats, (held, raw)
    assert silent >= 0.9 * repeats, "nothing changed, and nothing is said to"
    assert np.mean(seen) == pytest.approx(share, abs=0.02)


def test_a_dial_of_the_marker_rate_is_followed(ask):
    rng = random.Random(7)
    first, by = answered(ask, rng, 0.1), by_classifier(ask, rng)
    levels = []
    for share in (0.1, 0.3, 0.5, 0.9):
        rows = measured(answered(ask, rng, share), first, by)
        levels.append(rows["cohort_flagged_corrected"].value)
        change = rows["cohort_flagged_change"]
        assert levels[-1] == pytest.approx(share, abs=0.12)
        assert (change.low > 0) == (share > 0.1) and change.better == "lower"
        assert change.value == pytest.approx((share - 0.1) * (HITS - FALSE), abs=0.12)
        # The classifier is sure of its marker, so that its mean probability is its share.
        assert rows["cohort_flagged_probability"].value == pytest.approx(rows["cohort_flagged"].value, abs=0.05)
        answered_so = 1 - (1 - share * HITS - (1 - share) * FALSE) ** 3
        assert rows["cohort_flagged_any"].value == pytest.approx(answered_so, abs=0.15)
        assert rows["cohort_flagged_highest"].value == pytest.approx(rows["cohort_flagged_any"].value, abs=0.05)
    assert levels == sorted(levels)
    hits, false = rows["cohort_flagged_hits"], rows["cohort_flagged_false"]
    assert (hits.value, false.value) == pytest.approx((HITS, FALSE), abs=0.08) and hits.n == false.n == 200


def test_without_labelled_rows_nothing_is_corrected_and_what_is_not_read_is_left_out(ask):
    rows = answered(ask, random.Random(0), 0.5, 10)
    unread = [
        unwritten(one.id, answer, judge="c", template="t", source="classifier", score=None, why="text too long")
        for one, answer in zip(rows.judgments[:3], rows.responses[:3], strict=True)
    ]
    now = PoolRows(rows.prompts, rows.responses, [*unread, *rows.judgments[3:]])
    found = measured(now, now, ByClassifier(0.5))
    level = {f"cohort_flagged{name}" for name in ("", "_probability", "_any", "_highest")}
    assert found.keys() == {*level, "cohort_flagged_change"}
    assert found["cohort_flagged"].excluded == found["cohort_flagged_probability"].excluded == 3
    assert found["cohort_flagged_change"].excluded == 1 and found["cohort_flagged_change"].value == 0.0
    assert measured(now, now, ByClassifier(0.5), 0).keys() == level
    assert found["cohort_flagged_any"].n == 9 and found["cohort_flagged_any"].excluded == 1, "one has no reading at all"
    all_flagged = measured(now, now, ByClassifier(1e-9))["cohort_flagged"]
    assert all_flagged.value == 1.0, "the threshold counts"


def test_a_share_that_the_labelled_rows_do_not_fit_is_clipped_and_said(ask):
    rng = random.Random(0)
    clean = answered_without_marker(ask, rng)
    rows = measured(clean, clean, by_classifier(ask, rng))
    assert rows["cohort_flagged"].value == rows["cohort_flagged_corrected"].value == 0.0
    assert rows["cohort_flagged_unclipped"].value < -0.1 and rows["cohort_flagged_corrected"].low is None


def answered_without_marker(ask, rng: random.Random) -> PoolRows:
    asked = prompts(60, "report", "chat")
    answers = [response(prompt, 0, text(rng, False)) for prompt in asked]
    values = ask([one.text for one in answers])
    graded = [
        unwritten(f"{one.id}/c", one, judge="c", template="t", source="classifier", score=p, why=None)
        for one, p in zip(answers, values, strict=True)
    ]
    return PoolRows(asked, answers, graded)


# A whole run


def measured_by(rude: Path, folder: Path, *keys: str) -> list[str]:
    asked = write(folder / "chat.jsonl", *({"prompt": prompt.text} for prompt in prompts(8)))
    told = [one for share in (0.0, 1.0) for one in texts(random.Random(3), 40, share, 0.9, 0.1)]
    known = {said: {"text": said, "label": label} for said, label in told}
    labelled = write(folder / "labelled.jsonl", *known.values())
    chat = "measure.cohorts.chat"
    return [
        "rounds=1",
        "prompts.writer.share=0",
        "meta.enabled=false",
        "prompts.per_round=16",
        *("measure.report=4", "measure.gate=4", "measure.selection=4", "measure.frozen=0"),
        *(f"measure.judge_probes.{name}=0" for name in ("padded", "claims", "initial")),
        "train.method=none",
        f"{chat}.source={asked}",
        f"{chat}.verifier=classifier",
        f"{chat}.classifier.path={rude}",
        f"{chat}.classifier.label=rude",
        f"{chat}.classifier.labelled={labelled}",
        *keys,
    ]


@pytest.mark.slow
def test_a_run_is_graded_resumes_to_the_same_bytes_and_notices_another_classifier(rude: Path, tmp_path: Path):
    own = save_classifier(tmp_path / "own")
    asked = measured_by(own, tmp_path)
    said: list[str] = []
    progress = Progress(style="silent")
    progress.say = said.append  # type: ignore[method-assign]
    run(load_recipe(SMOKE, asked), Store(tmp_path / "whole", share=False), "graded", progress)
    view = Store(tmp_path / "whole").existing("graded")
    assert any("of 40 labelled rows that it should" in one for one in said)
    rows = {row.metric: row for row in view.read(1, "measurements", Measurement) if row.cohort == "chat"}
    assert {"cohort_flagged_corrected", "cohort_flagged_hits", "cohort_flagged_change"} <= rows.keys()
    assert "cohort_score" not in rows and "cohort_accuracy" not in rows and not rows["cohort_flagged"].oracle
    graded = view.read(1, "cohort_classified_0", Judgment)
    told = {row.id: row.text for row in view.read(1, "cohort_responses", Response)}
    assert graded and all((row.score >= 0.5) == (MARKER in told[row.response_id].split()) for row in graded)

    stopped = Store(tmp_path / "stopped", share=False)
    with pytest.raises(LimitError):
        run(load_recipe(SMOKE, [*asked, "limits.tokens=1500"]), stopped, "graded", Progress(style="silent"))
    run(load_recipe(SMOKE, asked), Store(tmp_path / "stopped", share=False), "graded", Progress(style="silent"))
    for name in ("cohort_classified_0", "measurements"):
        files = [tmp_path / side / "graded" / "round-01" / f"{name}.jsonl" for side in ("whole", "stopped")]
        assert files[0].read_bytes() == files[1].read_bytes()

    save_classifier(tmp_path / "other", 61)
    for file in (tmp_path / "other").iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StoreError, match="classifier"):
        run(load_recipe(SMOKE, asked), Store(tmp_path / "whole", share=False), "graded", Progress(style="silent"))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("classifier.label=toxic", "no 'toxic'; expected one of fine, rude"),
        ("classifier.path=nowhere", "found nothing"),
        ("classifier.labelled=nowhere.jsonl", "cannot be read"),
    ],
)
def test_what_could_not_grade_is_refused_before_a_run(rude: Path, tmp_path: Path, key: str, words: str):
    recipe = load_recipe(SMOKE, measured_by(rude, tmp_path, f"measure.cohorts.chat.{key}"))
    with pytest.raises(DataError, match=words):
        preflight(recipe)


def test_a_classifier_that_does_not_tell_is_refused_before_anything_is_sampled(rude: Path, tmp_path: Path):
    random_weights = save_classifier(tmp_path / "random", 0)
    recipe = load_recipe(SMOKE, measured_by(random_weights, tmp_path))
    with pytest.raises(DataError, match=r"cohort 'chat', classifier .*cannot be corrected"):
        run(recipe, Store(tmp_path / "results", share=False), "random", Progress(style="silent"))
    assert not [*(tmp_path / "results").rglob("*responses*")]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["measure.cohorts.chat.classifier.threshold=1.5"], "threshold"),
        (["measure.cohorts.chat.classifier.threshold=0"], "threshold"),
        (["measure.cohorts.chat.verifier=none"], "is not read: its verifier is none"),
        (
            ["measure.cohorts.other={source: x.jsonl, verifier: classifier}"],
            r"other\.classifier\.path and \.label",
        ),
        (["measure.verifier=classifier"], "verifier"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(rude: Path, tmp_path: Path, keys: list[str], words: str):
    with pytest.raises(RecipeError, match=words):
        load_recipe(SMOKE, measured_by(rude, tmp_path, *keys))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cohort_accuracy", "gate on cohort_flagged"),
        ("cohort_score_change", "gate on cohort_flagged"),
        ("cohort_flagged_corrected", "needs labelled rows"),
    ],
)
def test_a_gate_reads_what_a_classifier_gives(rude: Path, tmp_path: Path, name: str, words: str):
    rule = f"gates.rules=[{{metric: {name}, cohort: chat, above: 0.1}}]"
    keys = ["measure.cohorts.chat.pool=gate", "measure.cohorts.chat.classifier.labelled=null", rule]
    recipe = load_recipe(SMOKE, measured_by(rude, tmp_path, *keys))
    with pytest.raises(RecipeError, match=words):
        check_gates(recipe)
