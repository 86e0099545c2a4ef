"""The judge of one step of an answer: right or wrong, given the request and the steps before it (stepwise judging).

Steps are what the answer marks as such, the first of these that it has two of: lines that begin with `Step 1:` or the
like, numbered lines (`1.`, `2)`), paragraphs; or what a `mark` of the question's own finds, and nothing else. What
stands before the first mark is part of the first step. An answer with none of these is one step. Of more than `most`
the last ones are taken together, so that nothing is left out. The steps of a finished trajectory are its calls, each
with its result (trajectory.py), for which the template `calls` has the words.

The verdict is read from the labels' probabilities after `Verdict:` (nothing is decoded, or only a rationale), or from
what a reply ends with. Only the end of a finished reply counts, as for the other judges. The process-reward models of
Let's Verify Step by Step (2305.20050) are trained for this question; here any judge is asked it.
"""

import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.judging.prompts.replies import read_end, without_end
from selfreward.judging.prompts.spoken import last_word, up_to
from selfreward.judging.prompts.trajectory import shown_calls
from selfreward.judging.prompts.verdicts import Grammar, grammar
from selfreward.recipe.questions import StepsQuestion
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished

LABELS = ("right", "wrong")
"""The words whose probabilities are read."""

_LEAD = "is"
"""What the verdict follows in the sandbox's language."""
_SAID = {"right": 1.0, "correct": 1.0, "wrong": 0.0, "incorrect": 0.0}
_VERDICT: Grammar[float] = grammar(
    "verdict",
    "(?:(?:the )?step is )?(?P<said>right|correct|wrong|incorrect)",
    lambda found: _SAID[found["said"].lower()],
    {"verdict", "final_verdict"},
    link="is",
)

_STEP = re.compile(r"^[ \t*_#>-]{0,8}step[ \t]{0,3}[0-9]{1,3}\b", re.IGNORECASE | re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t*_>-]{0,8}\(?[0-9]{1,3}[.)](?=[ \t*])", re.MULTILINE)
_PARAGRAPH = re.compile(r"(?<=\n)[ \t]*\n(?=[ \t]*\S)")


def version(template: str) -> str:
    return template_version("judge_steps", template)


def split(answer: str, most: int, mark_of_step: str | None = None) -> tuple[str, ...]:
    """The steps of an answer, at least one and at most `most`; `mark_of_step` takes the place of the usual marks."""
    calls = shown_calls(answer)
    if calls is not None:
        return calls if len(calls) <= most else (*calls[: most - 1], "\n\n".join(calls[most - 1 :]))
    return tuple(answer[begin:end].strip() for begin, end in spans(answer, most, mark_of_step))


def spans(answer: str, most: int, mark_of_step: str | None = None) -> tuple[tuple[int, int], ...]:
    """Where each step begins and ends in the answer, the white space around it included."""
    for mark in (re.compile(mark_of_step),) if mark_of_step is not None else (_STEP, _NUMBERED, _PARAGRAPH):
        places = [found.start() if mark is not _PARAGRAPH else found.end() for found in mark.finditer(answer)]
        if mark is _PARAGRAPH:
            places = [0, *places]
        if len(places) > 1:
            cuts = [0, *places[1:most], len(answer)]
            return tuple((begin, end) for begin, end in pairwise(cuts) if answer[begin:end].strip())
    return ((0, len(answer)),)


def ask(template: str, prompt: Prompt, before: Sequence[str], step: str) -> tuple[Message, ...]:
    """One user turn: the request, the steps before, and the step that is asked about."""
    return as_question(fill("judge_steps", template, prompt.messages, before="\n\n".join(before), step=step))


def opening(template: str, rationale: str) -> str:
    """The beginning of a reply up to `Verdict:`, so that what comes next is the label; its own verdict is cut."""
    if look_up("judge_steps", template).reply == "last_words":
        return up_to(rationale, _LEAD)
    return f"{without_end(rationale, _VERDICT)}\nVerdict:".lstrip("\n")


def read(template: str, completion: Completion) -> float | Unreadable:
    """1 where the step is right, 0 where it is wrong, or why there is no verdict."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge_steps", template).reply == "last_words":
        return last_word(completion.text, _LEAD, {"right": 1.0, "wrong": 0.0})
    return read_end(completion.text, _VERDICT)


def wording(question: StepsQuestion) -> JudgePrompt:
    """The question about an answer's last step, which shows the whole answer: what checks of room and words ask."""

    def whole(prompt: Prompt, answer: str) -> tuple[Message, ...]:
        *before, step = split(answer, question.most, question.mark)
        return ask(question.template, prompt, before, step)

    named = question.template
    return JudgePrompt(version(named), whole, lambda _, reply: read(named, reply), partial(opening, named))
