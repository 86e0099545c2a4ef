"""The words of a debate: what a debater is asked, what a speech becomes, and what the judge reads (2402.06782).

A debater sees the request, both answers, what was said in earlier rounds and the row's material (`meta.material`, a
text that the judge does not see); it is told to argue for one answer and to quote. A quotation, `<quote>...</quote>`,
is looked up word for word, white space folded, in the request, both answers and the material, and stands in the
transcript with what was found:

    [in the text: "..."]     [not in the text: "..."]

Only code writes these marks: square brackets of a speech become round ones first, and what stands for a mark's own is
taken out. A quotation that nothing closes, or that holds no word, is none. `concedes` counts the plainest ways of
giving up one's side; it is a statistic, and the speech stays.
"""

import re
from collections.abc import Sequence

from selfreward.errors import RecipeError
from selfreward.recipe.questions import DebateQuestion
from selfreward.records import Message, Prompt, Speech
from selfreward.roles.catalogue import version as template_version
from selfreward.roles.catalogue import words
from selfreward.roles.fences import as_question, fill

_QUOTE = re.compile(r"<quote>((?:(?!<quote>).){0,2000}?)</quote>", re.IGNORECASE | re.DOTALL)
_MARKS = str.maketrans("[]", "()", "\0\1")
_CONCEDES = re.compile(
    r"\bi (?:must |have to )?concede\b|\bthe other (?:response|answer|one) is (?:better|right|correct)\b"
    r"|\bmy (?:own )?(?:response|answer) is (?:worse|wrong|incorrect)\b",
    re.IGNORECASE,
)
SILENCE = "(says nothing)"


def require_words(question: DebateQuestion) -> None:
    """Raise RecipeError for words that leave no place for what was said."""
    for kind, name in (("debater", question.debater_template), ("judge_pairwise", question.template)):
        if "{debate}" not in words(kind, name):
            raise RecipeError(
                f"{kind} template {name!r}: has no {{debate}}; expected a place for what was said, as in "
                f"{'argue' if kind == 'debater' else 'debate'}"
            )


def version(question: DebateQuestion) -> str:
    """What stands on every speech."""
    require_words(question)
    return template_version("debater", question.debater_template)


def material_of(prompt: Prompt) -> str:
    """What the row has for the debaters alone; empty where it has nothing."""
    return str(prompt.meta.get("material") or "")


def ask_debater(template: str, prompt: Prompt, own: str, other: str, debate: str) -> tuple[Message, ...]:
    """One user turn to whoever argues for `own`."""
    shown = {"material": material_of(prompt), "own": own, "other": other, "debate": debate}
    return as_question(fill("debater", template, prompt.messages, **shown))


def ask_judge(template: str, prompt: Prompt, first: str, second: str, debate: str) -> tuple[Message, ...]:
    """One user turn that shows both answers in their slots, and what was said about them."""
    return as_question(fill("judge_pairwise", template, prompt.messages, first=first, second=second, debate=debate))


def transcript(speeches: Sequence[Speech], prompt: Prompt, answers: Sequence[str]) -> str:
    """What was said, in the order of rounds and slots, every quotation with what was found."""
    sources = sources_of(prompt, answers)
    return "\n\n".join(
        f"Round {one.turn}, for response {one.slot}:\n{_marked(one.text, sources) or SILENCE}"
        for one in sorted(speeches, key=lambda one: (one.turn, one.slot))
    )


def sources_of(prompt: Prompt, answers: Sequence[str]) -> list[str]:
    """The texts in which a quotation can be."""
    return [_folded(text) for text in (*(turn.content for turn in prompt.messages), *answers, material_of(prompt))]


def quotations(text: str, sources: Sequence[str]) -> tuple[int, int]:
    """(quotations of a speech, those that are in one of the texts)."""
    quoted = [words for found in _QUOTE.finditer(text) if (words := _folded(found[1]))]
    return len(quoted), sum(any(words in source for source in sources) for words in quoted)


def concedes(text: str) -> bool:
    return _CONCEDES.search(text) is not None


def _marked(speech: str, sources: Sequence[str]) -> str:
    """The speech with the marks; nobody else's brackets are square."""

    def mark(found: re.Match[str]) -> str:
        # Looked up as it was said: the brackets of a text are square there.
        quoted = _folded(found[1])
        if not quoted:
            return ""
        where = "in the text" if any(quoted in source for source in sources) else "not in the text"
        return f'\0{where}: "{quoted.translate(_MARKS)}"\1'

    pieces: list[str] = []
    end = 0
    for found in _QUOTE.finditer(speech):
        pieces += [speech[end : found.start()].translate(_MARKS), mark(found)]
        end = found.end()
    pieces.append(speech[end:].translate(_MARKS))
    return "".join(pieces).replace("\0", "[").replace("\1", "]").strip()


def _folded(text: str) -> str:
    return " ".join(text.split())
