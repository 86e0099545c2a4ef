"""Stage: the generator answers prompts, K times each. Also samples the frozen pools for measurement.

Several generators may answer, at other temperatures or as earlier checkpoints of the run (generate.mix):

    responses_0        the round's policy, as `generate` says
    responses_1 ...    each further generator; `earlier` has one for each earlier policy
    responses          all of them, each with its `source`, for example policy@0.2 or round:1@0.9

`earlier` deals the prompts out among the policies that led to the round's start, so that each of them answers as many
as any other, of every cohort too: by lot within a cohort, in turn over all of them. In round 1 nobody is earlier than
the start policy, which answers then.

Every answer keeps the digest of the policy that sampled it. Pairs get their log-probabilities under the reference anew,
so any of them may be paired; a policy gradient needs the probability that an answer was sampled with, from one
distribution for all, and refuses the mixture.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from selfreward.engines.protocol import Completion, Request
from selfreward.recipe import POLICY, GenerateRecipe, GeneratorRecipe, as_dict
from selfreward.records import Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles import generator, version
from selfreward.roles.chunks import chunks_for
from selfreward.roles.player import Player
from selfreward.roles.round import Round
from selfreward.store.artifacts import part_of
from selfreward.store.given import given
from selfreward.store.run import Work

VERSION = 1
RESPONSES = "responses"


def respond(round: Round, prompts: Rows[Prompt]) -> Rows[Response]:
    """The round's own answers: K of its policy to every prompt and those of `generate.mix`, or those of the file."""
    if round.recipe.generate.source is not None:
        from selfreward.roles.own_responses import given_responses

        return given_responses(round, prompts)
    if round.recipe.generate.mix:
        return mixed_answers(round, prompts)
    return round.complete(answering(round.role(POLICY), prompts, round.recipe.generate, round=round.number))


def answering(
    player: Player,
    prompts: Rows[Prompt],
    recipe: GenerateRecipe,
    *,
    round: int,
    artifact: str = RESPONSES,
    samples: int | None = None,
    temperature: float | None = None,
) -> Work[Prompt, Response]:
    """Work that yields `recipe.samples` Responses per prompt, equal texts included.

    `samples` and `temperature` take the place of the recipe's own.
    """
    template = version("generator", recipe.template)
    count = recipe.samples if samples is None else samples
    sampling = recipe.sampling if temperature is None else replace(recipe.sampling, temperature=temperature)

    def compute(chunk: Sequence[Prompt], index: int) -> Iterator[Response]:
        engine = player.hold()
        requests = [
            Request(
                id=stable_id(artifact, round, prompt.id),
                messages=generator.ask(recipe.template, prompt),
                n=count,
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
                name = stable_id(artifact, round, prompt.id, sample)
                yield answer(name, prompt, sample, player.policy.digest, completion, seed, template)

    return Work(
        round=round,
        artifact=artifact,
        record=Response,
        made_from={
            "version": VERSION,
            "round": round,
            "prompts": prompts.digest,
            "generate": {"samples": count, "sampling": as_dict(sampling)},
            "template": template,
            **player.determines(),
        },
        chunks=chunks_for(player, prompts, count, sampling.max_tokens),
        compute=compute,
        ahead=player.ahead,
    )


def answer(
    name: str, prompt: Prompt, sample: int, policy: str, completion: Completion, seed: int, template: str
) -> Response:
    """A completion as the row of one answer."""
    return Response(
        id=name,
        prompt_id=prompt.id,
        sample=sample,
        policy=policy,
        text=completion.text,
        reasoning=completion.reasoning,
        token_ids=completion.token_ids,
        finish_reason=completion.finish_reason,
        seed=seed,
        template=template,
        logprob=completion.logprob,
    )


class Generator(NamedTuple):
    """Who answers which prompts, at which temperature; `first` is the number of its first sample of a prompt."""

    source: str
    player: Player
    prompts: Rows[Prompt]
    samples: int
    temperature: float
    first: int


def mixed_answers(round: Round, prompts: Rows[Prompt]) -> Rows[Response]:
    """All generators' answers to the round's prompts, in one sealed artifact."""
    rows: list[Response] = []
    digests = []
    for place, one in enumerate(_generators(round, prompts)):
        work = answering(
            one.player,
            one.prompts,
            round.recipe.generate,
            round=round.number,
            artifact=part_of(RESPONSES, place),
            samples=one.samples,
            temperature=one.temperature,
        )
        part = round.complete(work)
        rows += [replace(row, sample=one.first + row.sample, source=one.source) for row in part]
        digests.append(part.digest)
    return round.complete(given(round.number, RESPONSES, Response, rows, {"parts": digests}))


def _generators(round: Round, prompts: Rows[Prompt]) -> Iterator[Generator]:
    """The policy itself first."""
    recipe, first = round.recipe.generate, 0
    for entry in (GeneratorRecipe(samples=recipe.samples), *recipe.mix):
        warmth = recipe.sampling.temperature if entry.temperature is None else entry.temperature
        how = entry.samples, warmth, first
        if entry.model.kind != "earlier":
            yield Generator(f"{entry.model}@{warmth:g}", round.role(entry.model), prompts, *how)
        else:
            for number, dealt in _dealt(round, prompts, first).items():
                player = round.cast.player(round.cast.policies[number])
                yield Generator(f"round:{number}@{warmth:g}", player, dealt, *how)
        first += entry.samples


def _dealt(round: Round, prompts: Rows[Prompt], first: int) -> dict[int, Rows[Prompt]]:
    """By earlier round, the prompts that its policy answers; none is left out where there is one."""
    rounds = [0, *round.cast.lineage(round.number)][:-1] or [0]
    hands = deal(prompts, len(rounds), seed_for(round.recipe.seed, "earlier", round.number, first))
    return {
        number: Rows(hand, f"{prompts.digest} dealt {place} of {len(rounds)}")
        for place, (number, hand) in enumerate(zip(rounds, hands, strict=True))
        if hand
    }


def deal(prompts: Sequence[Prompt], hands: int, seed: int) -> list[list[Prompt]]:
    """The prompts in `hands` parts that differ by at most one prompt, and by at most one of each cohort."""
    by_cohort: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in sorted(prompts, key=lambda one: one.id):
        by_cohort[prompt.cohort].append(prompt)
    order = []
    for cohort in sorted(by_cohort):
        random.Random(seed_for(seed, cohort)).shuffle(by_cohort[cohort])
        order += by_cohort[cohort]
    return [order[place::hands] for place in range(hands)]
