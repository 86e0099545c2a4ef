"""Stage: further judgments, of the answers only that may still become chosen or rejected (scoring/adaptive.py).

The first pass is an ordinary judging stage with `first` samples. Here a chunk holds whole prompts; they are asked
in waves so that the engine has batches, but what a prompt is asked depends on its own verdicts alone.
"""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from selfreward.cast import Player
from selfreward.recipe import AdaptiveRecipe, JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles.judge_prompt import judge_prompt
from selfreward.roles.unreadable import Unreadable
from selfreward.runs import Work
from selfreward.scoring.adaptive import Constants, estimate, next_questions
from selfreward.stages.asking import judge_request, judgment_row
from selfreward.stages.given import chunked

VERSION = 1


def first_pass(recipe: JudgeRecipe) -> JudgeRecipe:
    """The recipe of the judgments that everybody gets."""
    return dataclasses.replace(recipe, samples=recipe.adaptive.first)


def judge_further(
    player: Player,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    first: Rows[Judgment],
    recipe: JudgeRecipe,
    *,
    round: int,
    artifact: str,
) -> Work[Sequence[Response], Judgment]:
    """Work that yields the judgments after `first`; the noise that was estimated stands in its seal."""
    wording = judge_prompt(recipe)
    constants = estimate(first)
    known: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in first:
        known[judgment.response_id].append(judgment)
    units = _by_prompt(responses)

    def compute(chunk: Sequence[Sequence[Response]], index: int) -> Iterator[Judgment]:
        engine = player.hold()
        asked = {answer.id: len(known[answer.id]) for members in chunk for answer in members}
        scores = {name: [row.score for row in known[name] if row.score is not None] for name in asked}
        for wave in itertools.count():
            wanted = _wanted(chunk, scores, asked, constants, recipe.adaptive)
            if not wanted:
                return
            seed = seed_for(player.seed, artifact, round, index, wave)
            names = [stable_id(artifact, round, answer.id, asked[answer.id]) for answer in wanted]
            requests = [
                judge_request(
                    name, wording.ask(prompts[answer.prompt_id], answer.text), recipe, 1, seed_for(seed, name)
                )
                for name, answer in zip(names, wanted, strict=True)
            ]
            replies = engine.generate(requests, seed)
            for name, answer, (reply,) in zip(names, wanted, replies, strict=True):
                verdict = wording.read(reply)
                who = player.policy.digest
                yield judgment_row(
                    name, answer, asked[answer.id], reply, verdict, judge=who, template=wording.version, seed=seed
                )
                asked[answer.id] += 1
                if not isinstance(verdict, Unreadable):
                    scores[answer.id].append(verdict)

    largest = max((len(unit) for unit in units), default=1)
    return Work(
        round=round,
        artifact=artifact,
        record=Judgment,
        made_from={
            "version": VERSION,
            "round": round,
            "first": first.digest,
            "answers": stable_id([[one.id for one in unit] for unit in units]),
            "judge": {"adaptive": as_dict(recipe.adaptive), "sampling": as_dict(recipe.sampling)},
            "constants": {"noise": constants.noise, "prior": constants.prior, "sigma": constants.sigma},
            "template": wording.version,
            **player.determines(),
        },
        # Two answers a side are asked in a wave, so this is about a chunk of replies at a time.
        chunks=chunked(units, max(1, player.chunk // min(4, largest))),
        compute=compute,
    )


def _by_prompt(responses: Sequence[Response]) -> list[list[Response]]:
    members: defaultdict[str, list[Response]] = defaultdict(list)
    for response in responses:
        members[response.prompt_id].append(response)
    return [members[name] for name in sorted(members)]


def _wanted(
    chunk: Sequence[Sequence[Response]],
    scores: Mapping[str, Sequence[float]],
    asked: Mapping[str, int],
    constants: Constants,
    recipe: AdaptiveRecipe,
) -> list[Response]:
    """The next question of every prompt that is not settled: each a function of its own verdicts."""
    found = []
    for members in chunk:
        answers = {answer.id: answer for answer in members}
        open_ones = next_questions(
            {name: scores[name] for name in answers}, {name: asked[name] for name in answers}, constants, recipe
        )
        found += [answers[name] for name in open_ones]
    return found
