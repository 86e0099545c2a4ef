"""Stage: further judgments, of the answers only that may still become chosen or rejected (scoring/adaptive.py).

The first pass is an ordinary judging stage with `first` samples. Here a chunk holds whole prompts, each of them a
dialogue: what it is asked depends on its own verdicts alone. Engines that can go on with one prompt while others are
still being judged do so; others are asked in waves (engines/dialogues.py). Seeds count a prompt's own questions, so
that neither way nor the order of completion shows in the judgments.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from selfreward.engines.dialogues import hold
from selfreward.engines.protocol import Dialogue
from selfreward.judging.asking import judge_request, judgment_row
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.scoring.adaptive import estimate, next_questions
from selfreward.recipe import JudgeRecipe, as_dict
from selfreward.records import Judgment, Prompt, Response, Rows, seed_for, stable_id
from selfreward.roles.cast import Player
from selfreward.roles.chunks import chunks_for
from selfreward.roles.unreadable import Unreadable
from selfreward.store.run import Work

VERSION = 1


def first_pass(recipe: JudgeRecipe) -> JudgeRecipe:
    """The recipe of the judgments that everybody gets."""
    return recipe.drawing(recipe.samples)


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
    adaptive = recipe.adaptive
    assert adaptive is not None
    wording = judge_prompt(recipe)
    constants = estimate(first)
    known: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in first:
        known[judgment.response_id].append(judgment)
    # A question that did not fit in the first pass does not fit later.
    too_long = {row.response_id for row in first if row.unreadable == "question too long"}
    units = _by_prompt([response for response in responses if response.id not in too_long])

    def race(members: Sequence[Response], wave_seed: Callable[[int], int], rows: list[Judgment]) -> Dialogue:
        """One prompt's questions until it is settled; its judgments are added to `rows`."""
        answers = {answer.id: answer for answer in members}
        asked = {name: len(known[name]) for name in answers}
        scores = {name: [row.score for row in known[name] if row.score is not None] for name in answers}
        for wave in itertools.count():
            wanted = next_questions(scores, asked, constants, adaptive)
            if not wanted:
                return
            seed = wave_seed(wave)
            ids = {name: stable_id(artifact, round, name, asked[name]) for name in wanted}
            replies = yield [
                judge_request(
                    ids[name],
                    wording.ask(prompts[answers[name].prompt_id], answers[name].text),
                    recipe,
                    1,
                    seed_for(seed, ids[name]),
                )
                for name in wanted
            ]
            for name, (reply,) in zip(wanted, replies, strict=True):
                verdict = wording.read(reply)
                who, template = player.policy.digest, wording.version
                rows.append(
                    judgment_row(
                        ids[name],
                        answers[name],
                        asked[name],
                        reply,
                        verdict,
                        judge=who,
                        template=template,
                        seed=seed,
                    )
                )
                asked[name] += 1
                if not isinstance(verdict, Unreadable):
                    scores[name].append(verdict)

    def compute(chunk: Sequence[Sequence[Response]], index: int) -> list[Judgment]:
        def wave_seed(wave: int) -> int:
            return seed_for(player.seed, artifact, round, index, wave)

        rows: list[list[Judgment]] = [[] for _ in chunk]
        races = [race(members, wave_seed, mine) for members, mine in zip(chunk, rows, strict=True)]
        hold(player.hold(), races, wave_seed)
        return [row for mine in rows for row in mine]

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
            "judge": {"adaptive": as_dict(adaptive), "sampling": as_dict(recipe.sampling)},
            "constants": {"noise": constants.noise, "prior": constants.prior, "sigma": constants.sigma},
            "template": wording.version,
            **player.determines(),
        },
        # Two answers a side are asked in a wave, so this is about a chunk of replies at a time.
        chunks=chunks_for(player, units, min(4, largest), recipe.sampling.max_tokens),
        compute=compute,
    )


def _by_prompt(responses: Sequence[Response]) -> list[list[Response]]:
    members: defaultdict[str, list[Response]] = defaultdict(list)
    for response in responses:
        members[response.prompt_id].append(response)
    return [members[name] for name in sorted(members)]
