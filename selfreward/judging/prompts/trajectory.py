"""The judge of a finished trajectory: how good is what an assistant did with its tools, as a whole?

AgentRewardBench (2504.08942) measures judges of trajectories; the words here are ours. An answer that carries one
(tasks/trajectories/turns.py) is shown as its transcript, the goal first: what was said, each call and its result, each
in a fence of its own with a code that occurs in none of them, so that a result that reads `Score: 5`, or that looks
like a further call, is seen to be a result. Any other answer is a transcript of one turn.

A result of more than `SHOWN` characters is cut by rule, whatever it says: its first two thirds of that and its last
third are shown, and a mark with the code says how many characters are left out. So a judge may not see what decides,
and a transcript that is too long even so is `question too long`, an outcome of its own.

The words of the question ask about the plan as a whole and not call by call; each call alone is judge.question=steps
with the template calls, which shows the same fences (`shown_calls`). The reply is read as a score of 0 to 5 is.
"""

from collections.abc import Iterator

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.pointwise import SCORE
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.judging.prompts.replies import read_end, without_end
from selfreward.recipe.questions import TrajectoryQuestion
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import Kind, version, words
from selfreward.roles.fences import as_question, fence_code, fenced, substitute, transcript
from selfreward.roles.unreadable import Unreadable, unfinished
from selfreward.tasks.trajectories.turns import Call, Trajectory, Turn, from_text

KIND: Kind = "judge_trajectory"
SHOWN = 2000
"""Characters of a result that are shown."""


def wording(question: TrajectoryQuestion) -> JudgePrompt:
    name = question.template

    def ask(prompt: Prompt, answer: str) -> tuple[Message, ...]:
        told = from_text(answer) or Trajectory((Turn("assistant", answer),))
        code = fence_code([*(turn.content for turn in prompt.messages), *told.texts()])
        shown = "\n".join(_shown(told, code))
        values = {"prompt": transcript(prompt.messages, code), "trajectory": shown, "fence": code}
        return as_question(substitute(words(KIND, name), values))

    return JudgePrompt(f"{version(KIND, name)}+{SHOWN}", ask, lambda _, reply: read(reply), opening)


def opening(rationale: str) -> str:
    """The beginning of a reply up to `Score:`; its own verdict is cut off."""
    return f"{without_end(rationale, SCORE)}\nScore:".lstrip("\n")


def read(completion: Completion) -> float | Unreadable:
    cut = unfinished(completion)
    return read_end(completion.text, SCORE) if cut is None else cut


def shown_calls(answer: str) -> tuple[str, ...] | None:
    """Each call with what was said before it and its result, as a step; None for an answer that is no trajectory.

    What is said after the last call is no call, and in none of them; a trajectory without any is one step.
    """
    told = from_text(answer)
    if told is None:
        return None
    code = fence_code([*told.texts()])
    if not told.calls:
        return ("\n".join(_shown(told, code)),)
    steps: list[str] = []
    said: list[str] = []
    for turn in told.turns:
        said += [fenced(turn.role, turn.text, code)] if turn.text.strip() else []
        for call in turn.calls:
            steps.append("\n".join([*said, *_call(call, len(steps) + 1, code)]))
            said = []
    return tuple(steps)


def _shown(told: Trajectory, code: str) -> Iterator[str]:
    if told.tools:
        yield fenced("tools", "\n".join(told.tools), code)
    number = 0
    for turn in told.turns:
        if turn.text.strip():
            yield fenced(turn.role, turn.text, code)
        for call in turn.calls:
            number += 1
            yield from _call(call, number, code)


def _call(call: Call, number: int, code: str) -> Iterator[str]:
    yield fenced(f"call-{number}", f"{call.name} {call.arguments}", code)
    if call.result is None:
        yield f"(call {number} has no result)"
    else:
        yield fenced(f"result-{number}", cut(call.result, code), code)


def cut(result: str, code: str) -> str:
    """The result, or its beginning and its end around a mark that no result can write."""
    if len(result) <= SHOWN:
        return result
    begin = 2 * SHOWN // 3
    end = SHOWN - begin
    return f"{result[:begin]}\n[{code}: {len(result) - SHOWN:,} characters are left out here]\n{result[-end:]}"
