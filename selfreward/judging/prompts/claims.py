"""The judge of an answer's claims: each with the words of its context that support it, as they stand there.

A prompt's row brings the text to keep to (`meta.context`, tasks/grounding.py). The reply lists every claim of the
answer with one quotation, or says that there is none:

    Claim: the bridge was opened in 1932        Quote: "was opened to traffic in May 1932"
    Claim: it cost nothing                      Quote: none

    score = 5 * supported claims / claims

The judge is not trusted with the quotation: one that is not in the context, word for word, supports nothing, nor does
one of fewer than three words, which any text has. Compared are words, without case and punctuation; one with words left
out ("...") is not verbatim. Claims that are listed twice count once.

What is left to the judge: that it lists every claim, that the claims are the answer's, and that the quotation says what
the claim says. So a judge that lists few claims flatters (`claims` of `read_claims` are counted beside), and an answer
that copies its context has five points. An answer without claims has no score. A claim without a line for its
quotation, a quotation without a claim, and a reply cut by its token limit are unreadable.
"""

import re
from dataclasses import dataclass

from selfreward.engines.protocol import Completion
from selfreward.errors import DataError
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.judging.prompts.replies import is_endless
from selfreward.recipe.questions import ClaimsQuestion
from selfreward.recipe.scale import HIGHEST
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import Kind, version
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict
from selfreward.tasks.grounding import context_of
from selfreward.tasks.verifiers.truths import named

KIND: Kind = "judge_claims"
FEWEST_WORDS = 3
MOST_CLAIMS = 100
"""A reply with more is a loop and no list."""
DECIMALS = 3
_LINE = re.compile(
    r"[^\w\n]{0,8}(?:\d{1,3}[.)]\s{0,3})?[^\w\n]{0,4}(?P<what>claim|quote|quotation)(?:\s{1,2}\d{1,3})?[*_]{0,3}\s?[:：]"
    r"[*_]{0,3}(?P<said>.*)",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"(?<=\S)\s+[*_]{0,3}(?=quot(?:e|ation)[*_]{0,3}\s?[:：])", re.IGNORECASE)
"""Where a quotation begins that stands on its claim's line."""
_NONE = re.compile(r"\W*(?:none|n/a|no quote|no quotation|not in the context)?\W*", re.IGNORECASE)
_NO_CLAIMS = re.compile(r"\W*(?:claims?:\s*none|no claims?|there are no claims|the response makes no claims?)\W*", re.I)


@dataclass(frozen=True, slots=True)
class Claim:
    """`quote` is None where the judge says that nothing supports the claim."""

    text: str
    quote: str | None

    def supported_by(self, context: str) -> bool:
        return self.quote is not None and len(_words(self.quote)) >= FEWEST_WORDS and stands_in(self.quote, context)


def stands_in(quote: str, context: str) -> bool:
    """Whether these words stand in the context, one after the other."""
    words = _words(quote)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(_words(context))} "


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def read_claims(text: str) -> list[Claim] | Unreadable:
    """The claims of a finished reply, each once; none where it says so. Other lines are prose and are not read."""
    if is_endless(text):
        return without_verdict(text)
    claims: list[Claim] = []
    waiting: str | None = None
    for line in _BESIDE.sub("\n", text).splitlines():
        found = _LINE.match(line)
        if found is None or _NO_CLAIMS.fullmatch(line):
            continue
        said = found["said"].strip()
        is_claim = found["what"].lower() == "claim"
        if is_claim == (waiting is not None) or (is_claim and not re.search(r"\w", said)):
            return Unreadable("no verdict", f"a claim and its quotation do not follow each other: {line.strip()[:60]}")
        if is_claim:
            waiting = said
        else:
            claims.append(Claim(waiting or "", None if _NONE.fullmatch(said) else said))
            waiting = None
    if waiting is not None:
        return Unreadable("no verdict", f"a claim without a line for its quotation: {waiting[:60]}")
    if len(claims) > MOST_CLAIMS:
        return Unreadable("no verdict", f"{len(claims)} claims; expected at most {MOST_CLAIMS}")
    if not claims and not any(_NO_CLAIMS.fullmatch(line) for line in text.splitlines()):
        return without_verdict(text)
    return list(dict.fromkeys(claims))


def wording(question: ClaimsQuestion) -> JudgePrompt:
    name = question.template

    def ask(prompt: Prompt, answer: str) -> tuple[Message, ...]:
        context = _context(prompt)
        turns = [Message(turn.role, turn.content.replace(context, "(the context)")) for turn in prompt.messages]
        return as_question(fill(KIND, name, turns, context=context, response=answer))

    return JudgePrompt(version(KIND, name), ask, read, opening=lambda rationale: rationale, require=_require)


def read(prompt: Prompt, completion: Completion) -> float | Unreadable:
    """The share of claims that are supported, of five points, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    claims = read_claims(completion.text)
    if isinstance(claims, Unreadable):
        return claims
    if not claims:
        return Unreadable("no verdict", "no claim")
    context = _context(prompt)
    return round(HIGHEST * sum(claim.supported_by(context) for claim in claims) / len(claims), DECIMALS)


def _require(prompt: Prompt) -> None:
    _context(prompt)


def _context(prompt: Prompt) -> str:
    """Raises DataError for a row that brings none."""
    context = context_of(prompt)
    if context is None:
        raise DataError(f"{named(prompt)}: has no meta.context; a judge of claims needs the text that answers keep to")
    return context
