"""Stage: how likely stored answers are under another policy, for KL and drift."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import TokenSequence
from selfreward.recipe import GenerateRecipe
from selfreward.records import Likelihood, Prompt, Response, stable_id
from selfreward.roles import generator
from selfreward.roles.chunks import chunks_for, longest
from selfreward.roles.player import Player
from selfreward.store.run import Work

VERSION = 1


def likelihoods(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    generate: GenerateRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
) -> Work[Response, Likelihood]:
    """Work that yields, per response, the log-probability of each of its tokens under the player's policy.

    Equal answers to one prompt lie side by side, are read once, and have a row each.
    """
    ordered = sorted(responses, key=_text)

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Likelihood]:
        engine = player.weights()
        distinct = list(dict.fromkeys(map(_text, chunk)))
        texts = [
            TokenSequence(engine.prompt_token_ids(generator.ask(generate.template, prompts[prompt])), tokens)
            for prompt, tokens in distinct
        ]
        read = dict(zip(distinct, engine.logprobs(texts), strict=True))
        for response in chunk:
            yield Likelihood(
                id=stable_id(artifact, round, response.id),
                response_id=response.id,
                policy=player.policy.digest,
                logprobs=read[_text(response)],
            )

    read = longest(prompts[response.prompt_id].text for response in responses)
    read += max((len(response.token_ids) for response in responses), default=0)
    return Work(
        round=round,
        artifact=artifact,
        record=Likelihood,
        made_from={
            "version": VERSION,
            "round": round,
            "inputs": dict(made_from),
            "template": generate.template,
            **player.determines(),
        },
        chunks=chunks_for(player, ordered, 1, read),
        compute=compute,
    )


def _text(response: Response) -> tuple[str, tuple[int, ...]]:
    return response.prompt_id, response.token_ids
