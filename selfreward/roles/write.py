"""Stage: the model writes new prompts from a few examples (SRLM, 2401.10020 §2.2); then they are filtered.

Each request shows `seed_examples` prompts of the source and `written_examples` that the model wrote in the round
before, in an order of its own; in the first round, which has none of these, seed prompts take their place.
"""

import builtins
import random
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from selfreward.engines.protocol import Completion, Request
from selfreward.recipe import WriterRecipe, as_dict, asked_per_round
from selfreward.records import Drop, Message, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles import prompt_writer, version
from selfreward.roles.chunks import chunks_for
from selfreward.roles.player import Player
from selfreward.roles.round import Round
from selfreward.roles.unreadable import Unreadable
from selfreward.store.given import given
from selfreward.store.run import Work
from selfreward.tasks.filters import filter_prompts
from selfreward.tasks.source import by_pool, prompt_id

VERSION = 1


def draw_prompts(round: Round, measured: Sequence[Prompt]) -> tuple[Rows[Prompt], list[Drop]]:
    """The round's prompts, drawn, and a share written by the model itself; with what was refused and why.

    What the filters took is made up from the source, so that every round has as many prompts. None of `measured`, on
    which policies are measured, is among them.
    """
    recipe, source, number = round.recipe.prompts, round.source, round.number
    chosen: dict[str, Any] = as_dict(recipe) | {"writer": settings(recipe.writer)}
    determined_by: dict[str, Any] = {"prompts": chosen, "seed": round.recipe.seed}
    written: list[Prompt] = []
    drops: list[Drop] = []
    wanted = builtins.round(recipe.per_round * recipe.writer.share)
    if wanted:
        work = write_prompts(
            round.role(recipe.writer.model),
            source.examples(),
            _written_before(round),
            recipe.writer,
            wanted,
            round=number,
        )
        replies = round.complete(work)
        drawn = source.training(number, recipe.per_round)
        most = round.recipe.measure.max_overlap
        written, drops = select(
            replies, drawn, measured, recipe.writer, wanted, overlap_words=source.overlap_words, max_overlap=most
        )
        determined_by["written"] = replies.digest
    drawn = source.training(number, asked_per_round(round.recipe) - len(written))
    return round.complete(given(number, "prompts", Prompt, [*drawn, *written], determined_by)), drops


def _written_before(round: Round) -> list[str]:
    """What the model wrote in the round before, in the order in which it stands there."""
    if round.number == 1:
        return []
    before = round.artifacts.read(round.number - 1, "prompts", Prompt)
    return [prompt.text for prompt in before if prompt.source == "self"]


def write_prompts(
    player: Player, seeds: Sequence[str], before: Sequence[str], recipe: WriterRecipe, wanted: int, *, round: int
) -> Work[int, Response]:
    """Work that yields `wanted` x `oversample` replies to the request for a new prompt, unfiltered."""
    template = version("prompt_writer", recipe.template)

    def examples(number: int) -> list[str]:
        rng = random.Random(seed_for(player.seed, "few-shot", round, number))
        own = rng.sample(before, min(recipe.written_examples, len(before)))
        shots = [*rng.sample(seeds, recipe.seed_examples + recipe.written_examples - len(own)), *own]
        rng.shuffle(shots)
        return shots

    def compute(chunk: Sequence[int], index: int) -> Iterator[Response]:
        engine = player.hold()
        seed = seed_for(player.seed, "written", round, index)
        requests = [
            Request(
                id=stable_id("written", round, number),
                messages=prompt_writer.ask(recipe.template, examples(number)),
                n=1,
                temperature=recipe.sampling.temperature,
                top_p=recipe.sampling.top_p,
                max_tokens=recipe.sampling.max_tokens,
                seed=seed_for(player.seed, "written", round, "request", number),
            )
            for number in chunk
        ]
        for number, (completion,) in zip(chunk, engine.generate(requests, seed), strict=True):
            yield Response(
                id=stable_id("written", round, number, 0),
                prompt_id=stable_id("written", round, number),
                sample=0,
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
        artifact="written",
        record=Response,
        made_from={
            "version": VERSION,
            "round": round,
            "wanted": wanted,
            "writer": settings(recipe),
            "examples": stable_id(list(seeds), list(before)),
            "template": template,
            **player.determines(),
        },
        chunks=chunks_for(player, range(ceil(wanted * recipe.oversample)), 1, recipe.sampling.max_tokens),
        compute=compute,
        ahead=player.ahead,
    )


def settings(recipe: WriterRecipe) -> dict[str, Any]:
    """What determines the request. Who is asked is in what the player determines."""
    return {key: value for key, value in as_dict(recipe).items() if key != "model"}


def select(
    replies: Sequence[Response],
    drawn: Sequence[Prompt],
    pools: Sequence[Prompt],
    recipe: WriterRecipe,
    wanted: int,
    *,
    overlap_words: int | None,
    max_overlap: float,
) -> tuple[list[Prompt], list[Drop]]:
    """At most `wanted` new prompts out of the replies, and a Drop with its reason for every other reply."""
    read: list[Prompt] = []
    drops: list[Drop] = []

    def drop(subject: str, reason: str, detail: str = "") -> Drop:
        return Drop(stable_id("drop", "prompts", subject), "prompts", "written", subject, reason, detail)

    for reply in replies:
        completion = Completion(reply.text, reply.reasoning, reply.token_ids, reply.finish_reason)
        text = prompt_writer.read(recipe.template, completion)
        if isinstance(text, Unreadable):
            drops.append(drop(reply.id, "unreadable", text.reason))
        else:
            messages = (Message("user", text),)
            read.append(Prompt(prompt_id(messages), messages, "train", source="self", cohort="written"))
    kept, filtered = filter_prompts(read, drawn, by_pool(pools), recipe, run=overlap_words, max_overlap=max_overlap)
    surplus = [drop(prompt.id, "not needed") for prompt in kept[wanted:]]
    return kept[:wanted], [*drops, *filtered, *surplus]
