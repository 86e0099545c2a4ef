"""What the canary looks at: a round's own answers, judgments and pairs, and the truth that stands beside them.

The truth is the first of these that is there: the verifier (`measure.verifier`), answers that people have scored
(`measure.anchors`, without the locked ones), the held-out judge (`measure.held_out`). Verifier and held-out judge speak
about the answers and pairs of the round itself. The anchors are other answers: there the pairs are those that the
recipe's rule makes of them, without filters, by the start policy's judge as it is measured (`measure.judge_samples`).
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from selfreward.errors import RecipeError
from selfreward.judging.judge import Judging
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.pointwise import shuffle_within_prompts
from selfreward.judging.scoring.score import Score
from selfreward.measuring.canary.verdict import CanaryEvidence, Fought
from selfreward.measuring.judge_truth import Rated
from selfreward.measuring.metrics.duels import flip_share
from selfreward.measuring.pools import about, apart, pool_judging
from selfreward.measuring.stats.clustered import NOTHING, Estimate
from selfreward.pairing.answers import answer_pairs, rule_of
from selfreward.pairing.pair import Preferences
from selfreward.recipe import FiltersRecipe, HeldOutRecipe, PairsRecipe, PolicyGradient, Recipe, held_out_judge
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import (
    Comparison,
    Drop,
    Judgment,
    Labelled,
    Pair,
    Prompt,
    Response,
    Rows,
    by_id,
    distinct,
    seed_for,
)
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, JUDGMENTS, MODEL_JUDGMENTS, held_out_artifact, part_of


class RoundAnswers(NamedTuple):
    """What a round has before it trains."""

    prompts: Rows[Prompt]
    responses: Rows[Response]
    judgments: Rows[Judgment]
    pairs: Sequence[Pair]
    drops: Sequence[Drop]


class _Beside(NamedTuple):
    """A truth: its name, what each answer deserves by id, and the scores, answers and pairs that it is about."""

    name: str
    truths: Mapping[str, float]
    scores: Mapping[str, Score]
    answers: Sequence[Response]
    pairs: Sequence[Pair]


def canary_evidence(round: Round, rows: RoundAnswers) -> CanaryEvidence:
    """Everything that the rule reads; only a held-out judge, and anchors that nobody judged yet, are asked for it."""
    asked = [row for row in rows.judgments if row.source != "verifier"]
    replies: Sequence[Judgment | Comparison] = asked
    flips: Estimate = NOTHING
    if round.recipe.judge.comparing is not None:
        whole = MODEL_JUDGMENTS if round.recipe.judge.verifier_first else JUDGMENTS
        comparisons = round.artifacts.read(round.number, part_of(whole, COMPARISONS), Comparison)
        flips, replies = flip_share(comparisons)[0], comparisons
    beside, missing = _beside(round, rows)
    prompt_of = {row.id: row.prompt_id for row in beside.answers} if beside else {}
    known = [row for row in distinct(beside.answers) if row.id in beside.truths] if beside else []
    read = [row.score for row in asked if row.score is not None]
    return CanaryEvidence(
        truth=beside.name if beside else "",
        pairs=[_fought(pair, beside.truths, prompt_of) for pair in beside.pairs] if beside else [],
        prompts=len(set(prompt_of.values())),
        verdicts=len(replies),
        readable=sum(row.unreadable is None for row in replies),
        answers=len(rows.responses),
        truncated=sum(row.finish_reason == "length" for row in rows.responses),
        rated=[_rated(row, beside) for row in known] if beside else [],
        scores=len(read),
        ends=sum(score in (LOWEST, HIGHEST) for score in read),
        flips=flips,
        missing=missing,
        reasons=[f"{reason} {count}" for reason, count in Counter(drop.reason for drop in rows.drops).most_common(3)],
    )


def check_canary(recipe: Recipe) -> None:
    """Raise RecipeError where no judge makes the pairs, so that there is nothing to hold against a truth."""
    source = recipe.judge.source
    if not recipe.judge.asks_model:
        raise RecipeError(f"the canary asks the recipe's judge, but judge.source={source} asks no model; remove it")
    if isinstance(recipe.train, PolicyGradient):
        raise RecipeError(f"the canary is about pairs, and train.method={recipe.train.method} makes none; remove it")
    needs = rule_of(recipe.pairs).needs
    if needs != "scores" or recipe.pairs.implicit is not None:
        score = "pairs.score=implicit_reward" if needs == "scores" else f"pairs.rule={recipe.pairs.rule}"
        raise RecipeError(f"the canary asks whether the judge's pairs are right, but {score} needs no judge; remove it")
    if recipe.gates.canary == "require" and not truths_of(recipe):
        raise RecipeError(
            "gates.canary=require stops every run here: nothing stands beside the judge; set measure.verifier, "
            "measure.anchors or measure.held_out, or gates.canary=off"
        )


def truths_of(recipe: Recipe) -> list[str]:
    """The keys of the recipe that put a truth beside its judge."""
    measure = recipe.measure
    there = {"verifier": measure.verifier != "none", "anchors": measure.anchors, "held_out": measure.held_out}
    return [f"measure.{name}" for name, value in there.items() if value]


def _fought(pair: Pair, truths: Mapping[str, float], prompt_of: Mapping[str, str]) -> Fought:
    chosen, rejected = truths.get(pair.chosen_id), truths.get(pair.rejected_id)
    undecided = chosen is None or rejected is None or chosen == rejected
    return Fought(prompt_of[pair.chosen_id], None if undecided else float((chosen or 0.0) > (rejected or 0.0)))


def _rated(row: Response, beside: _Beside) -> Rated:
    score = beside.scores.get(row.id)
    return Rated(row.prompt_id, score.value if score else None, beside.truths[row.id], len(row.text))


def _beside(round: Round, rows: RoundAnswers) -> tuple[_Beside | None, str]:
    """The truth, or why there is none."""
    measure = round.recipe.measure
    own = by_id(rows.responses)
    made = [
        pair
        for pair in rows.pairs
        if pair.kind == "answer" and pair.chosen_id in own and pair.rejected_id in own and pair.source != "verifier"
    ]
    scores = Preferences(round, rows.prompts, rows.responses).judged_scores(rows.judgments)[0]
    if round.verifier is not None and round.recipe.judge.source == "model":
        prompts = by_id(rows.prompts)
        checked = {row.id: round.verifier.check(prompts[row.prompt_id], row.text) for row in rows.responses}
        truths = {name: truth.quality for name, truth in checked.items() if not truth.open}
        if truths:
            return _Beside(f"the verifier ({measure.verifier})", truths, scores, rows.responses, made), ""
    if measure.anchors:
        return _anchored(round, measure.anchors), ""
    if measure.held_out is not None:
        truths = _held_out(round, measure.held_out, rows)
        return _Beside(f"the held-out judge ({measure.held_out.model})", truths, scores, rows.responses, made), ""
    return None, "measure.verifier decides nothing here, and measure.anchors and measure.held_out are null"


def _held_out(round: Round, held_out: HeldOutRecipe, rows: RoundAnswers) -> dict[str, float]:
    recipe = held_out_judge(round.recipe, held_out)
    judging = Judging(recipe, round.cast, round.complete, round.number, round.number)
    inputs = {"responses": rows.responses.digest}
    told = judging.judge(by_id(rows.prompts), distinct(rows.responses), inputs, held_out_artifact("canary"))
    return {name: score.value for name, score in score_answers(told, recipe)[0].items()}


def _anchored(round: Round, path: str) -> _Beside:
    recipe = round.recipe
    frozen = apart(round.source.frozen())[0]
    judging = pool_judging(recipe)
    scores = score_answers(_frozen_judgments(round, frozen), judging)[0]
    answers = [row.response for row in frozen]
    seed = seed_for(recipe.seed, "canary")
    if recipe.judge.control == "shuffled":
        scores = shuffle_within_prompts(scores, answers, seed)
    prompts = list({row.prompt.id: row.prompt for row in frozen}.values())
    pairs = answer_pairs(prompts, answers, scores, _unfiltered(recipe), seed=seed, source="self")[0]
    return _Beside(f"the anchors file ({path})", {row.id: row.label for row in frozen}, scores, answers, pairs)


def _frozen_judgments(round: Round, frozen: Sequence[Labelled]) -> list[Judgment]:
    """Those of the start policy's judge, which a run has sealed before its first round."""
    if round.artifacts.seal(0, "frozen_judgments") is not None:
        return about(frozen, round.artifacts.read(0, "frozen_judgments", Judgment))
    judging = Judging(pool_judging(round.recipe), round.cast, round.complete, round.number, round.number)
    asked = {row.prompt.id: row.prompt for row in frozen}
    return judging.judge(asked, [row.response for row in frozen], {}, "canary_anchors")


def _unfiltered(recipe: Recipe) -> PairsRecipe:
    return dataclasses.replace(recipe.pairs, filters=FiltersRecipe())
