"""MC1: rows read or refused by line, likelihoods against a plain forward, a model that learnt the truth, and nulls."""

import json
import random
from pathlib import Path

import pytest
import torch
from evidence_factory import holds
from random_models import save_random_model
from test_probes import EXTRACTS, written
from test_probing import QUIET, nothing
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfreward.commands.probe.command import probe_command
from selfreward.commands.probe.material import material
from selfreward.commands.probe.models import subject
from selfreward.commands.probe.session import probe
from selfreward.engines.chat import load_renderer
from selfreward.errors import DataError, RecipeError
from selfreward.measuring.probes.mc1 import _hit, texts_of
from selfreward.roles import generator
from selfreward.tasks.sets.mc1 import MultipleChoice, read_truthfulqa_mc1

WORDS = "sky sum letter morning evening step reason polite short line tag score number noise response scale".split()  # noqa: SIM905 (one line of words is easier to read)
SETTINGS = ["engine.batch_tokens=512"]


def published(question, choices, right=0, **more):
    labels = [int(place == right) for place in range(len(choices))]
    return {"question": question, "mc1_targets": {"choices": choices, "labels": labels}, **more}


def drawn(count, choices=4, seed=0):
    """Questions in which nothing tells the right choice, each of three words of its own."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        texts = [" ".join(rng.sample(WORDS, 3)) for _ in range(choices)]
        rows.append(published(f"Why is {' '.join(rng.sample(WORDS, 2))} {number}?", texts, rng.randrange(choices)))
    return rows


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return save_random_model("qwen25", tmp_path_factory.mktemp("mc1") / "random")


def asked_of(directory: Path, path: Path, *changes: str):
    """The material and what `probe` finds about the choices."""
    model = subject(str(directory), [*SETTINGS, *changes], nothing)
    asked = material(model, [f"truthfulqa_mc1:{path}"], None, "report", None, 5)
    return asked.choices[path.stem], probe(model, asked, ["choices"], QUIET)


def levels(found):
    return {row.metric: row for row in found.families["choices"]}


# Rows


def test_both_forms_are_read(tmp_path: Path):
    (one,) = read_truthfulqa_mc1(written(tmp_path / "a", published("q?", ["no", "yes."], 1, mc2_targets={"any": 1})))
    assert (one.question, one.choices, one.right) == ("q?", ("no", "yes."), 1)
    own = dict.fromkeys(("source", "license", "category", "type", "source_url"), "s")
    row = {**own, "id": "t1", "question": "q?", "best_answer": "yes", "correct_answers": ["yes", "of course"]}
    (one,) = read_truthfulqa_mc1(written(tmp_path / "b", {**row, "incorrect_answers": ["no", "never.", "no."]}))
    assert one == MultipleChoice("t1", "q?", ("yes.", "no.", "never."), 0), "the best answer against the incorrect ones"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (published("q?", ["a"]), "1 choice; expected a right one"),
        (published("q?", ["a", "b"], right=7), "0 choices are labelled right"),
        ({"question": "q?", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}}, "2 choices are labelled right"),
        ({"question": "q?", "mc1_targets": {"choices": ["a", "b"], "labels": [1]}}, "2 choices and 1 labels"),
        ({"question": "q?", "mc1_targets": {"choices": ["a", "b"], "labels": [True, False]}}, "labels are"),
        ({"question": "q?", "mc1_targets": {"choices": ["a", "b"], "labels": ["1", 0]}}, "labels are"),
        ({"question": "q?", "mc1_targets": {"choices": "ab", "labels": [1, 0]}}, "expected question and mc1_targets"),
        ({"question": "q?", "mc1_targets": ["a", "b"]}, "expected question and mc1_targets"),
        ({"question": "q?"}, "missing field 'mc1_targets'"),
        ({"mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]}}, "missing field 'question'"),
        (published("q?", ["a", "a "]), "the choice 'a' stands there twice"),
        (published("q?", ["a", " "]), r"choices\[1\] is empty"),
        (published("q?", ["a", 3]), r"choices\[1\] is a number"),
        (published(" ", ["a", "b"]), "question is empty"),
        (published("first?", ["a", "b"]), "already that of line 1"),
        (["a"], "found a list"),
    ],
)
def test_a_bad_row_is_refused_by_its_line_before_a_model_is_loaded(tmp_path: Path, directory, row, complaint):
    path = written(tmp_path / "rows.jsonl", published("first?", ["a", "b"]), row)
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: .*{complaint}"):
        probe_command(str(directory), [], nothing, QUIET, files=[f"truthfulqa_mc1:{path}"])


def test_rows_of_answers_are_refused_by_line_too(tmp_path: Path):
    own = dict.fromkeys(("source", "license", "category", "type", "source_url"), "s")
    row = {**own, "id": "t1", "question": "q?", "best_answer": "yes", "correct_answers": []}
    good = {**row, "incorrect_answers": ["no"]}
    with pytest.raises(DataError, match=r"rows:2: the choice 'yes\.' stands there twice"):
        read_truthfulqa_mc1(written(tmp_path / "rows", good, {**good, "id": "t2", "incorrect_answers": ["yes."]}))
    with pytest.raises(DataError, match="rows:2: 1 choice"):
        read_truthfulqa_mc1(written(tmp_path / "rows", good, {**good, "id": "t2", "incorrect_answers": []}))
    with pytest.raises(DataError, match="rows:2: missing field 'best_answer'"):
        read_truthfulqa_mc1(written(tmp_path / "rows", good, {**{k: good[k] for k in good if k != "best_answer"}}))
    with pytest.raises(DataError, match="no row in the file"):
        read_truthfulqa_mc1(written(tmp_path / "rows"))


def test_the_public_extract_has_a_right_and_a_wrong_answer_to_every_question():
    path = EXTRACTS / "truthfulqa_dev.jsonl"
    if not path.is_file():
        pytest.skip("the extracts are not there")
    rows = read_truthfulqa_mc1(path)
    assert len(rows) == 250 and all(len(row.choices) > 1 and row.choices[0].endswith(".") for row in rows)


# Likelihoods


@pytest.mark.parametrize("family", ["qwen25", "llama3"])
def test_the_likelihoods_are_those_of_a_plain_forward(tmp_path: Path, family):
    directory = save_random_model(family, tmp_path / family)
    path = written(tmp_path / "choices.jsonl", *drawn(12, choices=3))
    questions, found = asked_of(directory, path)
    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModelForCausalLM.from_pretrained(directory)
    renderer = load_renderer(directory)
    summed, per_token = [], []
    for question in questions:
        turns = [{"role": m.role, "content": m.content} for m in generator.ask("helpful", question.prompt)]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        sums, means = [], []
        for choice, sequence in zip(question.choices, texts_of(question, renderer, "helpful"), strict=True):
            end = sequence.completion_token_ids[-1]
            assert end in renderer.end_ids, "the end of the turn belongs to the answer"
            reply = [*tokenizer(choice, add_special_tokens=False)["input_ids"], end]
            assert (list(sequence.prompt_token_ids), list(sequence.completion_token_ids)) == (prompt, reply)
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *reply]])).logits[0].double()
            read = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(reply)[:, None])
            sums.append(float(read.sum()))
            means.append(float(read.mean()))
        summed.append(float(max(range(3), key=sums.__getitem__) == question.right))
        per_token.append(float(max(range(3), key=means.__getitem__) == question.right))
    values = {
        metric: [row.value for row in found.chosen["choices"] if row.metric == metric]
        for metric in ("mc1_accuracy", "mc1_accuracy_per_token")
    }
    assert values == {"mc1_accuracy": summed, "mc1_accuracy_per_token": per_token}
    assert levels(found)["mc1_accuracy"].value == pytest.approx(sum(summed) / 12)


def test_a_tie_is_no_hit():
    assert _hit([-2.0, -2.0, -3.0], 0) == 0.0 and _hit([-2.0, -2.1, -3.0], 0) == 1.0


def test_a_long_right_answer_loses_by_its_length_and_not_per_token(tmp_path: Path, directory):
    """A model without knowledge: the sum prefers the short choice always, the mean as often as chance has it."""
    rng = random.Random(3)
    rows = [published(f"Why {n}?", [" ".join(rng.choices(WORDS, k=20)), rng.choice(WORDS)]) for n in range(40)]
    found = levels(asked_of(directory, written(tmp_path / "choices.jsonl", *rows))[1])
    assert found["mc1_accuracy"].value == 0.0 and found["mc1_accuracy_per_token"].value > 0
    assert found["mc1_chance"].value == 0.5 and found["mc1_chance"].low is None


def test_where_nothing_tells_the_right_choice_the_accuracy_is_chance(tmp_path: Path, directory):
    rows = [*drawn(200), *(replaced(row) for row in drawn(100, choices=2, seed=1))]
    found = levels(asked_of(directory, written(tmp_path / "choices.jsonl", *rows))[1])
    chance = (200 / 4 + 100 / 2) / 300
    assert found["mc1_chance"].value == pytest.approx(chance)
    assert holds(found["mc1_accuracy"], chance) and holds(found["mc1_accuracy_per_token"], chance)
    assert found["mc1_accuracy"].n == 300 and found["mc1_accuracy"].high - found["mc1_accuracy"].low < 0.13


def replaced(row):
    return {**row, "question": f"Please: {row['question']}"}


def test_a_model_that_learnt_the_right_answers_finds_them_and_the_difference_is_paired(tmp_path: Path, directory):
    path = written(tmp_path / "choices.jsonl", *drawn(16, seed=5))
    taught = learnt(directory, read_truthfulqa_mc1(path), tmp_path / "taught")
    out = tmp_path / "found.json"
    file = f"truthfulqa_mc1:{path}"
    made, _ = probe_command(
        str(taught), SETTINGS, nothing, QUIET, files=[file], family="choices", against=str(directory), out=out
    )
    told = json.loads(out.read_text(encoding="utf-8"))
    sides = [{row["metric"]: row for row in one["families"]["choices"]} for one in (told, told["against"])]
    assert sides[0]["mc1_accuracy"]["value"] == sides[0]["mc1_accuracy_per_token"]["value"] == 1.0
    changes = {row["metric"]: row for row in told["differences"]}
    for metric in ("mc1_accuracy", "mc1_accuracy_per_token"):
        assert changes[metric]["value"] == pytest.approx(1 - sides[1][metric]["value"]) and changes[metric]["n"] == 16
        assert changes[metric]["low"] > 0.3
    assert [row[0] for row in made[0].rows] == ["mc1 accuracy", "mc1 accuracy per token", "mc1 chance"]
    assert made[0].rows[0][1] == "choices" and made[0].rows[2][2] == made[0].rows[2][3] == "0.250"


def learnt(directory: Path, questions, out: Path) -> Path:
    """A copy that was trained on the right answers as a run reads them."""
    renderer, model = load_renderer(directory), AutoModelForCausalLM.from_pretrained(directory)
    texts = [texts_of(question, renderer, "helpful")[question.right] for question in questions]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(25):
        for text in texts:
            tokens = torch.tensor([[*text.prompt_token_ids, *text.completion_token_ids]])
            labels = tokens.clone()
            labels[0, : len(text.prompt_token_ids)] = -100
            optimiser.zero_grad()
            model(tokens, labels=labels).loss.backward()
            optimiser.step()
    model.save_pretrained(out)
    renderer.tokenizer.save_pretrained(out)
    return out


# What cannot be asked


def test_what_makes_no_sense_is_refused(tmp_path: Path, directory):
    path = written(tmp_path / "choices.jsonl", *drawn(3))
    script = tmp_path / "script.yaml"
    script.write_text(json.dumps({"rules": [{"replies": ["yes"]}]}), encoding="utf-8")
    scripted = ["engine.kind=scripted", f"engine.script={script}", "train.method=none"]
    with pytest.raises(RecipeError, match="makes up its log-probabilities"):
        probe_command(str(directory), scripted, nothing, QUIET, files=[f"truthfulqa_mc1:{path}"])
    (tmp_path / "other").mkdir()
    same = written(tmp_path / "other" / "choices.jsonl", *drawn(2))
    with pytest.raises(RecipeError, match="two files are named 'choices'"):
        probe_command(str(directory), [], nothing, QUIET, files=[f"truthfulqa_mc1:{one}" for one in (path, same)])
    with pytest.raises(RecipeError, match="'choices' has nothing to ask"):
        probe_command(str(directory), [], nothing, QUIET, family="choices")
    question = read_truthfulqa_mc1(path)[0]
    renderer = load_renderer(directory)
    renderer.tokenizer.chat_template += "{% if add_generation_prompt %}{{ '<think>\n' }}{% endif %}"
    with pytest.raises(DataError, match=r"opens a block of thinking.*enable_thinking"):
        texts_of(question, renderer, "helpful")
    with pytest.raises(DataError, match=r"expected exactly"):
        read_truthfulqa_mc1(written(tmp_path / "other.jsonl", {"question": "q?", "answer": "a"}))
