"""What is asked of every policy after its round, and all metrics from it. The rows of earlier rounds are remembered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from selfreward.judging.judge import Judging
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring import pools as measure
from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.judge_watch import Scrutiny
from selfreward.measuring.side_pools import SideSteps
from selfreward.recipe import Recipe
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
    Rows,
)
from selfreward.roles import likelihoods, respond
from selfreward.roles.cast import Cast
from selfreward.store.given import given
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier


@dataclass(frozen=True)
class RoundRows:
    """The sealed rows that made a round's policy."""

    prompts: Rows[Prompt]
    responses: Rows[Response]
    judgments: Rows[Judgment]
    metas: Rows[MetaJudgment]
    pairs: Rows[Pair]
    drops: Rows[Drop]

    @classmethod
    def none(cls) -> Self:
        """Round 0: nothing made the start policy."""
        return cls(Rows([]), Rows([]), Rows([]), Rows([]), Rows([]), Rows([]))


@dataclass
class Measuring:
    """`complete` seals a piece of work and returns its rows; `say` tells the user a line."""

    recipe: Recipe
    verifier: Verifier | None
    cast: Cast
    complete: Callable[[Any], Rows[Any]]
    say: Callable[[str], None]
    pools: Rows[Prompt] = field(default_factory=lambda: Rows([]))
    frozen: Rows[Labelled] = field(default_factory=lambda: Rows([]))
    initial: PoolRows | None = None
    initial_digest: str = ""
    pool_rows: list[tuple[PoolRows, str]] = field(default_factory=list)
    frozen_judgments: list[Rows[Judgment]] = field(default_factory=list)
    scrutiny: Scrutiny = field(init=False)
    side: SideSteps = field(init=False)

    def __post_init__(self) -> None:
        self.scrutiny = Scrutiny(self.recipe, self.cast, self.complete, self.say)
        self.side = SideSteps(self.recipe, self.cast, self.complete)

    def begin(self, source: Source) -> None:
        """Round 0: the frozen pools are written down."""
        pools_by = {"measure": measure.pools_settings(self.recipe.measure)}
        self.pools = self.complete(given(0, "pools", Prompt, source.pools(), pools_by))
        self.frozen = self.complete(given(0, "frozen", Labelled, source.frozen(), pools_by))
        self.side.begin(self.pools)

    def prompts(self) -> list[Prompt]:
        """Every prompt that the policies are measured on, so that none is trained on."""
        return [*self.pools, *self.side.prompts]

    def measure(self, number: int, rows: RoundRows, training: Mapping[str, float]) -> Rows[Measurement]:
        """The policy's samples on the frozen pools, their scores and likelihoods, then every metric.

        `rows` and `training` are the rows and the trainer's metrics that made the policy.
        """
        recipe = self.recipe
        policy = self.cast.policies[number]
        judging = Judging(measure.pool_judging(recipe), self.cast, self.complete, number, number + 1)
        asking = measure.pool_sampling(recipe)
        prompts = {prompt.id: prompt for prompt in self.pools}
        sampling = respond.respond(
            self.cast.player(policy), self.pools, asking, round=number, artifact="eval_responses"
        )
        responses = self.complete(sampling)
        inputs = {"pools": self.pools.digest, "responses": responses.digest}

        def score(prompts: Mapping[str, Prompt], answers: Sequence[Response], artifact: str, **made_from: str) -> Any:
            return judging.judge(prompts, answers, made_from, artifact)

        judgments = score(prompts, distinct(responses), "eval_judgments", **inputs)
        frozen_judgments = score(
            {row.prompt.id: row.prompt for row in self.frozen},
            [row.response for row in self.frozen],
            "frozen_judgments",
            frozen=self.frozen.digest,
        )
        pool_rows = PoolRows(self.pools, responses, judgments)
        steering, locked = measure.apart(self.frozen)
        scrutiny = self.scrutiny.ask(number, pool_rows, judging, steering, rows.judgments)
        side = self.side.measure(number, policy)
        likelihood_rows = self._likelihoods(number, prompts, responses, inputs) if number else {}
        self.initial = self.initial or pool_rows
        start = self.cast.start_of(number)
        previous, previous_digest = self.pool_rows[start] if number else (None, "")
        earlier_judgments = [self.frozen_judgments[0], self.frozen_judgments[start]] if number else []
        evidence = Evidence(
            round=number,
            policy=policy.digest,
            pools=pool_rows,
            initial=self.initial,
            frozen=steering,
            frozen_judgments=measure.about(steering, frozen_judgments),
            likelihoods=likelihood_rows,
            round_prompts=rows.prompts,
            round_responses=rows.responses,
            round_judgments=rows.judgments,
            round_meta=rows.metas,
            round_pairs=rows.pairs,
            round_drops=rows.drops,
            training=training,
            verifier=self.verifier,
            previous=previous,
            frozen_judgments_previous=measure.about(steering, earlier_judgments[-1]) if earlier_judgments else (),
            frozen_judgments_initial=measure.about(steering, earlier_judgments[0]) if earlier_judgments else (),
            locked=locked,
            locked_judgments=measure.about(locked, frozen_judgments),
            **scrutiny.fields,
            **side.fields,
        )
        self.initial_digest = self.initial_digest or judgments.digest
        sealed = [responses, judgments, self.frozen, frozen_judgments, *likelihood_rows.values()]
        sealed += [rows.prompts, rows.responses, rows.judgments, rows.metas, rows.pairs, rows.drops]
        sealed += earlier_judgments
        digests = [*(part.digest for part in sealed), self.initial_digest, previous_digest, policy.digest]
        digests += [*scrutiny.digests, *side.digests, *(digest for _, digest in self.pool_rows)]
        work = measure.measure(evidence, made_from=digests, verifier=recipe.measure.verifier)
        measured = self.complete(work)
        self.pool_rows.append((pool_rows, judgments.digest))
        self.frozen_judgments.append(frozen_judgments)
        return measured

    def _likelihoods(
        self, number: int, prompts: Mapping[str, Prompt], responses: Sequence[Response], inputs: Mapping[str, str]
    ) -> dict[str, Rows[Likelihood]]:
        """The policy's own answers under itself, the policy it was trained from and the start policy.

        On the report pool, and on the gate pool where a rule of the gates asks for a KL there.
        """
        gated = {rule.pool for rule in self.recipe.gates.rules if rule.metric.startswith("kl_")}
        asked = {"report", *(gated & {"gate"})}
        answers = [response for response in responses if prompts[response.prompt_id].pool in asked]
        made_from = {**inputs, "asked": ",".join(sorted(asked))} if len(asked) > 1 else inputs
        policies = self.cast.policies
        found = {}
        for name, policy in {
            "policy": policies[number],
            "previous": policies[self.cast.start_of(number)],
            "initial": policies[0],
        }.items():
            work = likelihoods.likelihoods(
                self.cast.player(policy),
                prompts,
                answers,
                self.recipe.generate,
                made_from=made_from,
                round=number,
                artifact=f"likelihoods_{name}",
            )
            found[name] = self.complete(work)
        return found
