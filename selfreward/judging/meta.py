"""Stage: the meta-judge compares the policy's own judgments of one answer, always in both orders."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.judging.asking import ask
from selfreward.judging.prompts import meta as role
from selfreward.judging.prompts.meta import Winner
from selfreward.judging.scoring.battles import which_battles
from selfreward.judging.stage import Stage, read_or_not
from selfreward.recipe import MetaRecipe, as_dict
from selfreward.records import Judgment, Message, MetaJudgment, Prompt, Response, Rows, by_id, seed_for
from selfreward.roles import version
from selfreward.roles.player import Player
from selfreward.roles.round import Round
from selfreward.store.run import Work

VERSION = 1


def compare(
    round: Round, prompts: Rows[Prompt], responses: Rows[Response], judgments: Rows[Judgment]
) -> Rows[MetaJudgment]:
    """The model's judgments meet in both orders, if the recipe has a meta-judge."""
    recipe = round.recipe.meta
    if not recipe.enabled:
        return Rows([])
    player = round.role(recipe.model)
    return round.complete(comparing(player, by_id(prompts), by_id(responses), judgments, recipe, round=round.number))


def comparing(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Mapping[str, Response],
    judgments: Rows[Judgment],
    recipe: MetaRecipe,
    *,
    round: int,
) -> Work[tuple[str, str], MetaJudgment]:
    """Work that yields one MetaJudgment per ordered pair of judgments that `which_battles` chose."""
    stage = Stage(player, recipe.sampling, round, "meta_judgments", version("meta_judge", recipe.template))
    known = by_id(judgments)
    battles = which_battles(judgments, recipe, seed=seed_for(player.seed, "battles", round))

    def question(first: Judgment, second: Judgment) -> tuple[Message, ...]:
        answer = responses[first.response_id].text
        return role.ask(recipe.template, prompts[first.prompt_id], answer, first.text, second.text)

    def compute(chunk: Sequence[tuple[str, str]], index: int) -> Iterator[MetaJudgment]:
        engine = player.hold()
        seed = stage.seed(index)
        requests = [
            stage.request(stage.name(*pair), question(known[pair[0]], known[pair[1]]), 1, stage.seed(*pair))
            for pair in chunk
        ]
        for (first, second), (reply,) in zip(chunk, ask(engine, requests, seed), strict=True):
            verdict: tuple[Winner | None, str | None] = read_or_not(role.read(recipe.template, reply))
            yield MetaJudgment(
                id=stage.name(first, second),
                prompt_id=known[first].prompt_id,
                response_id=known[first].response_id,
                first_id=first,
                second_id=second,
                judge=player.policy.digest,
                text=reply.text,
                finish_reason=reply.finish_reason,
                seed=seed,
                template=stage.template,
                winner=verdict[0],
                unreadable=verdict[1],
            )

    told = {
        "max_responses": recipe.max_responses,
        "max_judgments": recipe.max_judgments,
        "sampling": as_dict(recipe.sampling),
    }
    made_from = {"judgments": judgments.digest, "meta": told}
    tokens = recipe.sampling.max_tokens
    return stage.work(MetaJudgment, battles, compute, made_from, version=VERSION, replies=1, tokens=tokens)
