"""Scripted agents in *rooms*, a planted kind each, and what they did as rows with the oracle's labels.

    reaches      takes the three things and uses the first: every call right, the goal reached
    looks        looks three to five times, and that is all: every call right, the plan wrong
    repaired     reaches for a thing that is not there, then does all that is asked: a wrong call, the goal reached
    wrong_tool   calls a tool that does not exist for one of the things: a wrong call, the goal missed

In every other world the first and the last look around before. All end with the same claim to be done, so that who
reads the last turn alone learns nothing.
"""

from collections.abc import Iterator
from typing import Any

from selfreward.tasks.rooms.world import State, reset, step

KINDS = ("reaches", "looks", "repaired", "wrong_tool")
CLAIM = "I have done what you asked."


def plan(state: State, kind: str, number: int) -> list[tuple[str, str]]:
    """(tool, thing) of every call in world `number`."""
    first, second, third = state.world.wanted
    look = [("look", "")] * (number % 2)
    takes = [("take", first), ("take", second), ("take", third), ("use", first)]
    if kind == "looks":
        return [("look", "")] * (3 + number % 3)
    if kind == "repaired":
        return [("take", state.world.absent), *takes]
    if kind == "wrong_tool":
        return [*look, *takes[:2], ("grab", third), takes[3]]
    return [*look, *takes]


def played(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`count` worlds, each played by every kind of agent, in the form that rows.py reads."""
    for number in range(count):
        for kind in KINDS:
            yield play(reset(1000 * seed + number), kind, number)


def play(state: State, kind: str, number: int = 0) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": state.world.goal}]
    right = []
    for at, (tool, thing) in enumerate(plan(state, kind, number)):
        state, told, fine = step(state, tool, thing)
        function = {"name": tool, "arguments": {"thing": thing} if thing else {}}
        call = {"id": f"call-{at}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": told})
        right.append(fine)
    messages.append({"role": "assistant", "content": CLAIM})
    return {"messages": messages, "label": state.reached, "call_labels": right, "cohort": kind}
