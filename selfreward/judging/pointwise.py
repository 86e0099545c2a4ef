"""Stage: the judge scores answers, N times each. A reply that cannot be read is its own outcome, never a number."""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.judging.asking import ask
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.stage import Stage
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response
from selfreward.roles.player import Player
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
    stage = Stage(player, recipe.sampling, round, artifact, wording.version)

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        engine = player.hold()
        owed = {response.id: recipe.samples for response in chunk}
        asked = dict.fromkeys(owed, 0)
        for attempt in range(recipe.ask_again + 1):
            waiting = [response for response in chunk if owed[response.id]]
            if not waiting:
                return
            seed = stage.seed(index, attempt)
            requests = [
                stage.request(
                    stage.name(one.id, seed),
                    wording.ask(prompts[one.prompt_id], one.text),
                    owed[one.id],
                    stage.seed(one.id, seed),
                )
                for one in waiting
            ]
            for one, completions in zip(waiting, ask(engine, requests, seed), strict=True):
                prompt = prompts[one.prompt_id]
                for reply in completions:
                    sample, name = asked[one.id], stage.name(one.id, asked[one.id])
                    verdict, template = wording.read(prompt, reply), wording.asked_with(prompt)
                    row = stage.judgment(name, one, sample, reply, verdict, seed, template=template)
                    asked[one.id] += 1
                    owed[one.id] -= row.score is not None
                    yield row

    judge = {"samples": recipe.samples, "ask_again": recipe.ask_again, "sampling": as_dict(recipe.sampling)}
    return stage.work(
        Judgment,
        responses,
        compute,
        {"inputs": dict(made_from), "judge": judge},
        version=VERSION,
        replies=recipe.samples,
        tokens=recipe.sampling.max_tokens,
    )
