"""IFEval's 25 kinds of instructions: one reply that follows and one that does not for each, and the data set itself."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.records import Message, Prompt
from selfreward.tasks.verifiers.ifeval import InstructionVerifier
from selfreward.tasks.verifiers.instructions import INSTRUCTIONS

VERIFIER = InstructionVerifier()


def asked(*instructions):
    meta = {
        "instruction_id_list": [name for name, _ in instructions],
        "kwargs": [arguments for _, arguments in instructions],
    }
    return Prompt("p", (Message("user", "Write."),), "report", "file", meta=meta)


THREE = "one\n\ntwo\n\nthree"
EXAMPLES = [
    ("keywords:existence", {"keywords": ["mom", "mother"]}, "My Mother, mom.", "My mother."),
    ("keywords:frequency", {"keyword": "a.b", "frequency": 2, "relation": "at least"}, "a.b A.B", "a.b axb"),
    ("keywords:frequency", {"keyword": "no", "frequency": 1, "relation": "less than"}, "yes", "no"),
    ("keywords:frequency", {"keyword": "no ", "frequency": 1, "relation": "at least"}, "no.", "yes"),
    ("keywords:forbidden_words", {"forbidden_words": ["cook", "eat"]}, "cooking heat", "I eat."),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "at least"}, "a!b!", "a!"),
    ("keywords:letter_frequency", {"letter": "c", "let_frequency": 1, "let_relation": "less than"}, "dog", "Cat"),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "Yes. No! Why?", "Yes. No!"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Mr. X left. Bye.",
        "So. No. Yes",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\na\n***\nb\n***", "a\n***\n***\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "one, two!", "one two three"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "two"},
        '"one\n\n"Two, and\n\nthree',
        "two\n\none\n\nthree",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "two"},
        "one\n\n'\"Two",
        "one\n\n\"'Two",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 3, "first_word": "three"},
        THREE,
        f"{THREE}\n\nfour",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] at [place]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye\nP.P.S more", "Bye\nP.S. more"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye\np. s. more", "Bye"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n- b\n* c"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe.", "Yes."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b c*", "*a* and ** **"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "*a* and *\t*"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "PART", "num_sections": 2},
        "PART 1\nx\nPART 2\ny",
        "PART 1",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:json_format", {}, "```Json\n[]\n```", "```jsOn\n[]\n```"),
    ("detectable_format:title", {}, "<<> <>>", "<<\t>>\ntext"),
    ("detectable_format:title", {}, "<<A Title>>\ntext", "<< >>\ntext"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:two_responses", {}, "one******two", "one******two******three"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "write a poem. Here:", "Here: Write a poem."),
    ("startend:end_checker", {"end_phrase": "Peace!"}, 'So long. "peace!"', "Peace! Bye"),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "GO NOW please",
        "GO now",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "less than"},
        "GO now",
        "GO NOW",
    ),
    ("change_case:english_capital", {}, "ALL CAPITALS, 1!", "All capitals"),
    ("change_case:english_lowercase", {}, "all small, 1!", "All small"),
    ("punctuation:no_comma", {}, "no such mark; none", "one, two"),
    ("startend:quotation", {}, ' "all of it" ', '"half" of it'),
]


@pytest.mark.parametrize(("name", "arguments", "follows", "breaks"), EXAMPLES)
def test_each_kind_tells_what_follows_it_from_what_does_not(name, arguments, follows, breaks):
    prompt = asked((name, arguments))
    VERIFIER.require(prompt)
    assert VERIFIER.check(prompt, follows).correct
    assert not VERIFIER.check(prompt, breaks).correct


def test_the_language_of_a_reply():
    pytest.importorskip("langdetect")
    german = asked(("language:response_language", {"language": "de"}))
    VERIFIER.require(german)
    assert VERIFIER.check(german, "Das ist ein ganz gewöhnlicher deutscher Satz, und noch einer dazu.").correct
    assert not VERIFIER.check(german, "This is a quite ordinary English sentence, and one more of them.").correct
    unknown = VERIFIER.check(german, "12 + 30 = 42")
    assert unknown.open.startswith("language unknown") and not unknown.correct


def test_every_kind_has_an_example():
    assert {name for name, *_ in EXAMPLES} | {"language:response_language"} == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25


def test_correct_means_all_of_them_and_quality_is_the_share():
    prompt = asked(
        ("punctuation:no_comma", {}),
        ("startend:quotation", {}),
        ("length_constraints:number_words", {"num_words": 2, "relation": "at least", "unused": None}),
    )
    VERIFIER.require(prompt)
    for text, share in (('"one two"', 1.0), ('"one, two"', 2 / 3), ("one, two", 1 / 3), (",", 0.0), (" ", 0.0)):
        truth = VERIFIER.check(prompt, text)
        assert (truth.correct, truth.quality) == (share == 1.0, pytest.approx(5 * share))


@given(st.text(max_size=200), st.sampled_from([(name, arguments) for name, arguments, *_ in EXAMPLES]))
def test_any_text_is_decided(text, instruction):
    truth = VERIFIER.check(asked(instruction), text)
    assert truth.open == "" and truth.quality == 5.0 * truth.correct


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "no 'meta.instruction_id_list'"),
        ({"instruction_id_list": ["startend:quotation"]}, "one object for each"),
        ({"instruction_id_list": ["startend:quotation"], "kwargs": [{}, {}]}, "one object for each"),
        ({"instruction_id_list": ["startend:quote"], "kwargs": [{}]}, "'startend:quote' is unknown"),
        (
            {"instruction_id_list": ["startend:quotation"], "kwargs": [{"n": 3}]},
            r"arguments are \['n'\]; expected \[\]",
        ),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": "mom"}]}, "expected a list"),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"num_words": "3", "relation": "at least"}],
            },
            "expected a whole number",
        ),
        (
            {
                "instruction_id_list": ["length_constraints:number_words"],
                "kwargs": [{"num_words": 3, "relation": "at most"}],
            },
            "relation is 'at most'; expected one of less than, at least",
        ),
    ],
)
def test_instructions_that_cannot_be_verified_are_refused_before_the_run(meta, message):
    with pytest.raises(DataError, match=f"prompt p .*{message}"):
        VERIFIER.require(Prompt("p", (Message("user", "Write."),), "report", "file", meta=meta))


def data_set():
    path = Path(os.environ.get("SELFREWARD_DATA", "")) / "ifeval_dev.jsonl"
    if not os.environ.get("SELFREWARD_DATA") or not path.is_file():
        pytest.skip("set SELFREWARD_DATA to a folder with ifeval_dev.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_data_set_holds_nothing_that_is_not_understood():
    rows = data_set()
    seen = set()
    for row in rows:
        prompt = asked(*zip(row["instruction_id_list"], row["kwargs"], strict=True))
        VERIFIER.require(prompt)
        truth = VERIFIER.check(prompt, row["prompt"])
        assert truth.open == "" and 0 <= truth.quality <= 5
        seen |= set(row["instruction_id_list"])
    assert seen == set(INSTRUCTIONS)


def test_the_data_sets_own_prompts_to_repeat_are_repeated_by_themselves():
    repeated = 0
    for row in data_set():
        for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            if name == "combination:repeat_prompt":
                repeated += 1
                prompt = asked((name, arguments))
                assert VERIFIER.check(prompt, f"{arguments['prompt_to_repeat']} And so on.").correct
                assert not VERIFIER.check(prompt, "And so on.").correct
    assert repeated
