"""Stage: the pairs of a round as far as `pairs.weights.reference` believes them (noise.py has the formula)."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import TokenSequence
from selfreward.pairing.noise import margins, truncated, weigh, weighable
from selfreward.recipe import GenerateRecipe, NrdpoWeights
from selfreward.records import Drop, Likelihood, Pair, Prompt, by_id, stable_id
from selfreward.roles import generator
from selfreward.roles.chunks import chunks_for, longest
from selfreward.roles.player import Player
from selfreward.roles.round import Round
from selfreward.store.run import Work

VERSION = 1
WHOLE, TRUNCATED = "pair_likelihoods", "pair_likelihoods_truncated"
"""The likelihoods of both sides of every pair, after its prompt and after the truncated one."""


def believed_pairs(
    round: Round, pairs: Sequence[Pair], prompts: Mapping[str, Prompt], made_from: Mapping[str, str]
) -> tuple[list[Pair], list[Drop]]:
    """All pairs, those of this round with the weights that `pairs.weights` gives them, and those that it drops."""
    recipe = round.recipe.pairs.weights
    if not isinstance(recipe, NrdpoWeights):
        return list(pairs), []
    mine, player = weighable(pairs), round.role(recipe.reference)
    found = []
    cut = {name: truncated(prompt) for name, prompt in prompts.items()}
    for artifact, shown in ((WHOLE, prompts), (TRUNCATED, cut)):
        work = side_likelihoods(
            player,
            mine,
            shown,
            round.recipe.generate,
            made_from=made_from,
            round=round.number,
            artifact=artifact,
        )
        found.append(margins(round.complete(work)))
    weighed, drops = weigh(mine, found[0], found[1], recipe)
    kept, asked = by_id(weighed), by_id(mine)
    return [kept.get(pair.id, pair) for pair in pairs if pair.id in kept or pair.id not in asked], drops


def side_likelihoods(
    reference: Player,
    pairs: Sequence[Pair],
    prompts: Mapping[str, Prompt],
    generate: GenerateRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str,
) -> Work[Pair, Likelihood]:
    """Work that yields both sides' log-probabilities under the reference, the chosen one's first."""

    def compute(chunk: Sequence[Pair], index: int) -> Iterator[Likelihood]:
        engine = reference.weights()
        texts = []
        for pair in chunk:
            question = engine.prompt_token_ids(generator.ask(generate.template, prompts[pair.prompt_id]))
            texts += [TokenSequence(question, side) for side in (pair.chosen_token_ids, pair.rejected_token_ids)]
        sides = [(pair, side) for pair in chunk for side in (pair.chosen_id, pair.rejected_id)]
        for (pair, side), logprobs in zip(sides, engine.logprobs(texts), strict=True):
            yield Likelihood(stable_id(artifact, round, pair.id, side), side, reference.policy.digest, logprobs)

    read = longest(prompts[pair.prompt_id].text for pair in pairs)
    read += max((max(len(pair.chosen_token_ids), len(pair.rejected_token_ids)) for pair in pairs), default=0)
    shown = [(pair.id, prompts[pair.prompt_id].id, pair.chosen_token_ids, pair.rejected_token_ids) for pair in pairs]
    asked = {name: [(one.role, one.content) for one in prompt.messages] for name, prompt in prompts.items()}
    return Work(
        round=round,
        artifact=artifact,
        record=Likelihood,
        made_from={
            "version": VERSION,
            "round": round,
            "inputs": dict(made_from),
            "pairs": stable_id(shown),
            "prompts": stable_id({pair.prompt_id: asked[pair.prompt_id] for pair in pairs}),
            "template": generate.template,
            **reference.determines(),
        },
        chunks=chunks_for(reference, pairs, 2, read),
        compute=compute,
    )
