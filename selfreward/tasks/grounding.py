"""Numbers and names of an answer that stand neither in its context nor in what was asked: found by rule, no model.

A prompt's row brings `meta.context`, the text that answers must keep to; the prompt itself has to show it to the model,
word for word. A *number* is written in digits (1,250 and 1250.0 are one number, 3.5% is 3.5); it is supported where
context or conversation has the same value, in digits or, up to trillions, in words. A *name* is a run of words with
capitals, less the first where it begins a sentence; it is supported where each of its words stands there, in any
case, with or without 's. Nothing is said of a statement without either, nor of what a number or name is said about.

False alarms, known and left: what was computed or rounded from the context (a sum, a year less an age, 12.4 for
12.37); another unit; a date in another form whose parts differ (May for 05); a title in capitals; an adjective of a
name (French for France), its abbreviation, or another spelling. Numbers of steps and items ("1.", "Step 2", "(3)")
are none. Not found: a right number or name in the wrong place, numbers in words, names of one word that begin a
sentence, and all languages that write nouns with capitals or have none.
"""

import re
from dataclasses import dataclass

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.texts import quoted
from selfreward.tasks.verifiers.number_words import words_value
from selfreward.tasks.verifiers.truths import named

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?![\d])|(?<=[A-Za-z$€£#-])\d+(?:,\d{3})*(?:\.\d+)?")
_COUNTED = re.compile(
    r"^[ \t>*_#-]*\(?\d{1,3}[.):](?=[ \t]|$)|\b(?:steps?|items?|points?) \d{1,3}\b|\(\d\)", re.I | re.M
)
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_STARTS = re.compile(r"(?:\A|[.!?:;\n])[\s\"'“”‘’()\[\]*_#>`\-•]*$")
_PRONOUNS = {"i", "i'm", "i'd", "i'll", "i've", "ok"}
_OWNER = re.compile(r"['’]s$|['’]$")


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer states, and which of it its context does not have."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    unsupported_numbers: tuple[str, ...]
    unsupported_names: tuple[str, ...]


def context_of(prompt: Prompt) -> str | None:
    """The row's context, or None. Raises DataError for one that is no text, or that the prompt does not show."""
    context = prompt.meta.get("context")
    if context is None:
        return None
    if not isinstance(context, str) or not context.strip():
        raise DataError(f"{named(prompt)}: meta.context is {str(context)[:40]!r}; expected the text to keep to")
    shown = " ".join(" ".join(turn.content.split()) for turn in prompt.messages)
    if " ".join(context.split()) not in shown:
        raise DataError(
            f"{named(prompt)}: meta.context ({quoted(context)}) is not in the prompt, so that no answer could keep to "
            "it; put it into the prompt word for word"
        )
    return context


def facts(answer: str, context: str, asked: str) -> Facts:
    """The numbers and names of the answer, and those that neither context nor question has."""
    known = f"{context}\n{asked}"
    values, words = _values(known), {_bare(word) for word in _WORD.findall(known)}
    numbers, names = _numbers(answer), _names(answer)
    return Facts(
        numbers,
        names,
        tuple(number for number in numbers if _value(number) not in values),
        tuple(name for name in names if not all(_bare(word) in words for word in _WORD.findall(name))),
    )


def copied_share(answer: str, context: str) -> float:
    """Words of the longest run that answer and context share, as a share of the answer's words; 0 for an empty one."""
    said, given = ([_bare(word) for word in re.findall(r"\w+", text)] for text in (answer, context))
    longest, lengths = 0, [0] * (len(given) + 1)
    for word in said:
        lengths = [0, *(lengths[place] + 1 if word == other else 0 for place, other in enumerate(given))]
        longest = max(longest, *lengths)
    return longest / len(said) if said else 0.0


def _numbers(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_NUMBER.findall(_without_counts(text))))


def _values(text: str) -> set[float]:
    written = {_value(number) for number in _NUMBER.findall(text)}
    spelled = (words_value(text[found.start() : found.start() + 80]) for found in _WORD.finditer(text))
    return written | {float(one[0]) for one in spelled if one is not None}


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _names(text: str) -> tuple[str, ...]:
    """Runs of words with capitals, each without its first word where that begins a sentence."""
    text, names = _without_counts(text), []
    run: list[re.Match[str]] = []
    for word in _WORD.finditer(text):
        if run and not text[run[-1].end() : word.start()].strip(" \t") and _is_capital(word[0]):
            run.append(word)
            continue
        names += _named(text, run)
        run = [word] if _is_capital(word[0]) else []
    return tuple(dict.fromkeys([*names, *_named(text, run)]))


def _named(text: str, run: list[re.Match[str]]) -> list[str]:
    if run and _STARTS.search(text[max(0, run[0].start() - 20) : run[0].start()]):
        run = run[1:]
    return [text[run[0].start() : run[-1].end()]] if run else []


def _without_counts(text: str) -> str:
    return _COUNTED.sub(lambda found: " " * len(found[0]), text)


def _is_capital(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and word.casefold().replace("’", "'") not in _PRONOUNS


def _bare(word: str) -> str:
    return _OWNER.sub("", word).casefold()
