"""Keeping what is shown apart from what is said: text inside a fence cannot close it.

`tags`: each text stands between `<name-CODE>` and `</name-CODE>`. CODE is derived by hash from the texts themselves and
occurs in none of them, so no text can hold the line that would close its fence; being derived, it is the same in a
resumed run. `braces`: the sandbox's words have no codes; `{` and `}` inside a text become `(` and `)`, which carry no
answer there and are unknown words to the tiny model.

A conversation of one user turn is shown as its text. A longer one is a transcript: its turns are tagged with the same
code, or, between braces, written as `role : text`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from selfreward.records import Message
from selfreward.roles.catalogue import Kind, template, words

_BRACES = str.maketrans("{}", "()")


def fill(kind: Kind, name: str, conversation: Sequence[Message], **texts: str) -> str:
    """The template's words with `conversation` as {prompt} and each text in its place, fenced as the template wants."""
    if template(kind, name).fence == "braces":
        shown = {key: braceless(text) for key, text in texts.items()}
        return substitute(words(kind, name), shown | {"prompt": braceless(spoken(conversation))})
    code = fence_code([message.content for message in conversation] + list(texts.values()))
    shown = {**texts, "prompt": transcript(conversation, code), "fence": code}
    return substitute(words(kind, name), shown)


def braceless(text: str) -> str:
    """A text that can stand between braces."""
    return text.translate(_BRACES)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace each {name} once, in one pass: a value that holds `{response}` stays what it is."""
    return re.sub(r"\{(" + "|".join(map(re.escape, values)) + r")\}", lambda match: values[match.group(1)], text)


def fence_code(texts: Sequence[str]) -> str:
    """Eight hex digits that occur in none of `texts` and depend on nothing else."""
    code = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]
    while any(code in text.lower() for text in texts):
        code = hashlib.sha256(code.encode()).hexdigest()[:8]
    return code


def transcript(conversation: Sequence[Message], code: str) -> str:
    """The text of a single user turn; of anything longer, every turn in tags that carry the code."""
    if _is_single(conversation):
        return conversation[0].content
    return "\n".join(f"<{turn.role}-{code}>\n{turn.content}\n</{turn.role}-{code}>" for turn in conversation)


def spoken(conversation: Sequence[Message]) -> str:
    """The text of a single user turn; of anything longer, the turns as `role : text` in one line."""
    if _is_single(conversation):
        return conversation[0].content
    return " ; ".join(f"{turn.role} : {turn.content}" for turn in conversation)


def fenced(name: str, text: str, code: str) -> str:
    return f"<{name}-{code}>\n{text}\n</{name}-{code}>"


def as_question(text: str) -> tuple[Message, ...]:
    """One user turn."""
    return (Message("user", text),)


def _is_single(conversation: Sequence[Message]) -> bool:
    return len(conversation) == 1 and conversation[0].role == "user"
