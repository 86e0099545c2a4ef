"""Stage: the meta-judge compares the policy's own judgments of one answer, always in both orders."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import Request
from selfreward.judging.prompts import meta as role
from selfreward.judging.scoring.battles import which_battles
from selfreward.recipe import MetaRecipe, as_dict
from selfreward.records import Judgment, MetaJudgment, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles import version
from selfreward.roles.cast import Player
from selfreward.roles.unreadable import Unreadable
from selfreward.store.given import chunked
from selfreward.store.run import Work

VERSION = 1


def compare(
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
    by_id = {judgment.id: judgment for judgment in judgments}
    battles = which_battles(judgments, recipe, seed=seed_for(player.seed, "battles", round))

    def compute(chunk: Sequence[tuple[str, str]], index: int) -> Iterator[MetaJudgment]:
        engine = player.hold()
        seed = seed_for(player.seed, "meta_judgments", round, index)
        requests = [
            Request(
                id=stable_id("meta_judgments", round, first, second),
                messages=role.ask(
                    recipe.template,
                    prompts[by_id[first].prompt_id],
                    responses[by_id[first].response_id].text,
                    by_id[first].text,
                    by_id[second].text,
                ),
                n=1,
                temperature=recipe.sampling.temperature,
                top_p=recipe.sampling.top_p,
                max_tokens=recipe.sampling.max_tokens,
                seed=seed_for(player.seed, "meta_judgments", round, first, second),
            )
            for first, second in chunk
        ]
        for (first, second), (completion,) in zip(chunk, engine.generate(requests, seed), strict=True):
            verdict = role.read(recipe.template, completion)
            yield MetaJudgment(
                id=stable_id("meta_judgments", round, first, second),
                prompt_id=by_id[first].prompt_id,
                response_id=by_id[first].response_id,
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
        chunks=chunked(battles, player.chunk),
        compute=compute,
    )
