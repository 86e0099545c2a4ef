"""The worst that a reply can be: long, and made of what a pattern goes back over. No reader in this process is slow.

Each reader is given texts of 8,000 characters, and takes a fifth of a second of processor time at most; those whose
time grew with the square of the length took .3 to 2.7 s. What cannot promise this (mathematics, schemas, SQL, IFEval,
programs) is asked in a process of its own, which is killed.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from selfreward.engines import thinking
from selfreward.engines.protocol import Completion
from selfreward.judging.prompts import listwise, meta, pairwise, pointwise, rubric, steps
from selfreward.judging.revising import faults
from selfreward.measuring.metrics.policy.form import has_list, has_markup
from selfreward.measuring.probes.sycophancy import choice
from selfreward.records import Message, Prompt
from selfreward.roles import prompt_writer
from selfreward.tasks.grounding import facts
from selfreward.tasks.verifiers import VERIFIERS
from selfreward.tasks.verifiers.code.replies import program_in
from selfreward.tasks.verifiers.code.verifier import CodeVerifier
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.protocol import load_verifier

SIZE = 8_000
SECONDS = 0.2
HERE = ("sandbox", "exact", "contains", "numeric", "choice", "refusal")
"""The verifiers that read in this process."""


def completion(text: str) -> Completion:
    return Completion(text, "", (5, 6), "stop")


def prompt(answer: str | None, **meta: Any) -> Prompt:
    return Prompt("p", (Message("user", "How much?"),), "train", "file", answer=answer, meta=meta)


def verifier(name: str, answer: str | None, **meta: Any) -> Callable[[str], object]:
    return lambda text: load_verifier(name).check(prompt(answer, **meta), text)


READERS: dict[str, Callable[[str], object]] = {
    "exact, a number": verifier("exact", "18"),
    "exact, words": verifier("exact", "seven apples"),
    "contains": verifier("contains", "seven apples"),
    "contains, a number": verifier("contains", "18"),
    "numeric": verifier("numeric", "18"),
    "choice": verifier("choice", "A"),
    "refusal": verifier("refusal", None, refuse=True),
    "votes": final_answer,
    "score": lambda text: pointwise.read("additive", completion(text)),
    "comparison": lambda text: pairwise.read("pairwise", completion(text)),
    "meta-judge": lambda text: meta.read("pairwise", completion(text)),
    "rubric": lambda text: rubric.read("rubric", rubric.load_rubric("helpfulness"), completion(text)),
    "list": lambda text: listwise.read("list", completion(text), 4),
    "step": lambda text: steps.read("steps", completion(text)),
    "steps of an answer": lambda text: steps.split(text, 8),
    "critique": lambda text: faults.fault_of_critique(completion(text), "an answer"),
    "nothing found": faults.finds_nothing,
    "opening of a revision": faults.without_opening,
    "written prompt": lambda text: prompt_writer.read("few_shot", completion(text)),
    "program": lambda text: program_in(text, "f"),
    "facts": lambda text: facts(text, "On 3 March in Rome", "When?"),
    "facts of a context": lambda text: facts("On 3 March in Rome", text, "When?"),
    "probe's choice": choice,
    "thinking": thinking.split_channels,
    "lists": has_list,
    "markup": has_markup,
}
UNITS = [
    *r"""_ * ** ` ~ " ' ( [ { } $ \ | # = - 1 9 0 ² é a . , ; : ! / % < >""".split(),  # noqa: SIM905
    *(
        " ",
        "\n",
        "\t",
        "\r\n",
        ". ",
        "! ",
        "a ",
        "- ",
        "\n- ",
        "1 ",
        "1,",
        "1/",
        "1.",
        "1. ",
        "A. ",
        "(A) ",
        "$1 ",
        "$ ",
    ),
    *("is ", "is not ", "because ", ", not ", " (a", " - ", "between ", "from 1 ", "answer ", "this answer is ", "\\$"),
    *(
        "answer is ",
        "answer is * ",
        "and ",
        "A or B ",
        "twenty ",
        "1 million ",
        "I can't ",
        "I hope ",
        "> x\n",
        "```\n",
    ),
    *(
        "def f(x):\n",
        "\\frac{",
        "\\boxed{",
        "\\text{a",
        "[a](",
        "[a](b",
        "| a ",
        "__a",
        "**a",
        '{"score":',
        "1>2>",
        "Rome ",
    ),
    *(
        "No, ",
        "Wait, that is wrong. ",
        "his answer is 5 ",
        "but they are ",
        ", not 5 ",
        "(A) is ",
        "Option A is correct. ",
    ),
    *(
        "<think>",
        "</think>",
        "Score: 4 ",
        "Score: 4\n",
        "complete: a. Score: 4\n",
        "Step 1: ",
        "x = 1, ",
        "{. ",
        "$a. ",
    ),
]


def texts(unit: str) -> list[str]:
    filled = (unit * SIZE)[:SIZE]
    return [filled, f"The answer is 4 {filled} x", f"Score: {filled}", f"{filled}\nThe answer is 4"]


@pytest.mark.parametrize("name", READERS)
def test_no_reader_goes_back_over_what_it_has_read(name: str) -> None:
    READERS[name]("The answer is 4.")  # what is loaded once is not the text's
    slow = []
    for unit in UNITS:
        for place, text in enumerate(texts(unit)):
            begun = time.process_time()
            READERS[name](text)
            if (taken := time.process_time() - begun) > SECONDS:
                slow.append((unit, place, round(taken, 2)))
    assert slow == []


def test_every_other_verifier_is_confined() -> None:
    elsewhere = {name: load_verifier(name) for name in VERIFIERS if name not in HERE}
    assert all(isinstance(one, ConfinedVerifier | CodeVerifier) for one in elsewhere.values()), elsewhere
