"""benchmarks/ifeval_agreement.py: answers on both sides of every instruction; what differs is found and counted."""

import importlib
import json
import random
import sys
from pathlib import Path

import pytest
from test_verifiers_ifeval import EXAMPLES, VERIFIER, asked

FOLDER = Path(__file__).parent.parent / "benchmarks"
PACKAGE = "instruction_following_eval"
UTIL = """
from types import SimpleNamespace
def _lacks(text):
    raise LookupError(text)
nltk, count_sentences = SimpleNamespace(word_tokenize=_lacks), _lacks
"""
REGISTRY = """
from selfreward.tasks.verifiers.instructions import INSTRUCTIONS
class Checker:
    def __init__(self, name):
        self.name = name
    def build_description(self, **given):
        self.given = given
    def check_following(self, text):
        followed = INSTRUCTIONS[self.name](text, **self.given)
        return followed != (self.name == {turned!r})
INSTRUCTION_DICT = dict.fromkeys(INSTRUCTIONS, Checker)
"""


@pytest.fixture
def benchmark(monkeypatch):
    pytest.importorskip("langdetect")
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("ifeval_agreement")
    for name in [name for name in sys.modules if name.startswith(("ifeval_", PACKAGE))]:
        del sys.modules[name]


def stand_in(folder: Path, turned: str = "") -> Path:
    """A checker in the published one's form: ours, but for one kind that says the opposite. NLTK has no model here."""
    package = folder / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "instructions.py").touch()
    (package / "instructions_util.py").write_text(UTIL, encoding="utf-8")
    (package / "instructions_registry.py").write_text(REGISTRY.format(turned=turned), encoding="utf-8")
    return folder


def rows():
    """One row with each kind of instruction."""
    given = {name: arguments for name, arguments, *_ in EXAMPLES if name != "language:response_language"}
    return [
        {"id": f"r{n}", "prompt": "Write.", "instruction_id_list": [name], "kwargs": [{**arguments, "unused": None}]}
        for n, (name, arguments) in enumerate(given.items())
    ]


def test_some_answers_follow_and_some_miss_in_every_kind(benchmark):
    for name, arguments, *_ in EXAMPLES:
        for seed in range(5):
            verdicts = [
                [VERIFIER.check(asked((name, arguments)), answer).correct for answer in side]
                for side in benchmark.made(name, arguments, random.Random(seed))
            ]
            assert any(verdicts[0]) and not all(verdicts[1]), name


def test_a_checker_that_says_the_same_agrees_wholly_and_the_table_says_whose_sentences(benchmark, tmp_path: Path):
    official = benchmark.Official(stand_in(tmp_path / "same"))
    pairs = list(benchmark.compared(rows(), official))
    assert all(pair.ours == pair.theirs for pair in pairs) and not official.punkt
    for name in {pair.name for pair in pairs}:
        assert len({pair.theirs for pair in pairs if pair.name == name}) == 2, name
    told = benchmark.report(pairs, official)
    assert "Nowhere." in told and "sentences and words of the published checker are ours too" in told
    assert pairs == list(benchmark.compared(rows(), official)), "seeds are fixed"


def test_a_kind_that_says_the_opposite_is_found_counted_and_not_explained_away(benchmark, tmp_path: Path):
    official = benchmark.Official(stand_in(tmp_path / "other", "punctuation:no_comma"))
    pairs = list(benchmark.compared(rows(), official))
    turned = [pair for pair in pairs if pair.name == "punctuation:no_comma"]
    # An empty answer follows nothing for both.
    apart = [pair for pair in pairs if pair.ours != pair.theirs]
    assert apart == [pair for pair in turned if pair.answer.strip()] and len(apart) > 10
    told = benchmark.report(pairs, official)
    assert f"| punctuation:no_comma | {len(apart)} | not explained |" in told


def test_the_causes_are_read_off_the_pair(benchmark, tmp_path: Path):
    official = benchmark.Official(stand_in(tmp_path / "same"))

    def why(name, given, answer, ours, theirs):
        return benchmark.cause(benchmark.Pair("p", name, given, answer, ours, theirs), official)

    letter = {"letter": "!", "let_frequency": 2, "let_relation": "at least"}
    assert "a `letter` that is none" in why("keywords:letter_frequency", letter, "a!", False, True)
    plain = {**letter, "letter": "a"}
    assert why("keywords:letter_frequency", plain, "a!", False, True) == "not explained"
    assert "cannot be told" in why("language:response_language", {"language": "de"}, "12 + 3", None, True)
    german = benchmark.LANGUAGES["de"].upper()
    assert "ours asks for the letters alone" in why("change_case:english_capital", {}, german, True, False)
    short = "“good morning,” he said. “did you sleep well?”"
    assert "langdetect takes for another" in why("change_case:english_lowercase", {}, short, True, False)
    english = "all human beings are born free and equal in dignity and rights."
    assert why("change_case:english_lowercase", {}, english, True, False) == "not explained"
    sign = {"keyword": "a.b", "frequency": 1, "relation": "at least"}
    assert "a keyword with a sign" in why("keywords:frequency", sign, "axb", False, True)
    assert why("length_constraints:number_sentences", {}, "One. Two.", True, False) == "not explained"


def test_the_command_writes_its_table(benchmark, tmp_path: Path, monkeypatch, capsys):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    out = tmp_path / "out.md"
    monkeypatch.setattr(sys, "argv", ["ifeval_agreement.py", str(stand_in(tmp_path / "x")), str(prompts), str(out)])
    benchmark.main()
    assert "pairs agree (1.0000)" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8").count("| 1 | 1.0000 |") == len(rows())
