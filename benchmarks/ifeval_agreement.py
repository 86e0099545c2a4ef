"""Our `ifeval` verifier beside IFEval's published checker, instruction by instruction.

    python benchmarks/ifeval_agreement.py OFFICIAL_DIR PROMPTS.jsonl OUT.md

OFFICIAL_DIR holds the package `instruction_following_eval` (google-research, Apache-2.0, or a fork of it), which needs
nltk, langdetect, immutabledict and absl-py; PROMPTS are rows of the data set. Every instruction of every prompt meets
answers made by rules (`ifeval_answers.py`): some that follow it and some that just miss it, the same in capitals, in
small letters, in quotes and in markdown, empty ones, the prompt itself, and answers made for other prompts. The
published checker is run as its own harness runs it (an empty answer follows nothing); langdetect and the letters that
it draws at random are seeded. Where NLTK has no Punkt model, our own reading of sentences and words is put in its
place, and the table says so.

Every disagreement is named with its cause, which is checked on the pair itself; one without is "not explained".
"""

import argparse
import hashlib
import importlib
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ifeval_answers import made
from ifeval_counted import LANGUAGES, prose

from selfreward.measuring.stats.clustered import clustered_share
from selfreward.records import Message, Prompt
from selfreward.report.html import markdown_table
from selfreward.report.tables import Table
from selfreward.tasks.verifiers.ifeval import InstructionVerifier
from selfreward.tasks.verifiers.instructions import INSTRUCTIONS
from selfreward.tasks.verifiers.punkt import sentences
from selfreward.tasks.verifiers.treebank_words import words

SEED = 0
FOREIGN = "letters as asked, in another language: ours asks for the letters alone, and is wrong here"
MISTAKEN = "letters as asked, in English, which langdetect takes for another language: the published checker is wrong"
OTHERS = 4
"""Answers made for other prompts, for each instruction."""


@dataclass(frozen=True)
class Pair:
    """An instruction with an answer, and what both say; `ours` is None where ours leaves it open."""

    prompt: str
    name: str
    given: dict[str, Any]
    answer: str
    ours: bool | None
    theirs: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("official", type=Path, metavar="OFFICIAL_DIR")
    parser.add_argument("prompts", type=Path, metavar="PROMPTS.jsonl")
    parser.add_argument("out", type=Path, metavar="OUT.md")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.prompts.read_text(encoding="utf-8").splitlines()]
    official = Official(arguments.official)
    pairs = list(compared(rows, official))
    arguments.out.write_text(report(pairs, official) + "\n", encoding="utf-8")
    print(summary(pairs))


class Official:
    """The published checker, loaded from a directory."""

    def __init__(self, directory: Path) -> None:
        sys.path.insert(0, str(directory))
        from langdetect import DetectorFactory

        DetectorFactory.seed = SEED  # its own harness leaves langdetect unseeded
        source = (directory / "instruction_following_eval" / "instructions.py").read_bytes()
        self.digest = hashlib.sha256(source).hexdigest()[:12]
        self.classes = importlib.import_module("instruction_following_eval.instructions_registry").INSTRUCTION_DICT
        util = importlib.import_module("instruction_following_eval.instructions_util")
        nltk: Any = util.nltk
        self.punkt = True
        try:
            self.count_sentences: Callable[[str], int] = util.count_sentences
            self.words: Callable[[str], list[str]] = nltk.word_tokenize
            self.count_sentences("One. Two.")
            self.words("One. Two.")
        except LookupError:
            self.punkt = False
            self.count_sentences, self.words = lambda text: len(sentences(text)), words
            util.count_sentences, nltk.word_tokenize = self.count_sentences, words

    def follows(self, name: str, given: dict[str, Any], answer: str) -> bool:
        random.seed(SEED)  # a letter that is none is drawn anew
        instruction = self.classes[name](name)
        instruction.build_description(**given)
        return bool(answer.strip()) and bool(instruction.check_following(answer))


def compared(rows: list[dict[str, Any]], official: Official) -> Iterator[Pair]:
    """Every instruction of every prompt with all answers."""
    verifier = InstructionVerifier()
    asked = [
        (row, name, {key: value for key, value in given.items() if value is not None}, place)
        for row in rows
        for place, (name, given) in enumerate(zip(row["instruction_id_list"], row["kwargs"], strict=True))
    ]
    own = [made(name, given, random.Random(f"{SEED} {row['id']} {place}")) for row, name, given, place in asked]
    for number, (row, name, given, place) in enumerate(asked):
        rng = random.Random(f"{SEED} others {row['id']} {place}")
        others = [rng.choice(rng.choice(own)[rng.randrange(2)]) for _ in range(OTHERS)]
        meta = {"instruction_id_list": [name], "kwargs": [given]}
        prompt = Prompt(row["id"], (Message("user", row["prompt"]),), "report", "file", meta=meta)
        verifier.require(prompt)
        for answer in dict.fromkeys([*forms(*own[number], rng), row["prompt"], *others]):
            truth = verifier.check(prompt, answer)
            ours = None if truth.open else truth.correct
            yield Pair(row["id"], name, given, answer, ours, official.follows(name, given, answer))


def forms(follow: list[str], miss: list[str], rng: random.Random) -> list[str]:
    """The answers, and one that follows in other letters, in quotes and in markdown; ordinary prose; nothing."""
    one = rng.choice(follow)
    listed = "\n".join(f"- {line}" for line in one.splitlines() if line.strip())
    marked = [f"# Answer\n\n**Here it is:** *{one}*", f"## One\n\n{listed}\n\n---"]
    dressed = [one.upper(), one.lower(), f'"{one}"', f"\n\n {one} \n"]
    return [*follow, *miss, *dressed, *marked, prose(rng, 12), "", " \n"]


def cause(pair: Pair, official: Official) -> str:
    """Why both say something else, as far as this pair shows it."""
    from langdetect import LangDetectException, detect

    kind, text = pair.name.partition(":")[2], pair.answer
    if kind == "letter_frequency" and not re.fullmatch("[a-z]", pair.given["letter"], re.IGNORECASE):
        return "a `letter` that is none: the published checker counts one drawn at random, and is wrong"
    if kind == "response_language" and pair.ours is None and pair.theirs:
        return "a language that cannot be told: followed for the published checker, which is wrong; ours leaves it open"
    if kind in ("english_capital", "english_lowercase") and pair.ours and not pair.theirs:
        try:
            told = detect(text)
        except LangDetectException:
            told = "en"
        if told != "en":
            foreign = any(one.lower() in text.lower() for one in LANGUAGES.values())
            return FOREIGN if foreign else MISTAKEN
    if kind == "number_sentences" and len(sentences(text)) != official.count_sentences(text):
        return "our Punkt, with its shorter table of words, counts other sentences than NLTK's, and is wrong"
    if kind == "capital_word_frequency" and words(text) != official.words(text):
        return "our words are other ones than NLTK's, and are wrong"
    strings = [one for value in pair.given.values() for one in (value if isinstance(value, list) else [value])]
    if any(isinstance(one, str) and re.search(r"[.^$*+?{}\[\]\\|()]", one) for one in strings):
        return "a keyword with a sign: a pattern for the published checker, the sign itself for ours"
    return "not explained"


def summary(pairs: list[Pair]) -> str:
    agreed = sum(pair.ours == pair.theirs for pair in pairs)
    return f"{agreed} of {len(pairs)} pairs agree ({agreed / len(pairs):.4f})"


def report(pairs: list[Pair], official: Official) -> str:
    """One row a type, then every cause with an example."""
    by_name: dict[str, list[Pair]] = {name: [] for name in INSTRUCTIONS}
    for pair in pairs:
        by_name[pair.name].append(pair)
    body, causes, examples = [], Counter[tuple[str, str]](), {}
    for name, here in by_name.items():
        if not here:
            continue
        agreed = clustered_share([float(pair.ours == pair.theirs) for pair in here], [pair.prompt for pair in here])
        for pair in here:
            if pair.ours != pair.theirs:
                why = (name, cause(pair, official))
                causes[why] += 1
                examples.setdefault(why, pair)
        shares = [sum(bool(getattr(pair, side)) for pair in here) / len(here) for side in ("ours", "theirs")]
        level = f"{agreed.value:.4f}" + (f" [{agreed.low:.4f}, {agreed.high:.4f}]" if agreed.low is not None else "")
        body.append([name, str(len(here)), str(agreed.n), level, *(f"{share:.3f}" for share in shares)])
    header = ["instruction", "pairs", "prompts", "agreement", "followed, ours", "followed, published"]
    named = [[name, str(count), why, _example(examples[name, why])] for (name, why), count in sorted(causes.items())]
    punkt = (
        "Sentences and words of the published checker are NLTK's own."
        if official.punkt
        else "NLTK's Punkt model was not there: sentences and words of the published checker are ours too."
    )
    return "\n".join(
        [
            "# Our `ifeval` verifier beside the published checker",
            "",
            f"`python benchmarks/ifeval_agreement.py OFFICIAL_DIR PROMPTS.jsonl OUT.md`: {summary(pairs)}, over "
            f"{len({pair.prompt for pair in pairs})} prompts of the data set and answers made by rules. {punkt} "
            f"Its `instructions.py` has the SHA-256 {official.digest}…. "
            "Intervals are 95 % ones, clustered by prompt. An answer that ours leaves open is no agreement.",
            "",
            *markdown_table(Table("", header, body))[2:],
            "",
            "## Where they differ",
            "",
            *(
                markdown_table(Table("", ["instruction", "pairs", "cause", "example"], named))[2:]
                if named
                else ["Nowhere."]
            ),
        ]
    )


def _example(pair: Pair) -> str:
    short = pair.answer if len(pair.answer) < 60 else pair.answer[:60] + "…"
    return f"{json.dumps(pair.given, ensure_ascii=False)}: {short!r}: ours {pair.ours}, published {pair.theirs}"


if __name__ == "__main__":
    main()
