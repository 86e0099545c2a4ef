"""Why a critique or a revision is not used: each filter is a reason. The answer then stays what it was in that turn.

Of a critique, in the order in which a reason is looked for:

critique too long to ask   the question does not fit into the model's context
critique truncated         it has no end within its limit of tokens
critique empty             there is none
critique refuses           it declines instead of criticising (tasks/verifiers/refusals.py)
critique repeats           it is the answer again: ROUGE-L F1 with it of .8 or more

`No change needed` (the sandbox says `ok`) is a critique: it found nothing, nobody rewrites the answer, and where all
turns say so the prompt is dropped as `nothing to revise`.

Of a revision:

revision too long to ask   as above
truncated                  as above
empty                      nothing is left, without what the reply says about itself
unchanged                  it is the answer, word for word
refusal                    it refuses where the answer did not and the prompt is not one to refuse (`meta.expected`)
boilerplate                it opens by speaking of what speaks (`As an AI`, `As a responsible assistant`)
talks about the task       it names the critique, the principle or its own being a revision, or holds a tag of the
                           question
repeats the critique       it is the critique again: ROUGE-L F1 with it of .8 or more
too short, too long        beside the answer, by `pairs.revise.min_length` and `max_length`

What a reply says about itself in front of the new answer (`Here is a revised response:`) is no reason: it is cut, and
kept on the row (`cut`), because a policy that is trained on it says it to everybody.
"""

import re

from selfreward.engines.protocol import Completion
from selfreward.recipe import RevisingRecipe
from selfreward.records import Prompt
from selfreward.tasks.similarity import rouge_l, words_of
from selfreward.tasks.verifiers.refusals import refuses

SAME = 0.8
"""ROUGE-L F1 from which a text is another one again; a round number."""

_NOTHING = re.compile(r"\W*(?:no changes? (?:is |are )?(?:needed|necessary|required)|ok)\W*", re.IGNORECASE)
_OPENING = re.compile(
    r"^\W*(?:(?:sure|certainly|of course|okay|absolutely)\b[,.!]?\s*)?"
    r"(?:(?:here(?:[’']s| is| are)|below is|this is)\s+(?:an?|the|my|your)?\s*)?"
    r"(?:(?:slightly|newly)\s+)?(?:revised|rewritten|re-written|new|improved|updated|modified|corrected)\s+"
    r"(?:response|answer|version|reply|text)\b[^\n:]{0,80}:\s*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"^\W*as an? (?:\w+[ ,]+){0,3}(?:ai|language model|assistant|model)\b|^\W*i[’']?(?:m| am) (?:just |only )?an? ai\b",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\b(?:the|this|your) critique\b|\b(?:the|this) principle (?:of|that|says|above|in question)\b"
    r"|\b(?:i(?:[’']ve| have)|was) (?:revised|rewritten|rewrote)\b|\b(?:the|this) (?:revised|rewritten) "
    r"(?:response|answer|version)\b|</?(?:request|response|critique)-[0-9a-f]{8}>",
    re.IGNORECASE,
)


def finds_nothing(text: str) -> bool:
    return _NOTHING.fullmatch(text.strip()) is not None


def without_opening(text: str) -> tuple[str, str]:
    """(the new answer, what was said about it in front of it)."""
    found = _OPENING.match(text)
    return (text[found.end() :].strip(), found.group(0).strip()) if found else (text.strip(), "")


def fault_of_critique(reply: Completion, answer: str) -> str | None:
    """Why this is no critique of `answer`, or None."""
    if cut := _unfinished(reply):
        return f"critique {cut}"
    if not reply.text.strip():
        return "critique empty"
    if finds_nothing(reply.text):
        return None
    if refuses(reply.text):
        return "critique refuses"
    if _same(reply.text, answer):
        return "critique repeats"
    return None


def fault_of_revision(
    reply: Completion, text: str, answer: str, critique: str, prompt: Prompt, recipe: RevisingRecipe
) -> str | None:
    """Why `text`, which is the reply without its opening, does not take the place of `answer`, or None."""
    if cut := _unfinished(reply):
        return f"revision {cut}" if cut == "too long to ask" else cut
    if not text:
        return "empty"
    if text.split() == answer.split():
        return "unchanged"
    if refuses(text) and not refuses(answer) and prompt.meta.get("expected") != "refuse":
        return "refusal"
    if _SPEAKER.match(text) and not _SPEAKER.match(answer):
        return "boilerplate"
    if _TASK.search(text) and not _TASK.search(answer):
        return "talks about the task"
    if _same(text, critique):
        return "repeats the critique"
    if len(text) < recipe.min_length * len(answer):
        return "too short"
    return "too long" if len(text) > recipe.max_length * max(1, len(answer)) else None


def _same(one: str, other: str) -> bool:
    return rouge_l(words_of(one), words_of(other)) >= SAME


def _unfinished(reply: Completion) -> str | None:
    return {"too long": "too long to ask", "length": "truncated"}.get(reply.finish_reason)
