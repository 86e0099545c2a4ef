"""The meta-judge: which of two judgments of one response is better (Meta-Rewarding, 2407.19594, A2 of its appendix).

It sees prompt, response, both judgments and, in `pairwise`, the rubric; there the grades are cut from the judgments
first, because a meta-judge that sees them learns to prefer the higher one. Slots are A and B; both orders are always
asked, so a verdict names a slot and never a judgment. Read as the judge is: only the end of a finished reply counts.
"""

from typing import Literal

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.pointwise import without_scores
from selfreward.judging.prompts.replies import read_end
from selfreward.judging.prompts.verdicts import Grammar, grammar
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

Winner = Literal["first", "second", "tie"]

_WINNERS: dict[str, Winner] = {"a": "first", "b": "second", "tie": "tie", "ok": "tie"}
_WINNER: Grammar[Winner] = grammar(
    "winner",
    "(?:(?:the )?judge?ment )?(?P<slot>a|b|tie)",
    lambda found: _WINNERS[found["slot"].lower()],
    {"winner"},
)


def ask(template: str, prompt: Prompt, answer: str, first: str, second: str) -> tuple[Message, ...]:
    """One user turn that shows `first` in slot A and `second` in slot B."""
    if look_up("meta_judge", template).hide_scores:
        first, second = without_scores(first), without_scores(second)
    return as_question(fill("meta_judge", template, prompt.messages, response=answer, first=first, second=second))


def read(template: str, completion: Completion) -> Winner | Unreadable:
    """The winning slot, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("meta_judge", template).reply == "last_words":
        return _read_last_words(completion.text)
    return read_end(completion.text, _WINNER)


def _read_last_words(text: str) -> Winner | Unreadable:
    spoken = text.split()
    named = {spoken[i + 1] for i, word in enumerate(spoken[:-1]) if word == "better"}
    if len(spoken) < 2 or spoken[-2] != "better" or spoken[-1] not in ("A", "B", "ok"):
        return without_verdict(text)
    return _WINNERS[spoken[-1].lower()] if len(named) == 1 else Unreadable("contradiction", text[-80:])
