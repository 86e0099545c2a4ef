"""From a round's answers to its preference pairs: what the pair rule needs is made and sealed, then the rule is asked.

Scores come from the judgments, or from the likelihoods of the answers under the round's policy (implicit rewards);
grades come from the verifier, gold answers from the source. Then labels are softened (CREAM) and other pairs mixed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.battles import hold_battles
from selfreward.judging.scoring.passing import among_passing
from selfreward.judging.scoring.pointwise import shuffle_within_prompts
from selfreward.judging.scoring.score import Score
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.pairing.answers import Known, answer_pairs, rule_of
from selfreward.pairing.balance import balanced
from selfreward.pairing.consistency import Consistency, compare_rankings, soften
from selfreward.pairing.implicit_reward import implicit_rewards, sums
from selfreward.pairing.judgments import judgment_pairs
from selfreward.pairing.mixing import EXTERNAL, fresh_pairs, mix
from selfreward.pairing.reference import questions, refer, too_long
from selfreward.recipe import ImplicitReward, Recipe
from selfreward.records import (
    Comparison,
    Drop,
    Judgment,
    Likelihood,
    MetaJudgment,
    Pair,
    Prompt,
    Response,
    Rows,
    by_id,
    distinct,
    seed_for,
    stable_id,
)
from selfreward.roles import likelihoods
from selfreward.roles.cast import Cast, Policy
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, JUDGMENTS, MODEL_JUDGMENTS, part_of
from selfreward.store.given import given
from selfreward.tasks.pairs_file import ExternalPair, read_pairs
from selfreward.tasks.verifiers import grade
from selfreward.tasks.verifiers.protocol import Grade, verifier_identity


def pair(
    round: Round,
    prompts: Rows[Prompt],
    responses: Rows[Response],
    judgments: Rows[Judgment],
    metas: Rows[MetaJudgment],
    refused: Sequence[Drop],
) -> tuple[Rows[Pair], Rows[Drop]]:
    """Answer pairs and judgment pairs with their reference log-probabilities; every drop with its reason.

    `refused` are the prompts that were not let through, so that one artifact names all that fell away.
    """
    recipe, number = round.recipe, round.number
    preferences = Preferences(round, prompts, responses)
    selected, drops = preferences.pairs(judgments)
    selected = preferences.weighed(selected)
    if recipe.meta.enabled:
        standings, summary = hold_battles(metas, recipe.meta)
        about_judgments, more = judgment_pairs(
            judgments, standings, summary, recipe.meta, answer_pairs=len(selected), seed=preferences.seed
        )
        selected, drops = [*selected, *about_judgments], [*drops, *more]
    mixed, outside = preferences.mixed_in(selected)
    selected = [*selected, *mixed]
    asked = {**by_id(prompts), **outside}
    fresh = [one for one in selected if not one.prompt_token_ids]
    shown = questions(fresh, asked, by_id(responses), by_id(judgments), recipe.generate, recipe.judge)
    inputs = {"responses": responses.digest, "judgments": judgments.digest, "metas": metas.digest}
    longest = recipe.train.max_length
    reference = round.role(recipe.train.reference)
    pairs = round.complete(refer(reference, selected, shown, max_length=longest, made_from=inputs, round=number))
    drops = [*refused, *drops, *too_long(selected, pairs, longest)]
    return pairs, round.complete(given(number, "dropped", Drop, drops, {**inputs, "pairs": pairs.digest}))


@dataclass
class Preferences:
    """The round's own answer pairs, and those that are mixed in."""

    round: Round
    prompts: Rows[Prompt]
    responses: Rows[Response]
    _likelihoods: dict[str, Rows[Likelihood]] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        return self.round.recipe

    @property
    def cast(self) -> Cast:
        return self.round.cast

    @property
    def seed(self) -> int:
        return seed_for(self.recipe.seed, "pairs", self.round.number)

    @cached_property
    def _renderer(self) -> ChatRenderer:
        return load_renderer(self.cast.policies[0].directory, self.recipe.model, day=self.cast.day)

    @cached_property
    def _complete_answers(self) -> list[Response]:
        complete = [response for response in self.responses if response.finish_reason == "stop"]
        return distinct(complete) if self.recipe.generate.deduplicate else complete

    def pairs(self, judgments: Sequence[Judgment]) -> tuple[list[Pair], list[Drop]]:
        """The round's own answer pairs; every prompt without one is among the drops."""
        recipe = self.recipe.pairs
        consistency: list[Consistency] = []
        dropped: list[Drop] = []
        implicit = recipe.implicit
        if implicit is not None:
            scores, previous = self._implicit_scores(implicit)
            consistency = compare_rankings(self.responses, scores, previous, implicit)
            first, source = previous is None, "implicit"
        else:
            (scores, dropped), first = self.judged_scores(judgments), False
            source = "oracle" if self.recipe.judge.source == "oracle" else "self"
        gold = self._gold() if rule_of(recipe).needs == "gold" else {}
        margins = self._margins([*self._complete_answers, *gold.values()])
        known = Known(
            self._grades(),
            margins,
            gold,
            _sources(judgments),
            self._preferences(),
            self._chances(),
            ranked=self.recipe.judge.source == "verifier_and_model",
        )
        pairs, drops = answer_pairs(
            self.prompts,
            self.responses,
            scores,
            recipe,
            seed=self.seed,
            source=source,
            round=self.round.number,
            known=known,
        )
        if implicit is None:
            return pairs, [*dropped, *drops]
        pairs, softened = soften(pairs, consistency, implicit, first=first)
        if implicit.consistency != "none":
            facts = {"pairs": implicit.consistency}
            self.round.complete(given(self.round.number, "consistency", Consistency, consistency, facts))
        return pairs, [*dropped, *drops, *softened]

    def weighed(self, own: Sequence[Pair]) -> list[Pair]:
        """The round's own answer pairs, with the weights that `pairs.balance` gives them."""
        how = self.recipe.pairs.balance
        if how == "none":
            return list(own)
        cohorts = {prompt.id: prompt.cohort for prompt in self.prompts}
        # A chosen answer that nobody sampled is a given one.
        sources = {response.id: response.source for response in self.responses}
        classes = [
            (
                cohorts[pair.prompt_id] if "cohort" in how else "",
                sources.get(pair.chosen_id, "gold") if "source" in how else "",
            )
            for pair in own
        ]
        return balanced(own, classes)

    def mixed_in(self, own: Sequence[Pair]) -> tuple[list[Pair], dict[str, Prompt]]:
        """Earlier and external pairs at the recipe's shares, and the prompts of the external ones by id."""
        recipe = self.recipe.pairs.mix
        if not recipe.earlier_share and not recipe.external_share:
            return [], {}
        given_pairs = read_pairs(recipe.external) if recipe.external else []
        if recipe.alone:
            fresh = fresh_pairs(given_pairs, self.recipe, self.round.number)
            return [self._external(row) for row in fresh], {row.prompt.id: row.prompt for row in fresh}
        # Not what a gate rolled back: its pairs made a policy that nobody goes on from.
        lineage = self.cast.lineage(self.round.number)
        earlier = {number: self.round.artifacts.read(number, "pairs", Pair) for number in lineage}
        chosen = mix(
            [pair for pair in own if pair.kind == "answer"],
            earlier if recipe.earlier_share else {},
            [self._external(row) for row in given_pairs],
            recipe,
            seed=self.seed,
        )
        return chosen, {row.prompt.id: row.prompt for row in given_pairs}

    def _preferences(self) -> dict[tuple[str, str], float] | None:
        """What the pairwise judge's comparisons say of each two answers, where the labels are soft."""
        comparing = self.recipe.judge.comparing
        if not self.recipe.pairs.soft or comparing is None:
            return None
        return soft_labels(self._comparisons(), comparing.clamp)

    def _chances(self) -> dict[tuple[str, str], float]:
        """The same as the judge said it, unclamped, where a filter asks how sure it was."""
        wanted = self.recipe.pairs.filters.min_judge_margin is not None
        return soft_labels(self._comparisons()) if wanted else {}

    def _comparisons(self) -> Sequence[Comparison]:
        asked = MODEL_JUDGMENTS if self.recipe.judge.verifier_first else JUDGMENTS
        return self.round.artifacts.read(self.round.number, part_of(asked, COMPARISONS), Comparison)

    def judged_scores(self, judgments: Sequence[Judgment]) -> tuple[dict[str, Score], list[Drop]]:
        """What the judge says of the answers, under its controls, and the answers that lost their score."""
        scores, dropped = score_answers(judgments, self.recipe.judge)
        decided = _sources(judgments) if self.recipe.judge.source == "verifier_and_model" else {}
        verdicts = {name: scores.pop(name) for name in decided}
        if self.recipe.judge.control == "shuffled":
            scores = shuffle_within_prompts(scores, self.responses, self.seed)
        if self.recipe.judge.source == "verifier_and_model":
            scores = among_passing(verdicts, scores)
        return scores, dropped

    def _implicit_scores(self, recipe: ImplicitReward) -> tuple[dict[str, Score], dict[str, Score] | None]:
        """Scores by the round's policy and by the one before it; None where nothing came before."""
        policies, number = self.cast.policies, self.round.number
        reference = self.cast.resolve(recipe.reference, number)
        start = self.cast.start_of(number)
        current = policies[start]
        before = policies[self.cast.start_of(start)] if start else reference
        answers = self._complete_answers

        def scores(name: str, policy: Policy) -> dict[str, Score]:
            rows = self._under(name, policy, answers)
            same = policy.digest == reference.digest
            return implicit_rewards(rows, None if same else self._under("reference", reference, answers))

        own = scores("policy", current)
        # The start policy has no predecessor, unless the reference is another model (the one before its fine-tuning).
        if start == 0 and before.digest == current.digest:
            return own, None
        return own, scores("previous", before)

    def _margins(self, answers: Sequence[Response]) -> dict[str, float]:
        """Summed log-probabilities under the training's reference, where a filter asks for them."""
        if self.recipe.pairs.filters.min_logprob_margin is None:
            return {}
        reference = self.cast.resolve(self.recipe.train.reference, self.round.number)
        return dict(sums(self._under("margin", reference, answers)))

    def _under(self, name: str, policy: Policy, answers: Sequence[Response]) -> Rows[Likelihood]:
        """The likelihoods of the round's answers under a policy: computed once per policy."""
        asked = stable_id([(answer.id, answer.text) for answer in answers])
        key = f"{policy.digest} {asked}"
        if key not in self._likelihoods:
            work = likelihoods.likelihoods(
                self.cast.player(policy),
                {prompt.id: prompt for prompt in self.prompts},
                answers,
                self.recipe.generate,
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

    def _grades(self) -> dict[str, Grade]:
        """The verifier's word on each answer, where the rule or a filter asks for it."""
        filters = self.recipe.pairs.filters
        asked = rule_of(self.recipe.pairs).needs in ("answers", "truth")
        by_answer = filters.max_class_share is not None and filters.class_of == "answer"
        if not (asked or by_answer or filters.verifier_conflict):
            return {}
        work = grade.grade(
            self.round.verifier,
            verifier_identity(self.recipe.measure.verifier),
            {prompt.id: prompt for prompt in self.prompts},
            self._complete_answers,
            made_from={"prompts": self.prompts.digest, "responses": self.responses.digest},
            round=self.round.number,
        )
        return {row.id: row.grade for row in self.round.complete(work)}

    def _gold(self) -> dict[str, Response]:
        """The given answers as responses, by prompt id, in the tokens that the model would have sampled."""
        return {
            prompt_id: Response(
                id=stable_id("gold", prompt_id),
                prompt_id=prompt_id,
                sample=0,
                policy="gold",
                text=text,
                reasoning="",
                token_ids=self._renderer.reply_token_ids(text),
                finish_reason="stop",
                seed=0,
                template="gold",
            )
            for prompt_id, text in self.round.source.gold(self.prompts).items()
        }

    def _external(self, row: ExternalPair) -> Pair:
        return Pair(
            id=row.id,
            kind="answer",
            prompt_id=row.prompt.id,
            chosen_id=stable_id(row.id, "chosen"),
            rejected_id=stable_id(row.id, "rejected"),
            prompt_token_ids=(),
            chosen_token_ids=self._renderer.reply_token_ids(row.chosen),
            rejected_token_ids=self._renderer.reply_token_ids(row.rejected),
            chosen_score=1.0,
            rejected_score=0.0,
            source=f"{EXTERNAL}{row.source}",
            label=row.label,
            weight=row.weight,
        )


def _sources(judgments: Sequence[Judgment]) -> dict[str, str]:
    """Where verifier and model share the judging: by response id, those that the verifier scored."""
    return {row.response_id: row.source for row in judgments if row.source == "verifier" and row.score is not None}
