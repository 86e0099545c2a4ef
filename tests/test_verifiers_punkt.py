"""Sentences and words as IFEval's own tokenisers count them; the right counts are NLTK's (3.10, its English model)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.tasks.verifiers.ifeval import InstructionVerifier
from selfreward.tasks.verifiers.instructions import INSTRUCTIONS
from selfreward.tasks.verifiers.punkt import english, sentences
from selfreward.tasks.verifiers.treebank_words import words

SPLITS = [
    ["Take B_n.", "It is small."],
    ["Mr. Smith met Dr. Jones.", "They talked."],
    ["The U.S. economy grew.", "It did."],
    ["He came at 5 p.m.", "He left at six."],
    ["He lives in the U.S.", "However, he works in Paris."],
    ["J. S. Bach wrote it.", "So did Mozart."],
    ["Let the number be x.", "We know that x is odd."],
    ["See e.g.", "the book.", "Done."],
    ["Wait... what?", "Yes!"],
    ["It is over...", "However, it is not."],
    ["Vitamin C. It helps."],
    ['"Go!"', "she said.", '"Now."'],
    ["(It rained.)", "We stayed."],
    ["He said “stop.”", "She went."],
    ["Really?!", "Yes!!!", "No."],
    ["It costs 3.50 dollars.", "Cheap."],
    ["It is 3. and no more."],
    ["1.", "First do this.", "2.", "Then that."],
    ["No end here"],
    ["One line\nand no stop"],
]


@pytest.mark.parametrize("parts", SPLITS)
def test_where_sentences_end(parts):
    assert sentences(" ".join(parts)) == parts


def test_no_text_has_no_sentence_and_marks_alone_are_three():
    assert sentences("") == [] == sentences("  \n ")
    assert sentences("!" * 100) == ["!", "!" * 98, "!"], "so NLTK does"


@given(st.text(alphabet="aB1.?! \n\"')-", max_size=60))
def test_sentences_are_the_text_without_the_space_between(text):
    joined = "".join("".join(part.split()) for part in sentences(text))
    assert joined == "".join(text.split())


def test_the_lists_are_apart():
    assert not english().capital_at_the_beginning & english().capital_anywhere
    assert {"mr", "u.s", "p.m"} <= english().abbreviations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DON'T GO.", ["DO", "N'T", "GO", "."]),
        ("A well-known B_n (C).", ["A", "well-known", "B_n", "(", "C", ")", "."]),
        ("I CANNOT pay $5,000, OK?", ["I", "CAN", "NOT", "pay", "$", "5,000", ",", "OK", "?"]),
        ('She said "NO" -- twice', ["She", "said", "``", "NO", "''", "--", "twice"]),
        ("U.S. laws; X's", ["U.S.", "laws", ";", "X", "'s"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("piece", ["!", "a", ".", ". ", "[", "\n", "*", "- ", "***", "<<", "P.S. ", "'", '"', ","])
def test_no_text_of_8000_characters_takes_a_second(piece):
    text = (piece * 8000)[:8000]
    for name, arguments in {
        "length_constraints:number_sentences": {"num_sentences": 3, "relation": "at least"},
        "length_constraints:number_paragraphs": {"num_paragraphs": 2},
        "detectable_content:number_placeholders": {"num_placeholders": 2},
        "detectable_content:postscript": {"postscript_marker": "P.S."},
        "detectable_format:number_bullet_lists": {"num_bullets": 2},
        "detectable_format:number_highlighted_sections": {"num_highlights": 2},
        "detectable_format:title": {},
        "change_case:capital_word_frequency": {"capital_frequency": 2, "capital_relation": "at least"},
    }.items():
        begun = time.process_time()
        INSTRUCTIONS[name](text, **arguments)
        assert time.process_time() - begun < 1, name


def test_the_verifier_of_the_recipe_is_confined_and_says_the_same():
    from selfreward.records import Message, Prompt
    from selfreward.tasks.verifiers.ifeval import confined

    meta = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    prompt = Prompt("p", (Message("user", "Write."),), "report", "file", meta=meta)
    verifier = confined()
    for text in ("one, two", "one"):
        assert verifier.check(prompt, text) == InstructionVerifier().check(prompt, text)
    verifier.close()
