"""A finished trajectory: what an assistant wrote and called after it was given a goal, and what came back.

It is carried as the text of an answer, so that whatever judges answers can be shown one: a line that says so, then a
JSON object a line for each turn. White space and quotation marks of a result are escaped there, so that no result can
write a turn. A text without that first line is an answer like any other.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

_HEAD = '{"trajectory": 1'


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` as the model wrote them, JSON mostly; `result` is None where nothing came back."""

    name: str
    arguments: str
    result: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said, which may be nothing, and the calls that went with it. A user may speak again in between."""

    role: Literal["assistant", "user"]
    text: str
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Trajectory:
    """`tools` are the descriptions that the assistant was given, where they are known."""

    turns: tuple[Turn, ...]
    tools: tuple[str, ...] = ()

    @property
    def calls(self) -> list[Call]:
        return [call for turn in self.turns for call in turn.calls]

    def texts(self) -> Iterator[str]:
        """Everything that somebody else wrote: a fence's code may be in none of it."""
        yield from self.tools
        for turn in self.turns:
            yield turn.text
            for call in turn.calls:
                yield from (call.name, call.arguments, call.result or "")


def to_text(trajectory: Trajectory) -> str:
    """One text; `from_text` reads it back."""
    lines: list[dict[str, Any]] = [{"trajectory": 1, "tools": list(trajectory.tools)}]
    for turn in trajectory.turns:
        calls = [{"name": one.name, "arguments": one.arguments, "result": one.result} for one in turn.calls]
        lines.append({"role": turn.role, "text": turn.text, "calls": calls})
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def from_text(text: str) -> Trajectory | None:
    """The trajectory that a text carries; None for every other text, one that only begins like it included."""
    if not text.startswith(_HEAD):
        return None
    try:
        head, *lines = [json.loads(line) for line in text.split("\n")]
        turns = [
            Turn(line["role"], line["text"], tuple(Call(**call) for call in line.get("calls", ()))) for line in lines
        ]
        return Trajectory(tuple(turns), tuple(head["tools"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
