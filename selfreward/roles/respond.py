"""Stage: the generator answers prompts, K times each. Also samples the frozen pools for measurement."""

from collections.abc import Iterator, Sequence

from selfreward.engines.protocol import Request
from selfreward.recipe import GenerateRecipe, as_dict
from selfreward.records import Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles import generator, version
from selfreward.roles.cast import Player
from selfreward.roles.chunks import chunks_for
from selfreward.roles.round import Round
from selfreward.store.run import Work

VERSION = 1


def respond(round: Round, prompts: Rows[Prompt]) -> Rows[Response]:
    """The round's own answers: K of its policy to every prompt."""
    return round.complete(answering(round.role("policy"), prompts, round.recipe.generate, round=round.number))


def answering(
    player: Player, prompts: Rows[Prompt], recipe: GenerateRecipe, *, round: int, artifact: str = "responses"
) -> Work[Prompt, Response]:
    """Work that yields `recipe.samples` Responses per prompt, equal texts included."""
    template = version("generator", recipe.template)

    def compute(chunk: Sequence[Prompt], index: int) -> Iterator[Response]:
        engine = player.hold()
        sampling = recipe.sampling
        requests = [
            Request(
                id=stable_id(artifact, round, prompt.id),
                messages=generator.ask(recipe.template, prompt),
                n=recipe.samples,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_tokens,
                seed=seed_for(player.seed, artifact, round, prompt.id),
            )
            for prompt in chunk
        ]
        seed = seed_for(player.seed, artifact, round, index)
        for prompt, completions in zip(chunk, engine.generate(requests, seed), strict=True):
            for sample, completion in enumerate(completions):
                yield Response(
                    id=stable_id(artifact, round, prompt.id, sample),
                    prompt_id=prompt.id,
                    sample=sample,
                    policy=player.policy.digest,
                    text=completion.text,
                    reasoning=completion.reasoning,
                    token_ids=completion.token_ids,
                    finish_reason=completion.finish_reason,
                    seed=seed,
                    template=template,
                    logprob=completion.logprob,
                )

    return Work(
        round=round,
        artifact=artifact,
        record=Response,
        made_from={
            "version": VERSION,
            "round": round,
            "prompts": prompts.digest,
            "generate": {"samples": recipe.samples, "sampling": as_dict(recipe.sampling)},
            "template": template,
            **player.determines(),
        },
        chunks=chunks_for(player, prompts, recipe.samples, recipe.sampling.max_tokens),
        compute=compute,
    )
