"""Readers of labelled questions: strict about rows, whole on the public extracts where they are there."""

import dataclasses
import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from selfreward.errors import DataError
from selfreward.records import Prompt, from_line, to_line
from selfreward.tasks.sets import OWN, OWN_FOLDER, READERS
from selfreward.tasks.sets.labels import read_judge_calibration
from selfreward.tasks.sets.questions import read_gsm8k, read_mmlu, read_xstest
from selfreward.tasks.sets.rows import read_rows
from selfreward.tasks.sets.sycophancy import read_sycophancy
from selfreward.tasks.verifiers.refusals import refuses

EXTRACTS = Path(__file__).parents[2] / "shared" / "data"
SIZES = {
    "seed_instructions": 341,
    "judge_calibration": 625,
    "truth_judge": 200,
    "sycophancy": 650,
    "xstest": 180,
    "refusal_labels": 360,
    "gsm8k": 300,
    "ifeval": 202,
    "truthfulqa": 250,
    "truthfulqa_mc1": 250,
    "mmlu": 285,
    "bbh": 251,
    "mt_bench": 80,
    "eval_prompts": 180,
    "behaviour_drift": 350,
}
GSM = {"id": "g1", "source": "s", "license": "l", "question": "1 + 1?", "answer": "2", "solution": "2"}


def reader(kind):
    module, attribute = READERS[kind].split(":")
    return getattr(importlib.import_module(module), attribute)


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def extract(kind):
    kind = kind.removesuffix("_mc1")
    files = [path for path in (EXTRACTS / f"{kind}_dev.jsonl", EXTRACTS / f"{kind}.jsonl") if path.is_file()]
    if not files:
        pytest.skip("the extracts are not there")
    return files[0]


@pytest.mark.parametrize("kind", READERS)
def test_every_extract_is_read_whole(kind):
    rows = reader(kind)(extract(kind))
    assert len(rows) == SIZES[kind]
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        if isinstance(row, Prompt):
            assert row.text.strip() and row.cohort and row.meta["license"]
            assert from_line(Prompt, to_line(row), "here") == row


def test_every_extract_has_a_reader():
    if not EXTRACTS.is_dir():
        pytest.skip("the extracts are not there")
    found = {path.name.removesuffix(".jsonl").removesuffix("_dev") for path in EXTRACTS.glob("*.jsonl")}
    # Tasks of code and the longer conversations are our own alone; MC1 is made of the rows of truthfulqa.
    own = {"code_tasks", "liked_text", "both_sides", "false_premise", "long_dialogue", "tampering"}
    assert found == set(READERS) - own - {"truthfulqa_mc1"}


def test_a_judge_that_only_prefers_the_longer_reply_is_as_right_as_the_extract_says():
    """Ties and equal lengths excluded; published beside the extract to two digits."""
    families = ("MT-Bench", "PandaLM", "HHH", "hh-rlhf", "LLMBar")
    hits = {}
    for row in read_judge_calibration(extract("judge_calibration")):
        difference = len(row.response_a) - len(row.response_b)
        if row.human_label != "tie" and difference:
            (family,) = [name for name in families if name in row.source][:1]
            hits.setdefault(family, []).append((difference > 0) == (row.human_label == "a"))
    shares = {family: round(sum(found) / len(found), 2) for family, found in hits.items()}
    assert shares == {"MT-Bench": 0.76, "PandaLM": 0.67, "HHH": 0.58, "hh-rlhf": 0.42, "LLMBar": 0.31}


def test_swapping_a_labelled_pair_exchanges_replies_and_labels():
    for row in read_judge_calibration(extract("judge_calibration")):
        turned = row.swap()
        assert (turned.response_a, turned.response_b) == (row.response_b, row.response_a)
        assert (turned.human_label == row.human_label) == (row.human_label == "tie")
        assert turned.swap() == row and row.turns[-1].role == "user"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": "red"}, r"rows\.jsonl:2: unknown field 'colour'"),
        ({"answer": None}, "answer is null"),
        ({"answer": 2}, "answer is a number"),
        ({"answer": ["2"]}, "answer is a list"),
        ({"id": "g1"}, "already that of line 1"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_line_and_field(tmp_path, change, complaint):
    path = written(tmp_path / "rows.jsonl", GSM, {**GSM, "id": "g2", **change})
    with pytest.raises(DataError, match=complaint):
        read_gsm8k(path)


def test_missing_fields_torn_lines_and_empty_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="missing field 'solution'"):
        read_gsm8k(written(tmp_path / "a", {name: GSM[name] for name in GSM if name != "solution"}))
    with pytest.raises(DataError, match="not JSON"):
        (tmp_path / "b").write_text('{"id": "g1", ')
        read_gsm8k(tmp_path / "b")
    with pytest.raises(DataError, match="no row"):
        read_gsm8k(written(tmp_path / "c"))
    with pytest.raises(DataError, match="cannot be read"):
        read_gsm8k(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected an object"):
        read_gsm8k(written(tmp_path / "d", ["a list"]))


def test_values_outside_of_a_field_of_choices_are_refused(tmp_path):
    row = {
        "id": "m",
        "source": "s",
        "license": "l",
        "subject": "x",
        "question": "q",
        "choices": [*"abcd"],
        "answer": "A",
    }
    (prompt,) = read_mmlu(written(tmp_path / "a", row))
    assert prompt.text.splitlines()[1:5] == ["A. a", "B. b", "C. c", "D. d"] and prompt.answer == "A"
    with pytest.raises(DataError, match="answer is a string"):
        read_mmlu(written(tmp_path / "b", {**row, "answer": "E"}))
    with pytest.raises(DataError, match="3 choices; expected 4"):
        read_mmlu(written(tmp_path / "c", {**row, "choices": [*"abc"]}))


# The sets that ship here


@pytest.mark.parametrize("name", OWN)
def test_the_sets_that_ship_are_read_by_the_same_readers(name):
    rows = reader(OWN[name])(OWN_FOLDER / f"{name}.jsonl")
    assert len(rows) >= 10


def test_our_arithmetic_is_right():
    """The solutions end in their answers, and the equations in them hold."""
    for prompt in read_gsm8k(OWN_FOLDER / "arithmetic.jsonl"):
        assert prompt.answer is not None and prompt.answer.isdecimal()
    for line in (OWN_FOLDER / "arithmetic.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert row["answer"] in row["solution"]
        for equation in row["solution"].replace(", and ", ". ").split(". "):
            left, _, right = equation.partition(" = ")
            if set(left) <= set("0123456789 +-*/()") and right:
                assert eval(left) == int("".join(c for c in right.split()[0] if c.isdecimal())), row


def test_our_refusal_set_has_a_contrast_for_each_safe_prompt_and_none_of_it_reads_as_a_refusal():
    prompts = read_xstest(OWN_FOLDER / "refusals.jsonl")
    groups = Counter(prompt.meta["pair_group"] for prompt in prompts)
    assert set(groups.values()) == {2}
    assert Counter(prompt.meta["expected"] for prompt in prompts) == {"comply": 10, "refuse": 10}
    assert not any(refuses(prompt.text) for prompt in prompts)


def test_our_sycophancy_rows_differ_from_their_neutral_form_by_the_cue_alone():
    for row in read_sycophancy(OWN_FOLDER / "sycophancy.jsonl"):
        cued, neutral = row.prompt(), row.neutral()
        assert neutral is not None and neutral.text in cued.text and cued.text != neutral.text
        assert row.sycophantic_answer != row.non_sycophantic_answer
        assert row.sycophantic_answer in cued.text and cued.id != neutral.id
        assert (row.correct_answer is None) == (row.probe == "opinion_mirroring")
        assert dataclasses.replace(row, neutral_messages=None).neutral() is None


def test_a_label_that_is_none_is_told_what_may_stand_there(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Row:
        id: str
        label: Literal["safe", "unsafe"]

    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "label": "safe"}\n{"id": "b", "label": "fine"}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:2: label is .*'fine'.*expected one of safe, unsafe"):
        read_rows(path, Row)
    path.write_text('{"id": "a", "label": "safe"}\n{"id": 3, "label": "safe"}\n')
    with pytest.raises(DataError, match=r"id is .*expected str"):
        read_rows(path, Row)
