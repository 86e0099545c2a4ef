"""Code that runs: the program of a reply must give the golden result for every call of `meta.tests`, twice.

The program runs in a process that never sees a golden result; this process makes the calls one by one, compares the
JSON that comes back with its own values, and believes nothing else: neither exit code, nor output, nor exception. A
program that passes is run again in a new process with the calls in the opposite order, so that one that depends on
chance or on what it was called with before is wrong. What a program does, crashing, hanging and eating memory
included, is wrong and never open: else a model could keep its bad answers out of the pairs. Open is only a reply that
could not be tried, because the confinement did not start. `quality` is the share of calls that passed: a weak signal.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import DataError, RecipeError
from selfreward.recipe.code import CodeRecipe
from selfreward.records import Prompt
from selfreward.tasks.verifiers.code.goldens import Golden, Task, read_task, same
from selfreward.tasks.verifiers.code.process import Channel, NotStartedError, confined
from selfreward.tasks.verifiers.code.replies import program_in
from selfreward.tasks.verifiers.code.rungs import Rung, rung
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment

REMEMBERED = 10_000
"""Programs whose outcome is known; a report asks about the same answers again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`passed` of the `calls`; `problem` says why it is not right, or with `open` why it could not be tried."""

    program: str
    passed: int
    calls: int
    problem: str = ""
    open: bool = False

    @property
    def correct(self) -> bool:
        return not self.problem


class CodeVerifier:
    def __init__(self, limits: CodeRecipe | None = None) -> None:
        self._limits = limits or CodeRecipe()
        self._known: dict[tuple[str, str], Outcome] = {}
        self._taken: set[str] = set()

    def require(self, prompt: Prompt) -> None:
        """Raises RecipeError without confinement, DataError for golden calls that the row's own program fails."""
        found = rung(self._limits.confinement)
        if found.problem:
            raise RecipeError(
                f"measure.verifier=code runs programs that a model wrote, and key 'measure.code.confinement' is "
                f"{self._limits.confinement!r}, which is not to be had here: {found.problem}. Install bubblewrap, or "
                "allow namespaces for users; only if this machine may be lost, set measure.code.confinement=limits"
            )
        task = read_task(prompt)
        key = _key(prompt)
        if key not in self._taken:
            outcome = self.outcome(prompt, task.reference)
            if not outcome.correct:
                raise DataError(
                    f"{named(prompt)}: the row's own program ('answer') is not right by meta.tests: {outcome.problem}; "
                    "correct the program, the tests, or measure.code's limits"
                )
            self._taken.add(key)

    def check(self, prompt: Prompt, text: str) -> Truth:
        try:
            outcome = self.outcome(prompt, text)
        except DataError as problem:  # a prompt that brings nothing to verify
            return left_open(str(problem))
        if outcome.open:
            return left_open(outcome.problem, outcome.program)
        return decided(outcome.correct, outcome.program, outcome.passed / outcome.calls)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)

    def outcome(self, prompt: Prompt, reply: str) -> Outcome:
        """What became of the reply's program, with the reason. Raises DataError for a prompt without golden calls."""
        task = read_task(prompt)
        found = program_in(reply, task.entry)
        if found.problem:
            return Outcome("", 0, len(task.tests), found.problem)
        asked = _key(prompt), found.program
        if asked not in self._known:
            outcome = self._run(task, found.program)
            if outcome.open:
                return outcome
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[asked] = outcome
        return self._known[asked]

    def _run(self, task: Task, program: str) -> Outcome:
        shut = rung(self._limits.confinement)
        if shut.problem:
            return Outcome(program, 0, len(task.tests), f"no confinement: {shut.problem}", open=True)
        first = self._once(shut, task, program, task.tests)
        if not first.correct:
            return first
        again = self._once(shut, task, program, task.tests[::-1])
        if again.correct or again.open:
            return again
        return Outcome(program, again.passed, again.calls, f"not the same twice: {again.problem}")

    def _once(self, shut: Rung, task: Task, program: str, tests: Sequence[Golden]) -> Outcome:
        problems: list[str] = []
        end = time.monotonic() + self._limits.seconds
        try:
            with confined(shut.command(self._limits)) as channel:
                end = time.monotonic() + self._limits.seconds
                loaded = channel.ask({"program": program, "entry": task.entry}, end)
                if loaded != {"loaded": True}:
                    why = channel.gone or f"loading it gave {_shown(loaded)}"
                    return Outcome(program, 0, len(tests), why)
                problems = [_call(channel, task, test, end) for test in tests]
        except NotStartedError as problem:
            return Outcome(program, 0, len(tests), f"the confinement did not start: {problem}", open=True)
        failed = [problem for problem in problems if problem]
        return Outcome(program, len(tests) - len(failed), len(tests), failed[0] if failed else "")


def _call(channel: Channel, task: Task, test: Golden, end: float) -> str:
    """Why the call did not give the golden result, or "" where it did."""
    reply = channel.ask({"entry": task.entry, **test.call}, end)
    if channel.gone and reply is None:
        return f"{test.words}: {channel.gone}"
    if reply is None or reply.keys() != {"value"} or not same(test.expected, reply["value"], test.tolerance):
        return f"{test.words} gave {_shown(reply)}"
    return ""


def _shown(reply: object) -> str:
    return json.dumps(reply)[:120]


def _key(prompt: Prompt) -> str:
    return json.dumps([prompt.meta.get("entry"), prompt.meta.get("tests"), prompt.answer], sort_keys=True, default=str)
