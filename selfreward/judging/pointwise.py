"""Stage: the judge scores answers, N times each. A reply that cannot be read is its own outcome, never a number."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.engines.protocol import Asker, Completion, Request
from selfreward.judging.asking import ask as ask_judge
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles.cast import Player
from selfreward.roles.chunks import chunks_for
from selfreward.roles.unreadable import Unreadable
from selfreward.store.run import Work

VERSION = 1


def judge_pointwise(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    recipe: JudgeRecipe,
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str = "judgments",
) -> Work[Response, Judgment]:
    """Work that yields `recipe.samples` Judgments per response, plus `ask_again` more for each unreadable one.

    `made_from` names the digests that `prompts` and `responses` come from.
    """
    wording = judge_prompt(recipe)
    template = wording.version

    def ask(engine: Asker, responses: Sequence[Response], counts: Sequence[int], seed: int) -> list[list[Completion]]:
        requests = [
            Request(
                id=stable_id(artifact, round, response.id, seed),
                messages=wording.ask(prompts[response.prompt_id], response.text),
                n=count,
                temperature=recipe.sampling.temperature,
                top_p=recipe.sampling.top_p,
                max_tokens=recipe.sampling.max_tokens,
                seed=seed_for(player.seed, artifact, round, response.id, seed),
                logprob=False,
            )
            for response, count in zip(responses, counts, strict=True)
        ]
        return ask_judge(engine, requests, seed)

    def row(response: Response, sample: int, completion: Completion, seed: int) -> Judgment:
        verdict = wording.read(completion)
        return Judgment(
            id=stable_id(artifact, round, response.id, sample),
            response_id=response.id,
            prompt_id=response.prompt_id,
            sample=sample,
            judge=player.policy.digest,
            text=completion.text,
            token_ids=completion.token_ids,
            finish_reason=completion.finish_reason,
            seed=seed,
            template=template,
            score=None if isinstance(verdict, Unreadable) else verdict,
            unreadable=verdict.reason if isinstance(verdict, Unreadable) else None,
        )

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        engine = player.hold()
        owed = {response.id: recipe.samples for response in chunk}
        asked = dict.fromkeys(owed, 0)
        for attempt in range(recipe.ask_again + 1):
            waiting = [response for response in chunk if owed[response.id]]
            if not waiting:
                return
            seed = seed_for(player.seed, artifact, round, index, attempt)
            replies = ask(engine, waiting, [owed[response.id] for response in waiting], seed)
            for response, completions in zip(waiting, replies, strict=True):
                for completion in completions:
                    judgment = row(response, asked[response.id], completion, seed)
                    asked[response.id] += 1
                    owed[response.id] -= judgment.score is not None
                    yield judgment

    return Work(
        round=round,
        artifact=artifact,
        record=Judgment,
        made_from={
            "version": VERSION,
            "round": round,
            "inputs": dict(made_from),
            "judge": {
                "samples": recipe.samples,
                "ask_again": recipe.ask_again,
                "sampling": as_dict(recipe.sampling),
            },
            "template": template,
            **player.determines(),
        },
        chunks=chunks_for(player, responses, recipe.samples, recipe.sampling.max_tokens),
        compute=compute,
    )


def digests(**rows: Rows[Prompt] | Rows[Response]) -> dict[str, str]:
    """The digests of sealed inputs by name, for `made_from`."""
    return {name: sealed.digest for name, sealed in rows.items()}
