"""Evidence of a round in which scores, meta-verdicts, pairs and rewards are drawn without a look at the answers.

So agreement with the truth is 0 beyond chance, and no slot, length, claim or author is preferred.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from selfreward.commands.validate.population import SCORES, Population, Said, judgments_of, pool_rows, response_of
from selfreward.commands.validate.worlds import Rounds, nothing
from selfreward.measuring.evidence import PoolRows
from selfreward.records import Judgment, MetaJudgment, Pair, Response, Reward, Sample
from selfreward.training.weighing.advantages import advantages


def coin_flips(population: Population, prompts: int, generator: random.Random, slot: float = 0.0) -> Rounds:
    """Answers as they are; every score, verdict and pair is drawn without looking at them.

    A share `slot` of the meta-verdicts names the first slot, whatever it holds.
    """

    def guess(said: list[Said], rng: random.Random) -> list[Said]:
        # Equal texts of a prompt are judged once, so they share their scores.
        scores = {(one.prompt.id, one.text): tuple(float(rng.randrange(6)) for _ in range(SCORES)) for one in said}
        return [replace(one, scores=scores[one.prompt.id, one.text]) for one in said]

    asked = population.some_prompts(prompts, generator)
    drawn = guess(population.draw(0, asked, generator), generator)
    rows = pool_rows(drawn, generator, "now")
    frozen = population.some_frozen(prompts, generator)
    labelled = [
        [
            j
            for row in frozen
            for j in judgments_of(row.response, [float(generator.randrange(6)) for _ in range(SCORES)])
        ]
        for _ in range(3)
    ]
    own = guess(population.draw(0, population.some_prompts(prompts, generator, "train"), generator), generator)
    trained = pool_rows(own, generator, "train")
    rewards, samples = _weighed(trained.responses, own)
    now = replace(
        nothing(rows, 1),
        frozen=frozen,
        frozen_judgments=labelled[0],
        frozen_judgments_previous=labelled[1],
        frozen_judgments_initial=labelled[2],
        round_prompts=trained.prompts,
        round_responses=trained.responses,
        round_judgments=trained.judgments,
        round_meta=_meta(trained, generator, (1 + slot) / 2),
        round_pairs=_pairs(own, generator),
        round_rewards=rewards,
        round_samples=samples,
    )
    return Rounds(nothing(rows, 0), now)


def _meta(rows: PoolRows, generator: random.Random, first: float) -> list[MetaJudgment]:
    """The first two judgments of each answer in both orders; slot 1 wins with chance `first`, whatever it holds."""
    by_answer: dict[str, list[Judgment]] = {}
    for judgment in rows.judgments:
        by_answer.setdefault(judgment.response_id, []).append(judgment)
    found = []
    for one, other in ((asked[0], asked[1]) for asked in by_answer.values()):
        for a, b in ((one, other), (other, one)):
            found.append(
                MetaJudgment(
                    id=f"{a.id}|{b.id}",
                    prompt_id=a.prompt_id,
                    response_id=a.response_id,
                    first_id=a.id,
                    second_id=b.id,
                    judge="judge",
                    text="",
                    finish_reason="stop",
                    seed=0,
                    template="sandbox",
                    winner="first" if generator.random() < first else "second",
                    unreadable=None,
                )
            )
    return found


def _weighed(answers: Sequence[Response], said: Sequence[Said]) -> tuple[list[Reward], list[Sample]]:
    """Every answer with its guessed score as its reward, and the samples that this makes."""
    worth = {
        answer.id: fmean(score for score in one.scores if score is not None)
        for answer, one in zip(answers, said, strict=True)
    }
    groups: dict[str, dict[str, float]] = {}
    for answer in answers:
        groups.setdefault(answer.prompt_id, {})[answer.id] = worth[answer.id]
    gained, _ = advantages(groups, "group_centred")
    rewards = [Reward(answer.id, answer.prompt_id, answer.id, worth[answer.id], "score") for answer in answers]
    samples = [
        Sample(
            id=answer.id,
            prompt_id=answer.prompt_id,
            response_id=answer.id,
            prompt_token_ids=(1,),
            token_ids=answer.token_ids,
            finish_reason="stop",
            reward=worth[answer.id],
            advantage=gained[answer.id],
            source="score",
            policy="policy",
            temperature=1.0,
            old_logprobs=(),
        )
        for answer in answers
        if answer.id in gained
    ]
    return rewards, samples


def _pairs(said: Sequence[Said], generator: random.Random) -> list[Pair]:
    """Two answers of each prompt, chosen and rejected by lot."""
    by_prompt: dict[str, list[tuple[int, Said]]] = {}
    for one in said:
        mine = by_prompt.setdefault(one.prompt.id, [])
        mine.append((len(mine), one))
    pairs = []
    for mine in by_prompt.values():
        chosen, rejected = (response_of(one, sample, "train") for sample, one in generator.sample(mine, 2))
        pairs.append(
            Pair(
                id=f"{chosen.id}>{rejected.id}",
                kind="answer",
                prompt_id=chosen.prompt_id,
                chosen_id=chosen.id,
                rejected_id=rejected.id,
                prompt_token_ids=(1,),
                chosen_token_ids=chosen.token_ids,
                rejected_token_ids=rejected.token_ids,
                chosen_score=5.0,
                rejected_score=0.0,
                source="judge",
            )
        )
    return pairs
