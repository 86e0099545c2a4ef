"""The judge of all answers to a prompt at once: it ranks them, best first (listwise judging; RULER, docs of ART).

Slots are 1 to K, and a ranking names slots, never answers: which answer stood where is the caller's knowledge. The
reply ends with `Ranking: 3 > 1 = 2`; commas read as `>`. Slots joined by `=` share the mean of their ranks:

    3 > 1 = 2   ->   ranks (2.5, 2.5, 1)

A list that names a slot twice, leaves one out, or names one that is not there says nothing that can be relied on: it is
no ranking, and never a partial one. Read as the other judges are: only the end of a finished reply counts.
"""

import re
from collections.abc import Sequence
from functools import cache

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.replies import read_end
from selfreward.judging.prompts.spoken import order
from selfreward.judging.prompts.verdicts import Grammar, grammar
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.catalogue import words
from selfreward.roles.fences import as_question, braceless, fence_code, fenced, spoken, substitute, transcript
from selfreward.roles.unreadable import Unreadable, unfinished

MOST = 40
"""Answers in one list; nobody keeps more apart."""

_LEAD = "best"
"""What the ranking follows in the sandbox's language."""
_SLOT = r"(?:(?:response|answer) )?[0-9]{1,2}"
_RANKING = rf"{_SLOT}(?: ?[>,=] ?{_SLOT}){{1,{MOST}}}"

Ranks = tuple[float, ...]


def version(template: str) -> str:
    return template_version("judge_list", template)


def ask(template: str, prompt: Prompt, answers: Sequence[str]) -> tuple[Message, ...]:
    """One user turn that shows answer k in slot k, counted from 1."""
    if look_up("judge_list", template).fence == "braces":
        listed = " ".join(f"{slot} {{ {braceless(text)} }}" for slot, text in enumerate(answers, start=1))
        return as_question(
            substitute(
                words("judge_list", template), {"prompt": braceless(spoken(prompt.messages)), "responses": listed}
            )
        )
    code = fence_code([turn.content for turn in prompt.messages] + list(answers))
    shown = "\n\n".join(fenced(f"response-{slot}", text, code) for slot, text in enumerate(answers, start=1))
    example = "Ranking: " + " > ".join(map(str, _example(len(answers))))
    values = {"prompt": transcript(prompt.messages, code), "responses": shown, "fence": code, "example": example}
    return as_question(substitute(words("judge_list", template), values))


def read(template: str, completion: Completion, slots: int) -> Ranks | Unreadable:
    """The rank of every slot, 1 for the best, or why there is no ranking."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge_list", template).reply == "last_words":
        return order(completion.text, _LEAD, slots)
    return read_end(completion.text, _grammar(slots))


def _example(slots: int) -> list[int]:
    """An order that is neither the one shown nor its reverse, where there is one: even slots, then odd ones."""
    numbers = list(range(1, slots + 1))
    return numbers[1::2] + numbers[::2]


@cache
def _grammar(slots: int) -> "Grammar[Ranks | Unreadable]":
    return grammar(
        "ranking", _RANKING, lambda found: _ranks(found["v"], slots), {"ranking", "final_ranking", "overall_ranking"}
    )


def _ranks(text: str, slots: int) -> Ranks | Unreadable:
    groups = [[int(slot) for slot in re.findall("[0-9]+", group)] for group in re.split("[>,]", text)]
    named = [slot for group in groups for slot in group]
    if sorted(named) != list(range(1, slots + 1)):
        return Unreadable("no ranking", f"{text[:60]!r} does not name each of {slots} responses once")
    ranks: dict[int, float] = {}
    for group in groups:
        ranks |= dict.fromkeys(group, len(ranks) + (len(group) + 1) / 2)
    return tuple(ranks[slot] for slot in range(1, slots + 1))
