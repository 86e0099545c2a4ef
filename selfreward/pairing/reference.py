"""Stage: scores become preference pairs, each with its reference log-probabilities, every drop with its reason."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import TokenSequence
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe import GenerateRecipe, JudgeRecipe
from selfreward.records import Drop, Judgment, Message, Pair, Prompt, Response, stable_id, to_line
from selfreward.roles import generator
from selfreward.roles.chunks import chunks_for, longest
from selfreward.roles.player import Player
from selfreward.store.run import Work

VERSION = 1


def questions(
    pairs: Sequence[Pair],
    prompts: Mapping[str, Prompt],
    responses: Mapping[str, Response],
    judgments: Mapping[str, Judgment],
    generate: GenerateRecipe,
    judge: JudgeRecipe,
) -> dict[str, tuple[Message, ...]]:
    """By pair id, the messages that both completions answer: the user's prompt, or the judge's question."""

    def asked(pair: Pair) -> tuple[Message, ...]:
        prompt = prompts[pair.prompt_id]
        if pair.kind == "answer":
            return generator.ask(generate.template, prompt)
        judged = responses[judgments[pair.chosen_id].response_id]
        return judge_prompt(judge).ask(prompt, judged.text)

    return {pair.id: asked(pair) for pair in pairs}


def refer(
    reference: Player,
    pairs: Sequence[Pair],
    questions: Mapping[str, tuple[Message, ...]],
    *,
    max_length: int,
    made_from: Mapping[str, str],
    round: int,
) -> Work[Pair, Pair]:
    """Work that adds to each pair its prompt tokens and both completions' log-probabilities under `reference`.

    `questions` maps pair ids to messages. A pair longer than `max_length` tokens is not yielded: cutting it would
    train on an answer nobody gave. Computing the reference here, once, lets training hold one model only.
    """

    def compute(chunk: Sequence[Pair], index: int) -> Iterator[Pair]:
        engine = reference.weights()
        whole = []
        for pair in chunk:
            # A pair of an earlier round brings the tokens that it was trained on.
            prompt = pair.prompt_token_ids or engine.prompt_token_ids(questions[pair.id])
            longest = max(len(pair.chosen_token_ids), len(pair.rejected_token_ids))
            if len(prompt) + longest <= max_length:
                whole.append(dataclasses.replace(pair, prompt_token_ids=prompt, reference=reference.policy.digest))
        texts = [
            TokenSequence(pair.prompt_token_ids, side)
            for pair in whole
            for side in (pair.chosen_token_ids, pair.rejected_token_ids)
        ]
        sums = [sum(logprobs) for logprobs in engine.logprobs(texts)] if texts else []
        for position, pair in enumerate(whole):
            yield dataclasses.replace(
                pair, reference_chosen=sums[2 * position], reference_rejected=sums[2 * position + 1]
            )

    read = longest("".join(one.content for one in question) for question in questions.values())
    sides = [*(pair.chosen_token_ids for pair in pairs), *(pair.rejected_token_ids for pair in pairs)]
    read += max(map(len, sides), default=0)
    return Work(
        round=round,
        artifact="pairs",
        record=Pair,
        made_from={
            "version": VERSION,
            "round": round,
            "inputs": dict(made_from),
            "selected": stable_id([to_line(pair) for pair in pairs]),
            "max_length": max_length,
            **reference.determines(),
        },
        chunks=chunks_for(reference, sorted(pairs, key=lambda pair: pair.id), 2, min(read, max_length)),
        compute=compute,
    )


def too_long(selected: Sequence[Pair], kept: Sequence[Pair], max_length: int) -> list[Drop]:
    """A Drop for every selected pair that `refer` did not yield."""
    present = {pair.id for pair in kept}
    return [
        Drop(
            id=stable_id("drop", pair.id),
            stage="pairs",
            kind=pair.kind,
            subject=pair.prompt_id,
            reason="longer than train.max_length",
            detail=f"max_length={max_length}",
        )
        for pair in selected
        if pair.id not in present
    ]
