"""What is asked of every policy after its round, and all metrics from it. The rows of earlier rounds are remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from selfreward.judging.judge import Judging
from selfreward.judging.revising.asking import REVISIONS
from selfreward.judging.revising.revise import revising_rows
from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.judge_watch import JudgeWatch
from selfreward.measuring.pools import about, all_metrics, apart, pool_judging, pool_sampling, pools_settings
from selfreward.measuring.side_pools import SidePools
from selfreward.recipe import Revising, measured_rounds
from selfreward.records import (
    Drop,
    Judgment,
    Labelled,
    Likelihood,
    Measurement,
    MetaJudgment,
    Pair,
    Prompt,
    Response,
    Reward,
    Rows,
    Sample,
    by_id,
    distinct,
)
from selfreward.roles.likelihoods import likelihoods
from selfreward.roles.respond import answering
from selfreward.roles.round import Round
from selfreward.store.given import given
from selfreward.tasks.verifiers.protocol import verifier_identity
from selfreward.training.reward_model import Taught


@dataclass(frozen=True)
class RoundRows:
    """The sealed rows that made a round's policy."""

    prompts: Rows[Prompt]
    responses: Rows[Response]
    judgments: Rows[Judgment]
    metas: Rows[MetaJudgment]
    pairs: Rows[Pair]
    drops: Rows[Drop]
    rewards: Rows[Reward] = field(default_factory=lambda: Rows([]))
    samples: Rows[Sample] = field(default_factory=lambda: Rows([]))

    @property
    def learned(self) -> Rows[Pair] | Rows[Sample]:
        """What the policy is trained on."""
        return self.samples if self.rewards else self.pairs

    @classmethod
    def none(cls) -> Self:
        """Round 0: nothing made the start policy."""
        return cls(Rows([]), Rows([]), Rows([]), Rows([]), Rows([]), Rows([]))


def is_measured(round: Round) -> bool:
    """Whether `measure.every` asks for it, or an earlier start of the run had this round as its last."""
    wanted = round.number in measured_rounds(round.recipe)
    return wanted or round.artifacts.seal(round.number, "measurements") is not None


@dataclass
class Measuring:
    """The frozen pools, and what every round so far showed on them."""

    pools: Rows[Prompt] = field(default_factory=lambda: Rows([]))
    frozen: Rows[Labelled] = field(default_factory=lambda: Rows([]))
    pool_rows: dict[int, PoolRows] = field(default_factory=dict)
    frozen_judgments: dict[int, Rows[Judgment]] = field(default_factory=dict)
    watch: JudgeWatch = field(default_factory=JudgeWatch)
    side: SidePools = field(default_factory=SidePools)

    def begin(self, round: Round) -> None:
        """Round 0: the frozen pools are written down."""
        pools_by = {"measure": pools_settings(round.recipe.measure)}
        self.pools = round.complete(given(0, "pools", Prompt, round.source.pools(), pools_by))
        self.frozen = round.complete(given(0, "frozen", Labelled, round.source.frozen(), pools_by))
        self.side.begin(round, self.pools)
        if not round.recipe.measure.judge:
            round.say("measure.judge=false: what the loop's own judge makes of the answers is not measured")

    def prompts(self) -> list[Prompt]:
        """Every prompt that the policies are measured on, so that none is trained on."""
        return [*self.pools, *self.side.prompts]

    def last_before(self, round: Round) -> int:
        """The last round that was measured among those that led to this one: what `previous` means."""
        led_here = [0, *round.cast.lineage(round.number)]
        return max(number for number in led_here if number in self.pool_rows or number == 0)

    def measure(self, round: Round, rows: RoundRows, taught: Taught) -> Rows[Measurement]:
        """The policy's samples on the frozen pools, their scores and likelihoods, then every metric.

        `rows` are those that made the policy, `taught` what a reward model trained after it was not trained on.
        """
        recipe, number = round.recipe, round.number
        policy = round.cast.policies[number]
        judging = None
        if recipe.measure.judge:
            judging = Judging(pool_judging(recipe), round.cast, round.complete, number, number + 1)
        asked = answering(
            round.cast.player(policy), self.pools, pool_sampling(recipe), round=number, artifact="eval_responses"
        )
        responses = round.complete(asked)
        inputs = {"pools": self.pools.digest, "responses": responses.digest}
        prompts = by_id(self.pools)
        opinions, again = self._opinions(judging, prompts, responses, inputs)
        now = PoolRows(self.pools, responses, opinions)
        steering, locked = apart(self.frozen)
        before = self.last_before(round)
        self.pool_rows[number], self.frozen_judgments[number] = now, again
        evidence = Evidence(
            round=number,
            policy=policy.digest,
            pools=now,
            initial=self.pool_rows[0],
            frozen=steering,
            frozen_judgments=about(steering, again),
            round_prompts=rows.prompts,
            round_responses=rows.responses,
            round_judgments=rows.judgments,
            round_meta=rows.metas,
            round_pairs=rows.pairs,
            round_drops=rows.drops,
            round_rewards=rows.rewards,
            round_samples=rows.samples,
            reward_prompts=taught.prompts,
            reward_responses=taught.responses,
            reward_pairs=taught.pairs,
            reward_scores=taught.scores,
            training=round.facts()["metrics"],
            verifier=round.verifier,
            words=recipe.measure.words,
            **_revising(round),
            previous=self.pool_rows[before] if number else None,
            frozen_judgments_previous=about(steering, self.frozen_judgments[before]) if number else (),
            frozen_judgments_initial=about(steering, self.frozen_judgments[0]) if number else (),
            locked=locked,
            locked_judgments=about(locked, again),
            **self.watch.ask(round, now, judging, steering, rows.judgments),
            **self.side.measure(round, policy),
            likelihoods=_likelihoods(round, before, prompts, responses, inputs) if number else {},
        )
        named = verifier_identity(recipe.measure.verifier, recipe.measure.code)
        return round.complete(all_metrics(evidence, verifier=named, foreign=recipe.measure.metrics))

    def _opinions(
        self,
        judging: Judging | None,
        prompts: Mapping[str, Prompt],
        responses: Rows[Response],
        inputs: Mapping[str, str],
    ) -> tuple[Rows[Judgment], Rows[Judgment]]:
        """What the loop's own judge says of the pools' answers, each distinct one once, and of the labelled ones."""
        if judging is None:
            return Rows([]), Rows([])
        opinions = judging.judge(prompts, distinct(responses), inputs, "eval_judgments")
        labelled = {row.prompt.id: row.prompt for row in self.frozen}
        answers = [row.response for row in self.frozen]
        return opinions, judging.judge(labelled, answers, {"frozen": self.frozen.digest}, "frozen_judgments")


def _revising(round: Round) -> dict[str, Any]:
    """The rows of critique and revision, where the round has any."""
    rule = round.recipe.pairs
    if not isinstance(rule, Revising) or round.artifacts.seal(round.number, REVISIONS) is None:
        return {}
    critiques, revisions = revising_rows(round.artifacts, round.number, rule.revise)
    revised = round.artifacts.read(round.number, REVISIONS, Response)
    return {"round_critiques": critiques, "round_revisions": revisions, "round_revised": revised}


def _likelihoods(
    round: Round, before: int, prompts: Mapping[str, Prompt], responses: Sequence[Response], inputs: Mapping[str, str]
) -> dict[str, Rows[Likelihood]]:
    """The policy's own answers under itself, the policy that was measured `before` it and the start policy.

    On the report pool, and on the gate pool where a rule of the gates asks for a KL there.
    """
    gated = {rule.pool for rule in round.recipe.gates.rules if rule.metric.startswith("kl_")}
    asked = {"report", *(gated & {"gate"})}
    answers = [response for response in responses if prompts[response.prompt_id].pool in asked]
    made_from = {**inputs, "asked": ",".join(sorted(asked))} if len(asked) > 1 else inputs
    policies, number = round.cast.policies, round.number
    compared = {"policy": number, "initial": 0, "previous": before}
    found: dict[int, Rows[Likelihood]] = {}
    for name, of in compared.items():
        # After round 1 the policy before it is the start policy: one reading serves both.
        if of not in found:
            asking = likelihoods(
                round.cast.player(policies[of]),
                prompts,
                answers,
                round.recipe.generate,
                made_from=made_from,
                round=number,
                artifact=f"likelihoods_{name}",
            )
            found[of] = round.complete(asking)
    return {name: found[of] for name, of in compared.items()}
