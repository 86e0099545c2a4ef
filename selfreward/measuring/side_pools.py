"""What is measured after a round beside the pools: the recipe's cohorts and probes. Nothing here trains or is paired.

All cohorts are one artifact of prompts, and one of answers a round. What no verifier grades is judged by
`measure.cohort_judge`, which is the start policy unless the recipe says otherwise: the same judge in every round. A
cohort with a question of its own has an artifact of judgments of its own, and so has one that a classifier grades.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfreward.judging.judge import Judging
from selfreward.judging.scoring.pointwise import distinct
from selfreward.measuring.classifying import Classifiers
from selfreward.measuring.evidence import AskedValue, CohortRows, PoolRows
from selfreward.measuring.pools import pool_judging, pool_sampling
from selfreward.measuring.probes.ask import ask
from selfreward.measuring.probes.questions import Questions, questions_of
from selfreward.recipe import as_dict, cohort_judge
from selfreward.recipe.classifier import CLASSIFIER
from selfreward.recipe.code import CodeRecipe
from selfreward.records import Judgment, Pool, Prompt, Response, Rows
from selfreward.roles.player import Policy
from selfreward.roles.respond import answering
from selfreward.roles.round import Round
from selfreward.store.artifacts import cohort_artifact
from selfreward.store.given import given
from selfreward.tasks.cohorts import Cohort, read_cohorts
from selfreward.tasks.verifiers.protocol import CODE, Verifier, load_verifier


@dataclass
class SidePools:
    """`rounds` are the cohorts' rows of every round, `asked` the probes'; changes need round 0's."""

    cohorts: list[Cohort] = field(default_factory=list)
    prompts: Rows[Prompt] = field(default_factory=lambda: Rows([]))
    rounds: list[PoolRows] = field(default_factory=list)
    questions: dict[str, tuple[Pool, Questions]] = field(default_factory=dict)
    asked: list[Rows[AskedValue]] = field(default_factory=list)
    verifiers: dict[str, Verifier] = field(default_factory=dict)
    classifiers: Classifiers = field(default_factory=Classifiers)
    code: CodeRecipe = field(default_factory=CodeRecipe)

    def begin(self, round: Round, pools: Sequence[Prompt]) -> None:
        """The cohorts' prompts are written down."""
        self.cohorts, self.questions = read_cohorts(round.recipe.measure), questions_of(round.recipe, pools)
        self.code = round.recipe.measure.code
        if self.cohorts:
            every = [prompt for cohort in self.cohorts for prompt in cohort.prompts]
            measure = round.recipe.measure
            settings = {cohort.name: as_dict(measure.cohorts[cohort.name]) for cohort in self.cohorts}
            for cohort in self.cohorts:
                settings[cohort.name] |= {"code": as_dict(measure.code)} if cohort.verifier == CODE else {}
            self.prompts = round.complete(given(0, "cohorts", Prompt, every, {"cohorts": settings}))
            self.classifiers.begin(round, self.cohorts)

    def measure(self, round: Round, policy: Policy) -> dict[str, Any]:
        """What is asked of the round's policy: the fields `cohorts` and `asked` of its evidence."""
        fields: dict[str, Any] = {}
        if self.questions:
            work = ask(round.cast.player(policy), round.recipe, self.questions, round=round.number)
            self.asked.append(round.complete(work))
            fields |= {"asked": self.asked[-1], "asked_initial": self.asked[0]}
        if self.cohorts:
            self.rounds.append(self._answer(round, policy))
            now, initial = self.rounds[-1], self.rounds[0]
            own = {prompt.id: prompt for prompt in self.prompts}
            fields["cohorts"] = [self._rows(cohort, own, now, initial) for cohort in self.cohorts]
        return fields

    def _answer(self, round: Round, policy: Policy) -> PoolRows:
        """The policy's answers to all cohorts, and judgments of those that no verifier grades."""
        measure = round.recipe.measure
        asking = dataclasses.replace(pool_sampling(round.recipe), samples=measure.cohort_samples)
        player = round.cast.player(policy)
        work = answering(player, self.prompts, asking, round=round.number, artifact="cohort_responses")
        responses: Rows[Response] = round.complete(work)
        own = {prompt.id: prompt for prompt in self.prompts}
        judged = {cohort.name for cohort in self.cohorts if cohort.verifier == "none"}
        apart = [name for name in sorted(judged) if measure.cohorts[name].question is not None]
        inputs = {"cohorts": self.prompts.digest, "responses": responses.digest}
        every: list[Rows[Judgment]] = [*self.classifiers.grade(round, own, responses, inputs)]
        for cohort in (None, *apart):
            names = {cohort} if cohort else judged - {*apart}
            ungraded = [row for row in distinct(responses) if own[row.prompt_id].cohort in names]
            if ungraded:
                judge = cohort_judge(measure, pool_judging(round.recipe), cohort)
                judging = Judging(judge, round.cast, round.complete, round.number, round.number + 1)
                every.append(judging.judge(own, ungraded, inputs, cohort_artifact(apart, cohort)))
        judgments = every[0] if len(every) == 1 else Rows([row for rows in every for row in rows])
        return PoolRows(self.prompts, responses, judgments)

    def _rows(self, cohort: Cohort, asked: Mapping[str, Prompt], now: PoolRows, initial: PoolRows) -> CohortRows:
        def own(rows: PoolRows) -> PoolRows:
            return PoolRows(
                [prompt for prompt in rows.prompts if prompt.cohort == cohort.name],
                [row for row in rows.responses if asked[row.prompt_id].cohort == cohort.name],
                [row for row in rows.judgments if asked[row.prompt_id].cohort == cohort.name],
            )

        if cohort.verifier not in ("none", CLASSIFIER) and cohort.name not in self.verifiers:
            self.verifiers[cohort.name] = load_verifier(cohort.verifier, self.code)
        verifier, classifier = self.verifiers.get(cohort.name), self.classifiers.known.get(cohort.name)
        return CohortRows(cohort.name, own(now), own(initial), verifier, cohort.oracle, classifier)
