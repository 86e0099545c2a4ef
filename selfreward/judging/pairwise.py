"""Stage: a prompt's answers are compared two at a time, every comparison in both orders (scoring/tournament.py)."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from selfreward.engines.protocol import Asker, Completion, ReplyStart
from selfreward.errors import RecipeError
from selfreward.judging.asking import ask, ask_next
from selfreward.judging.expected import NOTHING, token_reader
from selfreward.judging.prompts import pairwise as role
from selfreward.judging.prompts.pairwise import Principle
from selfreward.judging.scoring.expected import expected_value
from selfreward.judging.scoring.tournament import ratings, which_comparisons
from selfreward.judging.stage import Stage, read_or_not, unwritten
from selfreward.recipe import (
    ComparisonQuestion,
    DebateQuestion,
    JudgeRecipe,
    PrincipleQuestion,
    as_dict,
    constitution_of,
)
from selfreward.records import Comparison, Judgment, Message, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles.chunks import longest
from selfreward.roles.player import Player
from selfreward.roles.unreadable import Unreadable, unfinished
from selfreward.store.run import Work

VERSION = 1


_AFTERWARDS = ("clamp", "epsilon", "unstable")
"""What is done with the verdicts, of which the judge knows nothing."""


Asking = ComparisonQuestion | PrincipleQuestion | DebateQuestion


class Question(NamedTuple):
    first: Response
    second: Response
    principle: Principle | None


Found = tuple[Completion, float | Unreadable, float | None]
"""(reply, P(first slot) or why there is none, mass of the labels) of a question."""


def questions(responses: Sequence[Response], recipe: JudgeRecipe, seed: int) -> list[Question]:
    """Both orders of every comparison, side by side; both are asked about the same principles, drawn by lot."""
    by_prompt: defaultdict[str, dict[str, Response]] = defaultdict(dict)
    for response in responses:
        by_prompt[response.prompt_id][response.id] = response
    principles: Sequence[Principle | None] = (None,)
    question = _question(recipe)
    drawn = 1
    if isinstance(question, PrincipleQuestion):
        principles, drawn = role.load_constitution(question.constitution)[1], question.principles
    found = []
    for prompt_id in sorted(by_prompt):
        answers = by_prompt[prompt_id]
        for one, other in which_comparisons(list(answers), question, seed, prompt_id):
            lot = random.Random(seed_for(seed, "principles", one, other))
            for principle in lot.sample(principles, min(drawn, len(principles))):
                found.append(Question(answers[one], answers[other], principle))
                found.append(Question(answers[other], answers[one], principle))
    return found


def compare_answers(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
    asked: Sequence[Question] | None = None,
    show: Callable[[Question], tuple[Message, ...]] | None = None,
    member: str = "",
) -> Work[Question, Comparison]:
    """Work that yields one Comparison per question: those that the recipe makes of `responses`, or `asked` instead.

    `show` is what is asked, where that is more than both answers. `member` of an ensemble stands on its rows in the
    place of a principle: what is asked of several is put together alike.
    """
    asking = _question(recipe)
    stage = Stage(player, recipe.sampling, round, artifact, role.version(asking.template, constitution_of(asking)))
    if asked is None:
        asked = questions(responses, recipe, seed_for(player.seed, artifact, round))

    def compute(chunk: Sequence[Question], index: int) -> Iterator[Comparison]:
        seed = stage.seed(index, 0)
        ids = [stage.name(*_names(question)) for question in chunk]
        shown = [show(question) if show else _shown(asking, prompts, question) for question in chunk]
        verdicts = _verdicts(player.hold(), stage, recipe, ids, shown, seed)
        for name, question, found in zip(ids, chunk, verdicts, strict=True):
            yield _comparison(stage, name, question, found, seed, member)

    tokens = 0 if recipe.reading.kind == "probability" else recipe.sampling.max_tokens
    if recipe.reading.kind != "verdict":
        tokens += longest(prompts[one.first.prompt_id].text + one.first.text + one.second.text for one in asked)
    told = {
        "inputs": dict(made_from),
        # What is done with the probabilities afterwards asks nothing else of the judge.
        "question": {key: value for key, value in as_dict(asking).items() if key not in _AFTERWARDS},
        # A comparison has labels and no scale.
        "reading": {key: value for key, value in as_dict(recipe.reading).items() if key != "scale"},
    }
    return stage.work(Comparison, asked, compute, told, version=VERSION, replies=1, tokens=tokens)


def _shown(asking: Asking, prompts: Mapping[str, Prompt], question: Question) -> tuple[Message, ...]:
    first, second, principle = question
    return role.ask(asking.template, prompts[first.prompt_id], first.text, second.text, principle)


def _comparison(stage: Stage, name: str, question: Question, found: Found, seed: int, member: str) -> Comparison:
    reply, verdict, mass = found
    preference, unreadable = read_or_not(verdict)
    return Comparison(
        id=name,
        prompt_id=question.first.prompt_id,
        first_id=question.first.id,
        second_id=question.second.id,
        judge=stage.player.policy.digest,
        text=reply.text,
        token_ids=reply.token_ids,
        finish_reason=reply.finish_reason,
        seed=seed,
        template=stage.template,
        preference=preference,
        unreadable=unreadable,
        mass=mass,
        principle=question.principle.name if question.principle else member,
    )


def _verdicts(
    engine: Asker,
    stage: Stage,
    recipe: JudgeRecipe,
    ids: Sequence[str],
    shown: Sequence[tuple[Message, ...]],
    seed: int,
) -> list[Found]:
    replies, template = [NOTHING for _ in ids], _question(recipe).template
    if recipe.reading.kind != "probability":
        requests = [
            stage.request(name, messages, 1, seed_for(seed, name)) for name, messages in zip(ids, shown, strict=True)
        ]
        replies = [reply for (reply,) in ask(engine, requests, seed)]
    if recipe.reading.kind == "verdict":
        return [(reply, role.read(template, reply), None) for reply in replies]
    starts = [
        ReplyStart(name, messages, role.opening(template, reply.text))
        for name, messages, reply in zip(ids, shown, replies, strict=True)
    ]
    found = ask_next(token_reader(engine), starts, role.LABELS)
    return [(reply, *_soft(reply, row, recipe.min_mass)) for reply, row in zip(replies, found, strict=True)]


def rated(
    comparisons: Rows[Comparison], responses: Sequence[Response], recipe: JudgeRecipe, *, round: int, artifact: str
) -> list[Judgment]:
    """One Judgment per answer that was compared: its Bradley-Terry rating on the scale 0..5, or why it has none."""
    by_prompt: defaultdict[str, list[Comparison]] = defaultdict(list)
    for row in comparisons:
        by_prompt[row.prompt_id].append(row)
    scores: dict[str, float] = {}
    for name in sorted(by_prompt):
        scores |= ratings(by_prompt[name], recipe)
    reasons = {name: row.unreadable for row in comparisons if row.unreadable for name in (row.first_id, row.second_id)}
    compared = {name for row in comparisons for name in (row.first_id, row.second_id)}
    return [
        unwritten(
            stable_id(artifact, round, response.id, 0),
            response,
            judge="&".join(dict.fromkeys(row.judge for row in comparisons)),
            template="&".join(dict.fromkeys(row.template for row in comparisons)),
            source="comparisons",
            score=scores.get(response.id),
            why=None if response.id in scores else reasons[response.id],
        )
        for response in responses
        if response.id in compared
    ]


def _question(recipe: JudgeRecipe) -> Asking:
    if recipe.comparing is None:
        raise RecipeError(
            f"judge.question={recipe.question.kind} compares nothing; expected comparison, principle or debate"
        )
    return recipe.comparing


def _soft(reply: Completion, logprobs: Sequence[float], floor: float) -> tuple[float | Unreadable, float]:
    """P(first slot) among the labels, and their mass."""
    value, mass = expected_value(logprobs, (1.0, 0.0), floor)
    cut = unfinished(reply)
    return (value if cut is None else cut), mass


def _names(question: Question) -> tuple[str, str, str]:
    return question.first.id, question.second.id, question.principle.name if question.principle else ""
