"""From a round's answers to the samples of its policy gradient, sealed before anything is trained.

    rewards       one for each answer that has one, from its scores, the verifier, both or votes
    likelihoods   the answers' log-probabilities under the policy that sampled them, and under the reference
    samples       answers with their advantages; dropped.jsonl names what fell away and why

Whatever judges the answers is asked and sealed before, as for pairs. An answer of another policy than the one that is
trained is refused by digest. Equal texts are judged once, and each of them is a sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from selfreward.engines.chat import load_renderer
from selfreward.errors import HandOffError
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.pointwise import shuffle_within_prompts
from selfreward.recipe import POLICY, GrpoRecipe, Recipe, RlooRecipe
from selfreward.records import (
    Drop,
    Judgment,
    Prompt,
    Response,
    Reward,
    Rows,
    Sample,
    distinct,
    seed_for,
    stable_id,
)
from selfreward.roles import generator
from selfreward.roles.player import Player, Policy
from selfreward.roles.round import Round
from selfreward.store.given import given
from selfreward.tasks.verifiers import grade
from selfreward.training.weighing.advantages import advantages, answer_drop
from selfreward.training.weighing.likelihoods import Answer, logprobs_under
from selfreward.training.weighing.rewards import GRADED, Opinions, Shaping, rewards, with_kl


def weigh(
    round: Round,
    wanted: GrpoRecipe | RlooRecipe,
    prompts: Rows[Prompt],
    responses: Rows[Response],
    judgments: Rows[Judgment],
    refused: Sequence[Drop],
) -> tuple[Rows[Sample], Rows[Reward], Rows[Drop]]:
    """The round's samples and rewards; every answer and prompt that is none of them is among the drops.

    `refused` are the prompts that were not let through, so that one artifact names all that fell away.
    """
    number, weighing = round.number, Weighing(round, wanted, prompts, responses)
    found, drops = weighing.rewards(judgments)
    inputs = {"responses": responses.digest, "judgments": judgments.digest}
    if wanted.kl and wanted.KL_IN_REWARD:
        found = weighing.less_kl(found)
    sealed = round.complete(given(number, "rewards", Reward, found, inputs))
    groups: dict[str, dict[str, float]] = {prompt.id: {} for prompt in prompts}
    for row in found:
        groups[row.prompt_id][row.response_id] = row.value
    kept, more = advantages(groups, wanted.advantage, keep_uniform=wanted.keep_uniform)
    samples = weighing.samples([row for row in found if row.response_id in kept], kept)
    done = round.complete(given(number, "samples", Sample, samples, {**inputs, "rewards": sealed.digest}))
    dropped = [*refused, *drops, *more]
    return done, sealed, round.complete(given(number, "dropped", Drop, dropped, {**inputs, "samples": done.digest}))


@dataclass
class Weighing:
    """What one round's answers are worth, and how likely they are."""

    round: Round
    wanted: GrpoRecipe | RlooRecipe
    prompts: Rows[Prompt]
    responses: Rows[Response]
    _old: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for response in self.responses:
            if response.policy != self.start.policy.digest:
                raise HandOffError(
                    f"round {self.round.number}, response {response.id}: sampled by policy {response.policy[:16]}; "
                    f"expected {self.start.policy.digest[:16]}, from which training starts: a policy gradient needs "
                    "answers of that policy"
                )

    @property
    def recipe(self) -> Recipe:
        return self.round.recipe

    @cached_property
    def start(self) -> Player:
        return self.round.role(POLICY)

    @cached_property
    def _answers(self) -> dict[str, Answer]:
        """Every answer in tokens, by response id."""
        renderer = load_renderer(self.start.policy.directory, self.recipe.model, self.round.cast.day)
        asked = [generator.ask(self.recipe.generate.template, prompt) for prompt in self.prompts]
        questions = dict(zip((one.id for one in self.prompts), renderer.prompt_token_ids(asked), strict=True))
        return {one.id: Answer(one.id, questions[one.prompt_id], one.token_ids) for one in self.responses}

    def rewards(self, judgments: Sequence[Judgment]) -> tuple[list[Reward], list[Drop]]:
        """The reward of every answer that can be trained on and has one."""
        longest = self.wanted.max_length
        short: dict[str, list[Response]] = {prompt.id: [] for prompt in self.prompts}
        drops = []
        for response in self.responses:
            answer = self._answers[response.id]
            if len(answer.prompt_token_ids) + len(answer.token_ids) > longest:
                drops.append(answer_drop(response.id, "longer than train.max_length", f"max_length={longest}"))
            else:
                short[response.prompt_id].append(response)
        opinions, asked, found = self._opinions(judgments), self.wanted.reward, []
        price = asked.length
        shaping = Shaping(asked.truncated, *((price.weight, price.soft_length) if price else ()))
        for group in short.values():
            made, without = rewards(group, opinions, self.wanted.reward.rule, shaping)
            found += made
            drops += without
        return found, drops

    def less_kl(self, found: Sequence[Reward]) -> list[Reward]:
        """The rewards without what their answers cost in KL to the reference."""
        ids = [row.response_id for row in found]
        old, reference = self._under_start(ids), self._under_reference(ids)
        weight = self.wanted.kl
        return [
            Reward(
                row.id,
                row.prompt_id,
                row.response_id,
                with_kl(row.value, old[row.response_id], reference[row.response_id], weight),
                f"{row.source} - kl",
            )
            for row in found
        ]

    def samples(self, kept: Sequence[Reward], advantage: Mapping[str, float]) -> list[Sample]:
        """The rows that are trained on."""
        ids = [row.response_id for row in kept]
        in_loss = self.wanted.kl > 0 and not self.wanted.KL_IN_REWARD
        old = self._under_start(ids)
        reference = self._under_reference(ids) if in_loss else {}
        responses = {one.id: one for one in self.responses}
        return [
            Sample(
                id=stable_id("sample", row.response_id),
                prompt_id=row.prompt_id,
                response_id=row.response_id,
                prompt_token_ids=self._answers[row.response_id].prompt_token_ids,
                token_ids=responses[row.response_id].token_ids,
                finish_reason=responses[row.response_id].finish_reason,
                reward=row.value,
                advantage=advantage[row.response_id],
                source=row.source,
                policy=self.start.policy.digest,
                temperature=self.recipe.generate.sampling.temperature,
                old_logprobs=old[row.response_id],
                reference=self._reference.digest if in_loss else "",
                reference_logprobs=reference.get(row.response_id, ()),
            )
            for row in kept
        ]

    @property
    def _reference(self) -> Policy:
        return self.round.cast.resolve(self.wanted.reference, self.round.number)

    def _opinions(self, judgments: Sequence[Judgment]) -> Opinions:
        """Scores and grades by response id; an answer that was not judged itself has those of its equal."""
        scores, _ = score_answers(judgments, self.recipe.judge)
        if self.recipe.judge.control == "shuffled":
            seed = seed_for(self.recipe.seed, "rewards", self.round.number)
            scores = shuffle_within_prompts(scores, self.responses, seed)
        if self.recipe.generate.deduplicate:
            judged = {(one.prompt_id, one.text): one.id for one in distinct(self.responses)}
            twins = {one.id: judged[one.prompt_id, one.text] for one in self.responses}
            scores = {mine: scores[its] for mine, its in twins.items() if its in scores}
        return Opinions(scores, self._grades() if self.wanted.reward.rule in GRADED else {})

    def _grades(self) -> dict[str, Any]:
        work = grade.grade(
            self.round.verifier,
            self.recipe.measure.verifier,
            {prompt.id: prompt for prompt in self.prompts},
            [one for one in self.responses if one.finish_reason == "stop"],
            made_from={"prompts": self.prompts.digest, "responses": self.responses.digest},
            round=self.round.number,
        )
        return {row.id: row.grade for row in self.round.complete(work)}

    def _under_start(self, ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
        if not self._old.keys() >= set(ids):
            self._old = logprobs_under(self.round, self.wanted, self.start.policy, self._in_tokens(ids), starts=True)
        return self._old

    def _under_reference(self, ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
        if self._reference.digest == self.start.policy.digest:
            return self._under_start(ids)
        return logprobs_under(self.round, self.wanted, self._reference, self._in_tokens(ids), starts=False)

    def _in_tokens(self, ids: Sequence[str]) -> list[Answer]:
        return [self._answers[one] for one in sorted(ids)]
