"""Stage: every step of an answer is judged by itself, and the verdicts become one score (scoring/steps.py)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from selfreward.engines.protocol import Asker, Completion, ReplyStart
from selfreward.errors import RecipeError
from selfreward.judging.asking import ask, ask_next
from selfreward.judging.expected import NOTHING, token_reader
from selfreward.judging.prompts import steps as role
from selfreward.judging.scoring.expected import expected_value
from selfreward.judging.scoring.steps import by_answer, step_score
from selfreward.judging.stage import Stage, read_or_not, unwritten
from selfreward.recipe import JudgeRecipe, StepsQuestion, as_dict
from selfreward.records import Judgment, Message, Prompt, Response, Rows, StepVerdict, seed_for, stable_id
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.roles.unreadable import Unreadable, unfinished
from selfreward.store.run import Work

VERSION = 1


class Step(NamedTuple):
    response: Response
    number: int
    steps: tuple[str, ...]


Found = tuple[Completion, float | Unreadable, float | None]
"""(reply, P(right) or why there is none, mass of the labels) of a step."""


def judge_steps(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
) -> Work[Step, StepVerdict]:
    """Work that yields one StepVerdict per step of every answer."""
    question = _question(recipe)
    stage = Stage(player, recipe.sampling, round, artifact, role.version(question.template))
    split = [(response, role.split(response.text, question.most, question.mark)) for response in responses]
    asked = [Step(response, number, steps) for response, steps in split for number in range(1, len(steps) + 1)]

    def compute(chunk: Sequence[Step], index: int) -> Iterator[StepVerdict]:
        seed = stage.seed(index, 0)
        ids = [stage.name(step.response.id, step.number) for step in chunk]
        shown = [_shown(question, prompts[step.response.prompt_id], step) for step in chunk]
        found = _verdicts(player.hold(), stage, recipe, ids, shown, seed)
        for name, step, one in zip(ids, chunk, found, strict=True):
            yield _row(stage, name, step, one, seed)

    tokens = 0 if recipe.reading.kind == "probability" else recipe.sampling.max_tokens
    if recipe.reading.kind != "verdict":
        tokens += longest(prompts[one.prompt_id].text + one.text for one in responses)
    told = {
        "inputs": dict(made_from),
        "question": _told(question),
        "reading": {key: value for key, value in as_dict(recipe.reading).items() if key != "scale"},
    }
    return stage.work(StepVerdict, asked, compute, told, version=VERSION, replies=1, tokens=tokens)


def _question(recipe: JudgeRecipe) -> StepsQuestion:
    if not isinstance(recipe.question, StepsQuestion):
        raise RecipeError(f"judge.question={recipe.question.kind} judges no steps; expected steps")
    return recipe.question


def _told(question: StepsQuestion) -> dict[str, Any]:
    """How the verdicts become a score asks nothing else of the judge; runs from before there were own marks go on."""
    unsaid = ("combine",) if question.mark is not None else ("combine", "mark")
    return {key: value for key, value in as_dict(question).items() if key not in unsaid}


def _shown(question: StepsQuestion, prompt: Prompt, step: Step) -> tuple[Message, ...]:
    before = step.steps[: step.number - 1]
    return role.ask(question.template, prompt, before, step.steps[step.number - 1])


def _row(stage: Stage, name: str, step: Step, found: Found, seed: int) -> StepVerdict:
    reply, verdict, mass = found
    right, unreadable = read_or_not(verdict)
    return StepVerdict(
        id=name,
        response_id=step.response.id,
        prompt_id=step.response.prompt_id,
        step=step.number,
        steps=len(step.steps),
        judge=stage.player.policy.digest,
        text=reply.text,
        token_ids=reply.token_ids,
        finish_reason=reply.finish_reason,
        seed=seed,
        template=stage.template,
        right=right,
        unreadable=unreadable,
        mass=mass,
    )


def _verdicts(
    engine: Asker,
    stage: Stage,
    recipe: JudgeRecipe,
    ids: Sequence[str],
    shown: Sequence[tuple[Message, ...]],
    seed: int,
) -> list[Found]:
    asked = list(zip(ids, shown, strict=True))
    replies, template = [NOTHING for _ in ids], _question(recipe).template
    if recipe.reading.kind != "probability":
        requests = [stage.request(name, messages, 1, seed_for(seed, name)) for name, messages in asked]
        replies = [reply for (reply,) in ask(engine, requests, seed)]
    if recipe.reading.kind == "verdict":
        return [(reply, role.read(template, reply), None) for reply in replies]
    openings = [role.opening(template, reply.text) for reply in replies]
    starts = [ReplyStart(name, messages, said) for (name, messages), said in zip(asked, openings, strict=True)]
    found: list[Found] = []
    for reply, row in zip(replies, ask_next(token_reader(engine), starts, role.LABELS), strict=True):
        value, mass = expected_value(row, (1.0, 0.0), recipe.min_mass)
        cut = unfinished(reply)
        found.append((reply, value if cut is None else cut, mass))
    return found


def stepped(
    verdicts: Rows[StepVerdict], responses: Sequence[Response], recipe: JudgeRecipe, *, round: int, artifact: str
) -> list[Judgment]:
    """One Judgment per answer: its score 0..5, or why the first of its steps that has none could not be read."""
    combine, judged = _question(recipe).combine, by_answer(verdicts)
    rows = []
    for response in responses:
        steps = judged[response.id]
        score = step_score(steps, combine)
        rows.append(
            unwritten(
                stable_id(artifact, round, response.id, 0),
                response,
                judge=steps[0].judge,
                template=f"{steps[0].template}+{combine}",
                source="steps",
                score=score,
                why=None if score is not None else next(row.unreadable for row in steps if row.unreadable),
            )
        )
    return rows
