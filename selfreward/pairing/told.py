"""What a pair rule and its filters are told beside the judge's word: made when it is asked for, and sealed.

Likelihoods under the round's policies (implicit rewards, margins), the verifier's grades, gold answers as tokens,
revisions of the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.judging.revising.check import check_revisions
from selfreward.judging.revising.revise import revise
from selfreward.judging.revising.rows import Revised
from selfreward.judging.scoring.score import Score
from selfreward.pairing.answers import rule_of
from selfreward.pairing.implicit_reward import implicit_rewards, sums
from selfreward.pairing.judged_steps import JudgedStep, judged_steps
from selfreward.pairing.uncertainty import Feedback, divided
from selfreward.recipe import Daif, ImplicitReward, Revising
from selfreward.records import (
    Likelihood,
    Prompt,
    Response,
    Rows,
    StepVerdict,
    distinct,
    stable_id,
)
from selfreward.roles import generator, likelihoods
from selfreward.roles.player import Policy
from selfreward.roles.round import Round
from selfreward.store.artifacts import JUDGMENTS, STEPS, part_of
from selfreward.tasks.verifiers import grade
from selfreward.tasks.verifiers.protocol import Grade, verifier_identity


@dataclass
class Told:
    """Of one round's answers. Nothing is computed twice for equal weights."""

    round: Round
    prompts: Rows[Prompt]
    responses: Rows[Response]
    _likelihoods: dict[str, Rows[Likelihood]] = field(default_factory=dict)

    @cached_property
    def renderer(self) -> ChatRenderer:
        return load_renderer(self.round.cast.policies[0].directory, self.round.recipe.model, day=self.round.cast.day)

    @cached_property
    def complete_answers(self) -> list[Response]:
        complete = [response for response in self.responses if response.finish_reason == "stop"]
        return distinct(complete) if self.round.recipe.generate.deduplicate else complete

    def implicit_scores(self, recipe: ImplicitReward) -> tuple[dict[str, Score], dict[str, Score] | None]:
        """Scores by the round's policy and by the one before it; None where nothing came before."""
        policies, number = self.round.cast.policies, self.round.number
        reference = self.round.cast.resolve(recipe.reference, number)
        start = self.round.cast.start_of(number)
        current = policies[start]
        before = policies[self.round.cast.start_of(start)] if start else reference
        answers = self.complete_answers

        def scores(name: str, policy: Policy) -> dict[str, Score]:
            rows = self._under(name, policy, answers)
            same = policy.digest == reference.digest
            return implicit_rewards(rows, None if same else self._under("reference", reference, answers))

        own = scores("policy", current)
        # The start policy has no predecessor, unless the reference is another model (the one before its fine-tuning).
        if start == 0 and before.digest == current.digest:
            return own, None
        return own, scores("previous", before)

    def margins(self, answers: Sequence[Response]) -> dict[str, float]:
        """Summed log-probabilities under the training's reference, where a filter asks for them."""
        if self.round.recipe.pairs.filters.min_logprob_margin is None:
            return {}
        reference = self.round.cast.resolve(self.round.recipe.train.reference, self.round.number)
        return dict(sums(self._under("margin", reference, answers)))

    def internal(self) -> dict[str, float]:
        """The policy's implicit rewards against the start policy, where the agreement filter asks; none where both are
        one."""
        if not self.round.recipe.pairs.filters.internal_agreement:
            return {}
        cast, number = self.round.cast, self.round.number
        policy, initial = cast.policies[cast.start_of(number)], cast.policies[0]
        if policy.digest == initial.digest:
            return {}
        rows = [
            self._under(name, one, self.complete_answers) for name, one in (("policy", policy), ("initial", initial))
        ]
        return {name: score.value for name, score in implicit_rewards(rows[0], rows[1]).items()}

    def _under(self, name: str, policy: Policy, answers: Sequence[Response]) -> Rows[Likelihood]:
        """The likelihoods of the round's answers under a policy: computed once per policy."""
        asked = stable_id([(answer.id, answer.text) for answer in answers])
        key = f"{policy.digest} {asked}"
        if key not in self._likelihoods:
            work = likelihoods.likelihoods(
                self.round.cast.player(policy),
                {prompt.id: prompt for prompt in self.prompts},
                answers,
                self.round.recipe.generate,
                made_from={
                    "prompts": self.prompts.digest,
                    "responses": self.responses.digest,
                    "answers": asked,
                },
                round=self.round.number,
                artifact=f"round_likelihoods_{name}",
            )
            self._likelihoods[key] = self.round.complete(work)
        return self._likelihoods[key]

    def grades(self) -> dict[str, Grade]:
        """The verifier's word on each answer, where the rule or a filter asks for it."""
        filters = self.round.recipe.pairs.filters
        asked = rule_of(self.round.recipe.pairs).needs in ("answers", "truth")
        by_answer = filters.max_class_share is not None and filters.class_of == "answer"
        if not (asked or by_answer or filters.verifier_conflict):
            return {}
        work = grade.grade(
            self.round.verifier,
            verifier_identity(self.round.recipe.measure.verifier, self.round.recipe.measure.code),
            {prompt.id: prompt for prompt in self.prompts},
            self.complete_answers,
            made_from={"prompts": self.prompts.digest, "responses": self.responses.digest},
            round=self.round.number,
        )
        return {row.id: row.grade for row in self.round.complete(work)}

    @cached_property
    def feedback(self) -> Mapping[str, Feedback]:
        """The kind of feedback that each prompt gets, where the rule divides them."""
        rule = self.round.recipe.pairs
        return divided(self.responses, rule.certain, rule.refined) if isinstance(rule, Daif) else {}

    def revised(self) -> Revised:
        """The answers' revisions, made here, and what the judge says of them where it is asked."""
        rule = self.round.recipe.pairs
        if not isinstance(rule, Revising):
            return Revised()
        prompts, responses = self.prompts, self.responses
        if isinstance(rule, Daif):
            asked = {name for name, kind in self.feedback.items() if kind == "refinement"}
            which = f"refined {stable_id(sorted(asked))}"
            prompts = Rows([row for row in prompts if row.id in asked], f"{prompts.digest} {which}")
            responses = Rows([row for row in responses if row.prompt_id in asked], f"{responses.digest} {which}")
        revised = revise(self.round, prompts, responses, rule.revise, rule.per_prompt)
        if rule.revise.check is None:
            return revised
        said = check_revisions(self.round, self.prompts, self.responses, revised, rule.revise.check)
        return replace(revised, preferences=said)

    def steps(self) -> tuple[Mapping[str, Sequence[JudgedStep]], dict[str, tuple[int, ...]]]:
        """The judged steps of the answers, and the tokens of each question, where steps are paired."""
        recipe = self.round.recipe
        question = recipe.judge.stepping
        if question is None or rule_of(recipe.pairs).needs != "steps":
            return {}, {}
        verdicts = self.round.artifacts.read(self.round.number, part_of(JUDGMENTS, STEPS), StepVerdict)
        asked = [generator.ask(recipe.generate.template, prompt) for prompt in self.prompts]
        tokens = self.renderer.prompt_token_ids(asked)
        questions = dict(zip((prompt.id for prompt in self.prompts), tokens, strict=True))
        return judged_steps(self.complete_answers, verdicts, question, self.renderer.words), questions

    def gold(self) -> dict[str, Response]:
        """The given answers as responses, by prompt id, in the tokens that the model would have sampled."""
        return {
            prompt_id: Response(
                id=stable_id("gold", prompt_id),
                prompt_id=prompt_id,
                sample=0,
                policy="gold",
                text=text,
                reasoning="",
                token_ids=self.renderer.reply_token_ids(text),
                finish_reason="stop",
                seed=0,
                template="gold",
            )
            for prompt_id, text in self.round.source.gold(self.prompts).items()
        }
