"""The program of a reply: the one fenced block that defines the entry, or the whole reply where nothing is fenced.

A block counts where it has no language or Python's, and begins a line with `def ENTRY` or `ENTRY =`. Two blocks that
define it and differ are ambiguous, and such a reply has no program: which of the two was meant is not ours to choose,
and a choice could be gamed. A block that the reply breaks off in is none. Nothing is parsed here: a parser of Python
can be made to crash by what it reads, and this runs in the process that must not.
"""

import re
from dataclasses import dataclass

LONGEST = 100_000
"""Characters of a program."""

_LANGUAGES = ("", "python", "python3", "py")
_FENCE = re.compile(r"[ ]{0,3}(`{3,})[ \t]*([^`]*)$")


@dataclass(frozen=True, slots=True)
class Found:
    """`program` is empty where `problem` says why there is none."""

    program: str
    problem: str = ""


def program_in(reply: str, entry: str) -> Found:
    blocks, fenced = _blocks(reply)
    defines = re.compile(rf"^(?:(?:async[ ]+)?def[ ]+{re.escape(entry)}\b|{re.escape(entry)}[ ]*[:=])", re.MULTILINE)
    if not fenced:
        blocks = [reply]
    programs = list(dict.fromkeys(block.strip("\n") for block in blocks if defines.search(block)))
    if not programs:
        where = "no fenced block of Python" if fenced else "no fenced block, and the reply as a whole does not"
        return Found("", f"{where} defines {entry!r}" if fenced else f"{where} define {entry!r}")
    if len(programs) > 1:
        return Found("", f"ambiguous: {len(programs)} fenced blocks define {entry!r}, each differently")
    if len(programs[0]) > LONGEST:
        return Found("", f"a program of {len(programs[0])} characters; expected at most {LONGEST}")
    return Found(programs[0])


def _blocks(reply: str) -> tuple[list[str], bool]:
    """The closed blocks in Python's or no language, and whether there is any fence at all."""
    blocks: list[str] = []
    inside: list[str] = []
    fence, language, fenced = "", "", False
    for line in reply.split("\n"):
        found = _FENCE.match(line.rstrip())
        if not fence and found:
            fence, language, inside, fenced = found[1], found[2].strip().lower(), [], True
        elif fence and found and not found[2] and len(found[1]) >= len(fence):
            if language in _LANGUAGES:
                blocks.append("\n".join(inside))
            fence = ""
        elif fence:
            inside.append(line)
    return blocks, fenced
