"""The judge of two answers side by side (RLAIF, 2309.00267), by a general instruction or by one principle (2212.08073).

Slots are 1 and 2, and a verdict names a slot, never an answer: which answer stood there is the caller's knowledge. The
preference is read from the label's probabilities after `Preferred:` (nothing is decoded, or only a rationale), or from
the verdict that a reply ends with. Only the end of a finished reply counts, as for the other judges.
"""

from dataclasses import dataclass
from functools import cache

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError
from selfreward.judging.prompts.replies import read_end, without_end
from selfreward.judging.prompts.spoken import last_word, up_to
from selfreward.judging.prompts.verdicts import Grammar, grammar
from selfreward.judging.prompts.written import read_written
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished

LABELS = ("1", "2")
"""The words whose probabilities are read: first slot, second slot."""

_SLOTS = {"1": 1.0, "2": 0.0}
_PREFERENCES = {**_SLOTS, "tie": 0.5}
_LEAD = "better"
"""What the verdict follows in the sandbox's language, which has no word for a tie."""
_PREFERRED: Grammar[float] = grammar(
    "preferred(?: (?:response|answer))?",
    "(?:(?:the )?(?:response|answer) )?(?P<slot>1|2|tie)",
    lambda found: _PREFERENCES[found["slot"].lower()],
    {"preferred", "preferred_response"},
)


@dataclass(frozen=True, slots=True)
class Principle:
    name: str
    text: str


@cache
def load_constitution(name: str) -> tuple[str, tuple[Principle, ...]]:
    """(version, principles) of a shipped constitution or a YAML file. Raises RecipeError."""
    version, entries, where = read_written(name, "constitutions", "principles")
    for entry in entries:
        unknown = sorted(entry.keys() - {"name", "text"})
        if unknown:
            raise RecipeError(f"{where}: {entry['name']!r} has an unknown key {unknown[0]!r}; expected name, text")
    return version, tuple(Principle(entry["name"], " ".join(entry["text"].split())) for entry in entries)


def version(template: str, constitution: str | None) -> str:
    """What stands on every row: the template's version and the constitution's, if there is one."""
    named = template_version("judge_pairwise", template)
    return named if constitution is None else f"{named}+{load_constitution(constitution)[0]}"


def ask(
    template: str, prompt: Prompt, first: str, second: str, principle: Principle | None = None
) -> tuple[Message, ...]:
    """One user turn that shows `first` in slot 1 and `second` in slot 2."""
    texts = {"first": first, "second": second} | ({"principle": principle.text} if principle else {})
    return as_question(fill("judge_pairwise", template, prompt.messages, **texts))


def opening(template: str, rationale: str) -> str:
    """The beginning of a reply up to `Preferred:`, so that what comes next is the label; its own verdict is cut."""
    if look_up("judge_pairwise", template).reply == "last_words":
        return up_to(rationale, _LEAD)
    return f"{without_end(rationale, _PREFERRED)}\nPreferred:".lstrip("\n")


def read(template: str, completion: Completion) -> float | Unreadable:
    """1 where the first slot is preferred, 0 where the second is, 1/2 for a tie, or why there is no verdict."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge_pairwise", template).reply == "last_words":
        return last_word(completion.text, _LEAD, _SLOTS)
    return read_end(completion.text, _PREFERRED)
