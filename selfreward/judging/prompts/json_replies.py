"""Verdicts of judges that answer in JSON, alone, in a code fence, or below reasons: `{"reason": "…", "score": 4}`.

The value is read by the same grammar, as if the judge had written `score: 4`. An object that names the value twice, or
under two keys with different values, contradicts itself; a value that is neither a number nor a text is none.
"""

import json
from typing import Any, TypeVar

from selfreward.judging.prompts.verdicts import Grammar, plain

V = TypeVar("V")

_LARGEST = 1_000_000
"""Characters of an object that is looked into; a longer one is no verdict."""


def json_verdict(text: str, kind: Grammar[V]) -> tuple[str, str] | None:
    """(`label: value`, the line before the object); None where no object with such a key ends the reply."""
    found = _object_at_end(text)
    if found is None:
        return None
    pairs, before = found
    values = [value for key, value in pairs if key.lower().replace(" ", "_") in kind.keys]
    if not values:
        return None
    label = next(iter(sorted(kind.keys, key=len)))
    return ". ".join(f"{label}: {_shown(value)}" for value in values), before


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return plain(value[:80]) if len(value) <= 80 else "-"
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else "-"


def _object_at_end(text: str) -> tuple[list[tuple[str, Any]], str] | None:
    """(keys and values as they are written, the last line before) of an object in the last lines, fenced or not."""
    written = text.strip()[-_LARGEST:]
    fence = written[-3:]
    if fence in ("```", "~~~"):
        head, opened, inside = written[:-3].rpartition(fence)
        language, _, written = inside.partition("\n")
        if not opened or len(language) > 20:
            return None
        written, before = written.strip(), head
    else:
        start = 0 if written.startswith("{") else written.rfind("\n{") + 1
        written, before = written[start:], written[:start]
    if not (written.startswith("{") and written.endswith("}")):
        return None
    try:
        pairs = json.loads(written, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):  # also integers of more digits than Python reads
        return None
    if not isinstance(pairs, _Pairs):
        return None
    return list(pairs), before.rstrip().rpartition("\n")[2]


class _Pairs(list[tuple[str, Any]]):
    """The keys of an object with their values, doubled ones included."""
