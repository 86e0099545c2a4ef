"""Trajectories from files, from whatever tables.py reads, in the form of OpenAI's chat messages, which TRL uses too.

    {"messages": [{"role": "system" | "user", "content": "..."},                       the goal, up to the first turn of
                  {"role": "assistant", "content": "...", "tool_calls": [...]},        the assistant's
                  {"role": "tool", "tool_call_id": "...", "content": "..."}, ...],
     "label": true, "call_labels": [true, false, null], "tools": [...]}

A tool call is `{"id", "type": "function", "function": {"name", "arguments"}}` or the inner object alone; arguments are
an object or its JSON. A result belongs to the call that it names, else to the first one of the last turn still open.
`label` says whether the goal was reached by a sound plan (true, false) or how well (0 to 5), `call_labels` which calls
were right; both may be left out, and other keys are the file's own business. A row that cannot be used is an error that
names file and row.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfreward.errors import DataError
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Prompt, Response, stable_id
from selfreward.tasks.row_forms import check_turns, turns_of
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import kind_of, quoted
from selfreward.tasks.trajectories.turns import Call, Trajectory, Turn, to_text

FORM = 'expected {"messages": [...]} with the goal first, then turns of assistant and tool'


@dataclass(frozen=True, slots=True)
class KnownTrajectory:
    """The goal and what was done. `label` is 0 to 5, or None where nobody said; `plain`: it was true or false.

    `calls` has what is known of each call, in order; None where nothing is.
    """

    prompt: Prompt
    response: Response
    trajectory: Trajectory
    label: float | None
    plain: bool
    calls: tuple[bool | None, ...]


def read_trajectories(path: str | Path) -> list[KnownTrajectory]:
    """All rows of a file, in its order. Raises DataError for a row that cannot be used, or no row at all."""
    table = open_table(path)
    found: list[KnownTrajectory] = []
    number_of: dict[str, int] = {}
    for number, row in enumerate(table.rows(), start=1):
        one = read_trajectory(row, table.where(number))
        same = number_of.setdefault(one.response.id, number)
        if same != number:
            raise DataError(f"{table.where(number)}: the same trajectory as {table.word} {same}; remove one of the two")
        found.append(one)
    if not found:
        raise DataError(f"{path}: no trajectory in the file; {FORM} on each {table.word}")
    return found


def read_trajectory(row: Any, where: str) -> KnownTrajectory:
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise DataError(f"{where}: messages is {kind_of(messages)}; {FORM}")
    first = next((at for at, one in enumerate(messages) if one.get("role") == "assistant"), None)
    if not first:
        raise DataError(f"{where}: {'no turn of the assistant' if first is None else 'no goal'} in messages; {FORM}")
    goal = turns_of(messages[:first], "messages", where)
    check_turns(goal, where)
    reading = _Reading(where)
    for at, message in enumerate(messages[first:], start=first):
        reading.take(message, f"messages[{at}]")
    trajectory = Trajectory(reading.finished(), _tools(row.get("tools")))
    told = [(turn.role, turn.content) for turn in goal]
    text = to_text(trajectory)
    prompt = Prompt(stable_id("prompt", told), goal, "frozen", "file", str(row.get("cohort") or ""))
    name = stable_id("trajectory", told, text)
    response = Response(name, prompt.id, 0, "trajectory", text, "", (), "stop", 0, "trajectory")
    label, plain = _label(row.get("label"), where)
    return KnownTrajectory(
        prompt, response, trajectory, label, plain, _call_labels(row.get("call_labels"), len(trajectory.calls), where)
    )


@dataclass
class _Open:
    """A turn whose results still come in."""

    role: Literal["assistant", "user"]
    text: str
    names: list[str | None] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


@dataclass
class _Reading:
    where: str
    turns: list[_Open] = field(default_factory=list)

    def take(self, message: dict[str, Any], name: str) -> None:
        role = message.get("role")
        if role == "tool":
            self._result(message, name)
        elif role in ("assistant", "user"):
            turn = _Open(role, self._content(message.get("content"), f"{name}.content"))
            for at, call in enumerate(message.get("tool_calls") or ()):
                self._call(turn, call, f"{name}.tool_calls[{at}]")
            if not turn.text.strip() and not turn.calls:
                raise DataError(f"{self.where}: {name} has neither text nor a call; remove the turn")
            self.turns.append(turn)
        else:
            raise DataError(f"{self.where}: {name}.role is {role!r}; expected assistant, tool or user after the goal")

    def _call(self, turn: _Open, call: Any, name: str) -> None:
        inner = call.get("function", call) if isinstance(call, dict) else None
        if turn.role != "assistant" or not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            shown = quoted(json.dumps(call, default=str))
            raise DataError(f"{self.where}: {name} is {shown}; expected an assistant's call with a name and arguments")
        arguments = inner.get("arguments", {})
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        known = [one for other in self.turns for one in other.names] + turn.names
        given = call.get("id")
        if given is not None and given in known:
            raise DataError(f"{self.where}: {name}.id is {given!r}, which is another call's; ids must differ")
        turn.names.append(given)
        turn.calls.append(Call(inner["name"], text, None))

    def _result(self, message: dict[str, Any], name: str) -> None:
        given = message.get("tool_call_id")
        for turn in self.turns:
            for at, call in enumerate(turn.calls):
                named = given is not None and turn.names[at] is not None
                mine = given == turn.names[at] if named else turn is self.turns[-1]
                if mine and call.result is None:
                    turn.calls[at] = Call(call.name, call.arguments, self._content(message.get("content"), name))
                    return
        asked = "that no call waits for" if given is None else f"of call {given!r}, which nobody made or which has one"
        raise DataError(f"{self.where}: {name} is a result {asked}; expected results after their calls, one for each")

    def _content(self, value: Any, name: str) -> str:
        """A text, the texts of OpenAI's parts, or what a tool returned as JSON."""
        if isinstance(value, list) and all(isinstance(one, dict) and "text" in one for one in value):
            value = "\n".join(str(one["text"]) for one in value)
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"{self.where}: {name} holds half a surrogate pair, which is no text; save it as UTF-8")
        return text

    def finished(self) -> tuple[Turn, ...]:
        return tuple(Turn(one.role, one.text, tuple(one.calls)) for one in self.turns)


def _tools(value: Any) -> tuple[str, ...]:
    """Descriptions of the tools, as they stand; anything that is no list is none."""
    listed = value if isinstance(value, list) else []
    return tuple(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in listed)


def _label(value: Any, where: str) -> tuple[float | None, bool]:
    if value is None or isinstance(value, bool):
        return None if value is None else HIGHEST if value else LOWEST, True
    if isinstance(value, int | float) and LOWEST <= value <= HIGHEST:
        return float(value), False
    shown = f"{value:g}" if isinstance(value, int | float) else kind_of(value)
    raise DataError(f"{where}: label is {shown}; expected true, false or a number from {LOWEST:g} to {HIGHEST:g}")


def _call_labels(value: Any, calls: int, where: str) -> tuple[bool | None, ...]:
    if value is None:
        return (None,) * calls
    if not isinstance(value, list) or not all(one is None or isinstance(one, bool) for one in value):
        raise DataError(f"{where}: call_labels is {kind_of(value)}; expected a list of true, false or null")
    if len(value) != calls:
        raise DataError(f"{where}: call_labels has {len(value)} labels; expected one for each of the {calls} calls")
    return tuple(value)
