"""The prompt writer: a new prompt in the manner of the examples (Self-Instruct as in SRLM, 2401.10020 §2.2).

Models asked this way sometimes number their request, write several, or begin to answer (SRLM's appendix): the label is
cut, and only the first request is kept. Whether a prompt is new and fit is decided by filters, not here.
"""

import re
from collections.abc import Sequence

from selfreward.engines.protocol import Completion
from selfreward.records import Message
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.catalogue import words
from selfreward.roles.fences import as_question, fence_code, fenced, substitute
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

_NAMES = r"(?:new\s+)?(?:task|request|instruction|prompt|example)"
_NAMED = rf"{_NAMES}\s{{0,3}}#?\s{{0,3}}[0-9]{{0,9}}"
_OPENING = re.compile(r"\W{0,20}(?:sure[,!.:]?\s{0,9})?here(?:'s|’s| is)[^\n:]*:\s*", re.I)
_LABEL = re.compile(
    rf"\W{{0,20}}(?:(?:{_NAMES})\s{{0,3}}#?\s{{0,3}}[0-9]{{0,9}}\s{{0,3}}[:.)]|[0-9]{{1,9}}[.)])\W{{0,20}}\s", re.I
)
_NEXT = re.compile(
    rf"\W{{0,20}}(?:(?:{_NAMED}|answer|response|output|solution|assistant)\s{{0,3}}:"
    r"|</?(?:request|example)\b)",
    re.I,
)
_TAG = re.compile(r"<(request-[0-9a-f]{8})>")
_WORD = re.compile(r"\w")


def ask(template: str, examples: Sequence[str]) -> tuple[Message, ...]:
    """One user turn. A template without a fence shows no examples: the sandbox's model needs none."""
    text = words("prompt_writer", template)
    if look_up("prompt_writer", template).fence == "none":
        return as_question(text)
    code = fence_code(examples)
    shown = "\n\n".join(fenced("request", example, code) for example in examples)
    return as_question(substitute(text, {"examples": shown}))


def read(template: str, completion: Completion) -> str | Unreadable:
    """The text of the new prompt, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    text = completion.text.strip()
    if look_up("prompt_writer", template).fence != "none":
        tag = _TAG.match(text)
        if tag:
            text = text[tag.end() :].partition(f"</{tag[1]}>")[0].strip()
        for before in (_OPENING, _LABEL):
            found = before.match(text)
            text = text[found.end() :] if found else text
        text = _first(text)
        if len(text) > 1 and (text[0], text[-1]) in {('"', '"'), ("“", "”")}:
            text = text[1:-1].strip()
    refused_or_empty = without_verdict(text)
    return text if text and refused_or_empty.reason != "refused" else refused_or_empty


def _first(text: str) -> str:
    """The lines before another request or the beginning of an answer, without rulers at the end."""
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if number and _NEXT.match(line)), len(lines))
    if end < len(lines):
        while end and not _WORD.search(lines[end - 1]):
            end -= 1
    return "\n".join(lines[:end]).strip()
