"""What is measured after a round beside the pools: the recipe's cohorts and probes. Nothing here trains or is paired.

All cohorts are one artifact of prompts, and one of answers a round. What no verifier grades is judged by
`measure.cohort_judge`, which is the start policy unless the recipe says otherwise: the same judge in every round.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfreward.judging.judge import Judging
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.evidence import AskedValue, CohortRows, PoolRows
from selfreward.measuring.judge_watch import Findings
from selfreward.measuring.pools import pool_judging, pool_sampling
from selfreward.measuring.probes.ask import ask
from selfreward.measuring.probes.questions import Questions, questions_of
from selfreward.recipe import Recipe, as_dict
from selfreward.records import Judgment, Pool, Prompt, Response, Rows
from selfreward.roles import respond
from selfreward.roles.cast import Cast, Policy
from selfreward.store.given import given
from selfreward.store.run import Work
from selfreward.tasks.cohorts import Cohort, read_cohorts
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

Complete = Callable[[Work[Any, Any]], Rows[Any]]


@dataclass
class SideSteps:
    """`rounds` are the cohorts' rows of every round with their digests, `asked` the probes'; changes need round 0's."""

    recipe: Recipe
    cast: Cast
    complete: Complete
    cohorts: list[Cohort] = field(default_factory=list)
    prompts: Rows[Prompt] = field(default_factory=lambda: Rows([]))
    rounds: list[tuple[PoolRows, list[str]]] = field(default_factory=list)
    questions: dict[str, tuple[Pool, Questions]] = field(default_factory=dict)
    asked: list[Rows[AskedValue]] = field(default_factory=list)
    verifiers: dict[str, Verifier] = field(default_factory=dict)

    def begin(self, pools: Sequence[Prompt]) -> None:
        """The cohorts' prompts are written down."""
        self.cohorts, self.questions = read_cohorts(self.recipe.measure), questions_of(self.recipe, pools)
        if self.cohorts:
            every = [prompt for cohort in self.cohorts for prompt in cohort.prompts]
            settings = {cohort.name: as_dict(self.recipe.measure.cohorts[cohort.name]) for cohort in self.cohorts}
            self.prompts = self.complete(given(0, "cohorts", Prompt, every, {"cohorts": settings}))

    def measure(self, number: int, policy: Policy) -> Findings:
        """What is asked of the policy of round `number`, for the fields `cohorts` and `asked` of its evidence."""
        fields: dict[str, Any] = {}
        digests: list[str] = []
        if self.questions:
            work = ask(self.cast.player(policy), self.recipe, self.questions, round=number)
            self.asked.append(self.complete(work))
            fields |= {"asked": self.asked[-1], "asked_initial": self.asked[0]}
            digests += [self.asked[-1].digest, self.asked[0].digest]
        if self.cohorts:
            self.rounds.append(self._answer(number, policy))
            (now, made_from), (initial, first) = self.rounds[-1], self.rounds[0]
            own = {prompt.id: prompt for prompt in self.prompts}
            fields["cohorts"] = [self._rows(cohort, own, now, initial) for cohort in self.cohorts]
            digests += [self.prompts.digest, *made_from, *first]
        return Findings(fields, digests)

    def _answer(self, number: int, policy: Policy) -> tuple[PoolRows, list[str]]:
        """The policy's answers to all cohorts, and judgments of those that no verifier grades."""
        measure = self.recipe.measure
        asking = dataclasses.replace(pool_sampling(self.recipe), samples=measure.cohort_samples)
        player = self.cast.player(policy)
        work = respond.respond(player, self.prompts, asking, round=number, artifact="cohort_responses")
        responses: Rows[Response] = self.complete(work)
        own = {prompt.id: prompt for prompt in self.prompts}
        judged = {cohort.name for cohort in self.cohorts if cohort.verifier == "none"}
        ungraded = [row for row in distinct(responses) if own[row.prompt_id].cohort in judged]
        judgments: Rows[Judgment] = Rows([])
        if ungraded:
            judge = dataclasses.replace(pool_judging(self.recipe), model=measure.cohort_judge)
            judging = Judging(judge, self.cast, self.complete, number, number + 1)
            inputs = {"cohorts": self.prompts.digest, "responses": responses.digest}
            judgments = judging.judge(own, ungraded, inputs, "cohort_judgments")
        return PoolRows(self.prompts, responses, judgments), [responses.digest, judgments.digest]

    def _rows(self, cohort: Cohort, asked: Mapping[str, Prompt], now: PoolRows, initial: PoolRows) -> CohortRows:
        def own(rows: PoolRows) -> PoolRows:
            return PoolRows(
                [prompt for prompt in rows.prompts if prompt.cohort == cohort.name],
                [row for row in rows.responses if asked[row.prompt_id].cohort == cohort.name],
                [row for row in rows.judgments if asked[row.prompt_id].cohort == cohort.name],
            )

        if cohort.verifier != "none" and cohort.name not in self.verifiers:
            self.verifiers[cohort.name] = load_verifier(cohort.verifier)
        return CohortRows(cohort.name, own(now), own(initial), self.verifiers.get(cohort.name), cohort.oracle)
