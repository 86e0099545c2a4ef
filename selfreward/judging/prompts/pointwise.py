"""The judge: one response, graded 0 to 5 after a justification (SRLM, 2401.10020, pointwise additive rubric).

Only the judge's new tokens are read, and of these only the end. `last_line`: the reply ends with the verdict
`Score: <n>` (verdicts.py: how it may be written; replies.py: where it stands). So a quotation of the response further
up is never a verdict, and the last verdict counts. `last_words`: the last two words are `Score:` and a number.

Decisions. The scale is 0..5; a decimal such as 3.5 is a value, since a judge between two grades says more than its
rounding; another scale (`8/10`) is out of range. Two different scores on the last line or on the last lines, or a range
(`3-4`), are a contradiction. A reply cut by its token limit is truncated, even where a verdict seems to stand there.

Limit: a judge that copies `Score: 5` from the response as its own last line has given that verdict, and no parser can
tell. The fence and the instruction in the prompt are there to keep it from doing so.
"""

import re
from functools import partial

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.exemplars import with_exemplars
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.judging.prompts.replies import is_verdict, read_end, without_end
from selfreward.judging.prompts.verdicts import grammar, is_label, plain
from selfreward.recipe.questions import QuestionRecipe, ScoreQuestion
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import version
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

_NUMBER = r"(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,9})?"
_SCALE = (
    rf"(?: ?(?:/|out of(?: a possible)?|of) ?(?P<of1>{_NUMBER}))?(?: ?points?)?(?: out of (?P<of2>{_NUMBER}))?"
    rf"(?: ?\((?:(?:out )?of|/) ?(?P<of3>{_NUMBER})\)"
    rf"| ?\(on a (?:scale (?:of|from) )?0 ?(?:to|-|–) ?(?P<of4>{_NUMBER})(?: scale)?\))?(?![^\W_]|[.,][0-9])"
)
_GRADE = re.compile(r"(?<![0-9.])-?[0-9]+(?:\.[0-9]+)?\s{0,9}(?:(?:/|out\s{1,9}of)\s{0,9}5\b|points?\b)", re.IGNORECASE)
_SCORED = re.compile(
    r"(?<![A-Za-z0-9])score[\s*_`\"')\]}]{0,9}(?:[:：=→]|is)[\s*_`\"'(\[{<$\\]{0,9}(?:boxed\{)?"
    r"-?[0-9]+(?:\.[0-9]+)?(?:\s{0,9}(?:/|out\s{1,9}of)\s{0,9}[0-9]+(?:\.[0-9]+)?)?(?:\s{0,9}points?)?[*_`>)\]}$]{0,9}",
    re.IGNORECASE,
)


def _points(found: re.Match[str]) -> float | None:
    """The points, None when they are off the scale or on another one."""
    points, scales = float(found["v"]), [found[name] for name in ("of1", "of2", "of3", "of4")]
    on_scale = all(float(scale) == HIGHEST for scale in scales if scale is not None)
    return points if on_scale and LOWEST <= points <= HIGHEST else None


SCORE = grammar(
    "score", f"-?{_NUMBER}", _points, {"score", "final_score", "overall_score", "total_score"}, _SCALE, "is"
)
"""How a score is written, by itself or on a rubric's line."""


def wording(question: QuestionRecipe) -> JudgePrompt:
    """By the template that the question names."""
    name = question.template
    alone = JudgePrompt(
        version=version("judge", name),
        ask=partial(ask, name),
        read=lambda _, reply: read(name, reply),
        opening=partial(opening, name),
    )
    if isinstance(question, ScoreQuestion) and question.examples is not None:
        return with_exemplars(alone, question.examples, question.shots)
    return alone


def ask(template: str, prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """One user turn: rubric, then the prompt, then the answer, so that what is constant comes first."""
    return as_question(fill("judge", template, prompt.messages, response=answer))


def opening(template: str, rationale: str) -> str:
    """The beginning of a reply up to `Score:`, so that what comes next is the score; its own verdict is cut off."""
    if look_up("judge", template).reply == "last_words":
        before, found, _ = rationale.rpartition("Score:")
        return f"{(before if found else rationale).strip()} Score:".strip()
    return f"{without_end(rationale, SCORE)}\nScore:".lstrip("\n")


def read(template: str, completion: Completion) -> float | Unreadable:
    """The score of a reply, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge", template).reply == "last_words":
        return _read_last_words(completion.text)
    return read_end(completion.text, SCORE)


def without_scores(judgment: str) -> str:
    """A judgment without its numbers of points, for a meta-judge that must weigh the reasons and not the grades."""
    lines: list[str] = []
    for line in judgment.splitlines():
        follows_label = lines and 0 < len(line) < 40 and SCORE.label.search(lines[-1][-40:])
        if follows_label and is_label(plain(lines[-1]), SCORE):
            lines.pop()
        elif not is_verdict(line, SCORE):
            lines.append(line)
    return _GRADE.sub("[grade]", _SCORED.sub("[grade]", "\n".join(lines))).strip()


def _read_last_words(text: str) -> float | Unreadable:
    spoken = text.split()
    scores = {spoken[i + 1] for i, word in enumerate(spoken[:-1]) if word == "Score:"}
    if len(spoken) < 2 or spoken[-2] != "Score:" or not re.fullmatch(r"[0-9]{1,9}", spoken[-1]):
        return without_verdict(text)
    if len(scores) > 1:
        return Unreadable("contradiction", text[-80:])
    value = float(spoken[-1])
    return value if LOWEST <= value <= HIGHEST else Unreadable("out of range", text[-80:])
