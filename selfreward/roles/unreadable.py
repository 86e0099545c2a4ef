"""What a reply is when no value can be read from it: an outcome of its own, never a number."""

import re
from dataclasses import dataclass
from typing import Literal

from selfreward.engines.protocol import Completion

Reason = Literal[
    "no reply",
    "no verdict",
    "out of range",
    "truncated",
    "refused",
    "contradiction",
    "no ranking",
    "no score mass",
    "question too long",
]

_REFUSAL = re.compile(
    r"^\W*(?:"
    r"(?:i[’']?m|i am) (?:(?:really|very|so) )?(?:sorry|unable|not able|not comfortable)"
    r"|sorry\b|i apologi[sz]e|as an ai\b|unfortunately, i can"
    r"|i (?:cannot|can not|can[’']t|won[’']?t|will not|must decline|decline)\b"
    r")",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why there is no value. `detail` quotes what was there instead."""

    reason: Reason
    detail: str = ""


def unfinished(completion: Completion) -> Unreadable | None:
    """A reply cut by its token limit is truncated whatever stands at its end.

    The cut may be inside a quotation of the judged text, or inside a number (`Score: 1` of `Score: 10`): what would
    have followed is not known.
    """
    if completion.finish_reason == "too long":
        return Unreadable("question too long", "the question does not fit into the judge's context")
    if completion.finish_reason == "length" and not (completion.text or completion.reasoning or completion.token_ids):
        return Unreadable("no reply", "the server gave none")
    if completion.finish_reason == "length":
        return Unreadable("truncated", f"no end within {len(completion.token_ids)} tokens")
    return None


def without_verdict(text: str) -> Unreadable:
    """What to call a finished reply without a verdict: a refusal if it opens like one."""
    return Unreadable("refused" if _REFUSAL.match(text.lstrip()[:300]) else "no verdict", text.strip()[-80:])
