"""From a round's answers to its preference pairs: what the pair rule needs is made and sealed, then the rule is asked.

Scores come from the judgments, or from the likelihoods of the answers under the round's policy (implicit rewards); what
else the rule asks for stands in told.py. Then labels are softened (CREAM) and other pairs mixed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.battles import hold_battles
from selfreward.judging.scoring.passing import among_passing
from selfreward.judging.scoring.pointwise import shuffle_within_prompts
from selfreward.judging.scoring.score import Score
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.pairing.answers import Known, answer_pairs, rule_of
from selfreward.pairing.balance import balanced
from selfreward.pairing.believed import believed_pairs
from selfreward.pairing.consistency import Consistency, compare_rankings, soften
from selfreward.pairing.judgments import judgment_pairs
from selfreward.pairing.mixing import external_pair, fresh_pairs, mix
from selfreward.pairing.reference import questions, refer, too_long
from selfreward.pairing.told import Told
from selfreward.recipe import Recipe
from selfreward.records import (
    Comparison,
    Drop,
    Judgment,
    MetaJudgment,
    Pair,
    Prompt,
    Response,
    Rows,
    by_id,
    seed_for,
)
from selfreward.roles.cast import Cast
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, JUDGMENTS, MODEL_JUDGMENTS, part_of
from selfreward.store.given import given
from selfreward.tasks.pairs_file import read_pairs


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
    inputs = {"responses": responses.digest, "judgments": judgments.digest, "metas": metas.digest}
    selected, disbelieved = believed_pairs(round, selected, asked, inputs)
    fresh = [one for one in selected if not one.prompt_token_ids]
    shown = questions(fresh, asked, by_id(responses), by_id(judgments), recipe.generate, recipe.judge)
    longest = recipe.train.max_length
    reference = round.role(recipe.train.reference)
    pairs = round.complete(refer(reference, selected, shown, max_length=longest, made_from=inputs, round=number))
    drops = [*refused, *drops, *disbelieved, *too_long(selected, pairs, longest)]
    return pairs, round.complete(given(number, "dropped", Drop, drops, {**inputs, "pairs": pairs.digest}))


@dataclass
class Preferences:
    """The round's own answer pairs, and those that are mixed in."""

    round: Round
    prompts: Rows[Prompt]
    responses: Rows[Response]

    @cached_property
    def _told(self) -> Told:
        return Told(self.round, self.prompts, self.responses)

    @property
    def recipe(self) -> Recipe:
        return self.round.recipe

    @property
    def cast(self) -> Cast:
        return self.round.cast

    @property
    def seed(self) -> int:
        return seed_for(self.recipe.seed, "pairs", self.round.number)

    def pairs(self, judgments: Sequence[Judgment]) -> tuple[list[Pair], list[Drop]]:
        """The round's own answer pairs; every prompt without one is among the drops."""
        recipe = self.recipe.pairs
        consistency: list[Consistency] = []
        dropped: list[Drop] = []
        implicit = recipe.implicit
        if implicit is not None:
            scores, previous = self._told.implicit_scores(implicit)
            consistency = compare_rankings(self.responses, scores, previous, implicit)
            first, source = previous is None, "implicit"
        else:
            (scores, dropped), first = self.judged_scores(judgments), False
            source = "oracle" if self.recipe.judge.source == "oracle" else "self"
        gold = self._told.gold() if rule_of(recipe).needs == "gold" else {}
        revised = self._told.revised()
        margins = self._told.margins([*self._told.complete_answers, *gold.values(), *revised.revisions.values()])
        steps, questions = self._told.steps()
        known = Known(
            self._told.grades(),
            margins,
            gold,
            _sources(judgments),
            revised.preferences or self._preferences(),
            self._chances(),
            ranked=self.recipe.judge.source == "verifier_and_model",
            revised=revised,
            internal=self._told.internal(),
            steps=steps,
            questions=questions,
            feedback=self._told.feedback,
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
            return pairs, [*dropped, *drops, *revised.faults]
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
            return [external_pair(row, self._told.renderer) for row in fresh], {
                row.prompt.id: row.prompt for row in fresh
            }
        # Not what a gate rolled back: its pairs made a policy that nobody goes on from.
        lineage = self.cast.lineage(self.round.number)
        earlier = {number: self.round.artifacts.read(number, "pairs", Pair) for number in lineage}
        chosen = mix(
            [pair for pair in own if pair.kind == "answer"],
            earlier if recipe.earlier_share else {},
            [external_pair(row, self._told.renderer) for row in given_pairs],
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


def _sources(judgments: Sequence[Judgment]) -> dict[str, str]:
    """Where verifier and model share the judging: by response id, those that the verifier scored."""
    return {row.response_id: row.source for row in judgments if row.source == "verifier" and row.score is not None}
