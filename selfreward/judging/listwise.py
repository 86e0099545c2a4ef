"""Stage: a prompt's answers are ranked all at once, in orders that balance their places (scoring/lists.py)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from selfreward.errors import RecipeError
from selfreward.judging.asking import ask
from selfreward.judging.prompts import listwise as role
from selfreward.judging.scoring.lists import list_scores, which_orders
from selfreward.judging.stage import Stage, read_or_not, unwritten
from selfreward.recipe import JudgeRecipe, ListQuestion, as_dict
from selfreward.records import Judgment, Prompt, Ranking, Response, Rows, by_id, seed_for, stable_id
from selfreward.roles.player import Player
from selfreward.store.run import Work

VERSION = 1

Shown = tuple[str, ...]
"""Ids of answers to one prompt in the order of their slots."""


def rank_answers(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
) -> Work[Shown, Ranking]:
    """Work that yields one Ranking per order of a prompt's answers. Raises RecipeError for more than fit in a list."""
    question = recipe.question
    if not isinstance(question, ListQuestion):
        raise RecipeError(f"judge.question={question.kind} ranks nothing; expected list")
    stage = Stage(player, recipe.sampling, round, artifact, role.version(question.template))
    answers = by_id(responses)
    lists = _lists(responses, question, seed_for(player.seed, artifact, round))

    def compute(chunk: Sequence[Shown], index: int) -> Iterator[Ranking]:
        seed = stage.seed(index, 0)
        ids = [stage.name(*shown) for shown in chunk]
        asked = []
        for name, shown in zip(ids, chunk, strict=True):
            prompt, texts = prompts[answers[shown[0]].prompt_id], [answers[one].text for one in shown]
            asked.append(stage.request(name, role.ask(question.template, prompt, texts), 1, seed_for(seed, name)))
        for name, shown, (reply,) in zip(ids, chunk, ask(player.hold(), asked, seed), strict=True):
            ranks, unreadable = read_or_not(role.read(question.template, reply, len(shown)))
            yield Ranking(
                id=name,
                prompt_id=answers[shown[0]].prompt_id,
                shown=shown,
                judge=player.policy.digest,
                text=reply.text,
                token_ids=reply.token_ids,
                finish_reason=reply.finish_reason,
                seed=seed,
                template=stage.template,
                ranks=ranks or (),
                unreadable=unreadable,
            )

    told = {"inputs": dict(made_from), "question": as_dict(question), "reading": as_dict(recipe.reading)}
    return stage.work(Ranking, lists, compute, told, version=VERSION, replies=1, tokens=recipe.sampling.max_tokens)


def _lists(responses: Sequence[Response], question: ListQuestion, seed: int) -> list[Shown]:
    of_prompt: defaultdict[str, list[str]] = defaultdict(list)
    for response in responses:
        of_prompt[response.prompt_id].append(response.id)
    most = max((len(ids) for ids in of_prompt.values()), default=0)
    if most > role.MOST:
        raise RecipeError(
            f"judge.question=list: a prompt has {most} answers, and a list at most {role.MOST}; lower generate.samples "
            "or set judge.question=comparison"
        )
    return [shown for name in sorted(of_prompt) for shown in which_orders(of_prompt[name], question.orders, seed, name)]


def ranked(rankings: Rows[Ranking], responses: Sequence[Response], *, round: int, artifact: str) -> list[Judgment]:
    """One Judgment per answer that stood in a list: its score 0..5, or why it has none."""
    of_prompt: defaultdict[str, list[Ranking]] = defaultdict(list)
    for row in rankings:
        of_prompt[row.prompt_id].append(row)
    scores: dict[str, float] = {}
    for name in sorted(of_prompt):
        scores |= list_scores(of_prompt[name])
    reasons = {name: row.unreadable for row in rankings if row.unreadable for name in row.shown}
    listed = {name for row in rankings for name in row.shown}
    return [
        unwritten(
            stable_id(artifact, round, response.id, 0),
            response,
            judge=rankings[0].judge,
            template=rankings[0].template,
            source="lists",
            score=scores.get(response.id),
            why=None if response.id in scores else reasons[response.id],
        )
        for response in responses
        if response.id in listed
    ]
