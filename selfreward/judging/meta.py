"""Stage: the meta-judge compares the policy's own judgments of one answer, always in both orders."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import Request
from selfreward.judging.asking import ask
from selfreward.judging.prompts import meta as role
from selfreward.judging.scoring.battles import which_battles
from selfreward.recipe import MetaRecipe, as_dict
from selfreward.records import Judgment, MetaJudgment, Prompt, Response, Rows, by_id, seed_for, stable_id
from selfreward.roles import version
from selfreward.roles.cast import Player
from selfreward.roles.chunks import chunks_for
from selfreward.roles.round import Round
from selfreward.roles.unreadable import Unreadable
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
    template = version("meta_judge", recipe.template)
    known = by_id(judgments)
    battles = which_battles(judgments, recipe, seed=seed_for(player.seed, "battles", round))

    def compute(chunk: Sequence[tuple[str, str]], index: int) -> Iterator[MetaJudgment]:
        engine = player.hold()
        seed = seed_for(player.seed, "meta_judgments", round, index)
        requests = [
            Request(
                id=stable_id("meta_judgments", round, first, second),
                messages=role.ask(
                    recipe.template,
                    prompts[known[first].prompt_id],
                    responses[known[first].response_id].text,
                    known[first].text,
                    known[second].text,
                ),
                n=1,
                temperature=recipe.sampling.temperature,
                top_p=recipe.sampling.top_p,
                max_tokens=recipe.sampling.max_tokens,
                seed=seed_for(player.seed, "meta_judgments", round, first, second),
                logprob=False,
            )
            for first, second in chunk
        ]
        for (first, second), (completion,) in zip(chunk, ask(engine, requests, seed), strict=True):
            verdict = role.read(recipe.template, completion)
            yield MetaJudgment(
                id=stable_id("meta_judgments", round, first, second),
                prompt_id=known[first].prompt_id,
                response_id=known[first].response_id,
                first_id=first,
                second_id=second,
                judge=player.policy.digest,
                text=completion.text,
                finish_reason=completion.finish_reason,
                seed=seed,
                template=template,
                winner=None if isinstance(verdict, Unreadable) else verdict,
                unreadable=verdict.reason if isinstance(verdict, Unreadable) else None,
            )

    return Work(
        round=round,
        artifact="meta_judgments",
        record=MetaJudgment,
        made_from={
            "version": VERSION,
            "round": round,
            "judgments": judgments.digest,
            "meta": {
                "max_responses": recipe.max_responses,
                "max_judgments": recipe.max_judgments,
                "sampling": as_dict(recipe.sampling),
            },
            "template": template,
            **player.determines(),
        },
        chunks=chunks_for(player, battles, 1, recipe.sampling.max_tokens),
        compute=compute,
    )
