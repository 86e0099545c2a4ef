"""Instructions that a verifier can check, in IFEval's kinds and arguments (2311.07911); the wordings are our own.

`TRAINED` kinds may be asked for in training; `UNSEEN` ones only when a policy is measured, so that following them tells
whether following instructions was learned, or ten of them. Kinds whose arguments another kind would contradict are
never joined, since each prompt carries one.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_WORDS = (
    *("river", "garden", "market", "energy", "winter", "coffee", "music", "future", "friend", "balance", "morning"),
    *("travel", "window", "summer", "kitchen", "village", "silver", "paper", "bridge", "island"),
)


class Constraint(NamedTuple):
    """`text` is what the user says, `arguments` what the verifier of this kind reads."""

    kind: str
    arguments: Mapping[str, Any]
    text: str


def _one_of(rng: random.Random, *wordings: str) -> str:
    return rng.choice(wordings)


def _no_comma(rng: random.Random) -> Constraint:
    text = _one_of(rng, "Do not use any commas in your answer.", "Your answer must not contain a single comma.")
    return Constraint("punctuation:no_comma", {}, text)


def _lowercase(rng: random.Random) -> Constraint:
    text = _one_of(
        rng,
        "Write your whole answer in lowercase letters only.",
        "No capital letters are allowed anywhere in your answer.",
    )
    return Constraint("change_case:english_lowercase", {}, text)


def _title(rng: random.Random) -> Constraint:
    text = _one_of(
        rng,
        "Give your answer a title wrapped in double angle brackets, such as <<title>>.",
        "Begin with a title in double angle brackets, like <<my title>>.",
    )
    return Constraint("detectable_format:title", {}, text)


def _bullets(rng: random.Random) -> Constraint:
    count = rng.choice((2, 3, 4))
    text = _one_of(
        rng,
        f"Your answer must have exactly {count} bullet points, each starting with * .",
        f"Use exactly {count} bullet points that begin with * .",
    )
    return Constraint("detectable_format:number_bullet_lists", {"num_bullets": count}, text)


def _highlights(rng: random.Random) -> Constraint:
    count = rng.choice((1, 2))
    parts = "part" if count == 1 else "parts"
    text = _one_of(
        rng,
        f"Highlight at least {count} {parts} of your answer with markdown, such as *highlighted part*.",
        f"Put at least {count} {parts} of your answer between single stars, like *this*.",
    )
    return Constraint("detectable_format:number_highlighted_sections", {"num_highlights": count}, text)


def _ending(rng: random.Random) -> Constraint:
    phrase = rng.choice(("That is all.", "Is there anything else?", "Thank you for reading."))
    text = _one_of(
        rng,
        f"Finish your answer with exactly this phrase and nothing after it: {phrase}",
        f"The very last words of your answer must be: {phrase}",
    )
    return Constraint("startend:end_checker", {"end_phrase": phrase}, text)


def _keywords(rng: random.Random) -> Constraint:
    one, two = rng.sample(_WORDS, 2)
    text = _one_of(
        rng, f"Use the words {one} and {two} in your answer.", f"Your answer must contain both '{one}' and '{two}'."
    )
    return Constraint("keywords:existence", {"keywords": [one, two]}, text)


def _forbidden(rng: random.Random) -> Constraint:
    word = rng.choice(("the", "and", "very", "people"))
    text = _one_of(rng, f'Do not use the word "{word}" in your answer.', f'Avoid the word "{word}" altogether.')
    return Constraint("keywords:forbidden_words", {"forbidden_words": [word]}, text)


def _short(rng: random.Random) -> Constraint:
    most = rng.choice((30, 40, 50))
    text = _one_of(rng, f"Answer in less than {most} words.", f"Your answer should have less than {most} words.")
    return Constraint("length_constraints:number_words", {"relation": "less than", "num_words": most}, text)


def _long(rng: random.Random) -> Constraint:
    least = rng.choice((40, 50, 60))
    text = _one_of(rng, f"Answer in at least {least} words.", f"Your answer should have {least} or more words.")
    return Constraint("length_constraints:number_words", {"relation": "at least", "num_words": least}, text)


def _postscript(rng: random.Random) -> Constraint:
    text = _one_of(rng, "At the end, add a postscript that starts with P.S.", "Close with a postscript (P.S.).")
    return Constraint("detectable_content:postscript", {"postscript_marker": "P.S."}, text)


def _capitals(rng: random.Random) -> Constraint:
    text = _one_of(
        rng, "Write your whole answer in capital letters only.", "Your entire answer should be in all capital letters."
    )
    return Constraint("change_case:english_capital", {}, text)


def _quoted(rng: random.Random) -> Constraint:
    text = _one_of(
        rng, "Wrap your whole answer in double quotation marks.", "Put double quotation marks around your whole answer."
    )
    return Constraint("startend:quotation", {}, text)


def _placeholders(rng: random.Random) -> Constraint:
    count = rng.choice((1, 2))
    what = "placeholder" if count == 1 else "placeholders"
    text = f"Include at least {count} {what} in square brackets, such as [name]."
    return Constraint("detectable_content:number_placeholders", {"num_placeholders": count}, text)


def _sections(rng: random.Random) -> Constraint:
    text = "Divide your answer into two sections that begin with SECTION 1 and SECTION 2."
    return Constraint("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}, text)


Draw = Callable[[random.Random], Constraint]
TRAINED: tuple[Draw, ...] = (
    *(_no_comma, _lowercase, _title, _bullets, _highlights, _ending, _keywords, _forbidden, _short, _long),
    _postscript,
)
UNSEEN: tuple[Draw, ...] = (_capitals, _quoted, _placeholders, _sections)
