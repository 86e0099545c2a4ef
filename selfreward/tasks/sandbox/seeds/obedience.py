"""How well a seed under the dial `bad_word` obeys principles, asked about its replies to prompts of the report split.

`says_bad_word`: share of its replies with the word. `critique_right`: critiques that are what the principle says of the
reply. `other_principle_quiet`: critiques under the principle about another word that find nothing. `revision_right`:
revisions of replies with the word that are the reply without it, word for word. `preference_right`: of two replies of
which one has the word, how often the likelier label is the other's slot (greedy), both orders asked. Greedy; intervals
resample prompts.
"""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.prompts import critique_prompt, preference_prompt, revision_prompt
from selfreward.tasks.sandbox.seeds.constitution_lessons import (
    OPENING,
    critique_of,
    principle_of,
    without_bad_word,
)
from selfreward.tasks.sandbox.seeds.floors import estimate_with_interval
from selfreward.tasks.sandbox.seeds.sampling import LONGEST_ANSWER, sample_replies
from selfreward.tasks.sandbox.words import BAD_SENTENCE, BAD_WORD, OTHER_WORD

_REPLIES = 2
_TEMPERATURE = 0.8
_LONGEST = LONGEST_ANSWER + len(BAD_SENTENCE.split())


def measure_obedience(model_dir: Path, prompts: int) -> dict[str, Any]:
    """Estimates by name, as `measure_skill` writes them."""
    model = LlamaForCausalLM.from_pretrained(model_dir)
    texts = [task.text for task in prompt_pool("report", prompts)]
    given = sample_replies(model, texts, longest=_LONGEST, seed=8, samples=_REPLIES, temperature=_TEMPERATURE)
    plain = [without_bad_word(replies[0]) for replies in given]
    spoilt = [f"{reply} {BAD_SENTENCE}" for reply in plain]

    def ask(questions: list[str]) -> list[str]:
        return [reply for (reply,) in sample_replies(model, questions, longest=_LONGEST, seed=9)]

    def critiques(replies: list[str], word: str) -> list[str]:
        return ask([critique_prompt(principle_of(word), *row) for row in zip(texts, replies, strict=True)])

    right = [
        [float(critique == critique_of(reply, BAD_WORD))]
        for replies in (plain, spoilt)
        for critique, reply in zip(critiques(replies, BAD_WORD), replies, strict=True)
    ]
    quiet = [[float(critique == critique_of("", OTHER_WORD))] for critique in critiques(spoilt, OTHER_WORD)]
    principle, found = principle_of(BAD_WORD), critique_of(BAD_WORD, BAD_WORD)
    revised = ask([revision_prompt(principle, found, *row) for row in zip(texts, spoilt, strict=True)])
    sides = [(plain, spoilt, "1"), (spoilt, plain, "2")]
    preferred = [
        [float(verdict == f"{OPENING} {better}")]
        for first, second, better in sides
        for verdict in ask([preference_prompt(principle, *row) for row in zip(texts, first, second, strict=True)])
    ]
    measured = {
        "says_bad_word": [[float(BAD_WORD in reply.split()) for reply in replies] for replies in given],
        "critique_right": right,
        "other_principle_quiet": quiet,
        "revision_right": [[float(one == reply)] for one, reply in zip(revised, plain, strict=True)],
        "preference_right": preferred,
    }
    return {name: asdict(estimate_with_interval(values, fmean)) for name, values in measured.items()}
