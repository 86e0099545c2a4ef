"""Which picks are dropped again, each with its reason, in the order in which a reason is looked for:

identical text     chosen and rejected are the same
near tie           the scores differ by `pairs.min_gap` or less
too long           the chosen answer has more than `max_chosen_tokens`: dropped rather than replaced by the next
                   best, which would turn the filter into a hidden length preference
near duplicate     ROUGE-L F1 of the two texts above `max_similarity`
length skew        the longer is more than `max_length_ratio` times the shorter (an empty one counts as length 1)
low agreement      the judgments of either answer have a sample variance above `max_spread`; a single judgment has
                   none and passes, so ask for `min_judgments` of 2 or more with it
low margin         the reference gives the two summed log-probabilities less than `min_logprob_margin` nats apart
low judge margin   the judge's probability P that the chosen answer is better is so near 1/2 that |log P - log(1 - P)|
                   is below `min_judge_margin` (RLAIF's teacher, 2309.00267); a verifier's verdict has no such margin
verifier conflict  the verifier ranks the two the other way; what it leaves open is no conflict
readings disagree  with `internal_agreement`: the policy's implicit reward (implicit_reward.py, against the start
                   policy) does not rank chosen above rejected, an equal one included (see `disagree`)
class cap          see `class_caps`
"""

import math
from collections.abc import Hashable, Mapping, Sequence

from selfreward.pairing.candidates import Pick, Refusal, Situation
from selfreward.pairing.caps import over_class_cap
from selfreward.recipe import FiltersRecipe
from selfreward.records import Drop, Pair, pair_drop
from selfreward.tasks.similarity import rouge_l, words_of
from selfreward.tasks.verifiers.protocol import Grade


def refuse(
    pick: Pick, situation: Situation, logprobs: Mapping[str, float], chance: float | None = None
) -> Refusal | None:
    """Why this pick is dropped, or None. `chance`: the judge's P(chosen is better), None where no judge decided."""
    recipe, chosen, rejected = situation.recipe, pick.chosen, pick.rejected
    gap = chosen.score.value - rejected.score.value
    if chosen.response.text == rejected.response.text:
        return Refusal("identical text", "chosen and rejected")
    if gap <= recipe.min_gap:
        return Refusal("near tie", f"gap {gap:.4g}, more than {recipe.min_gap:g} needed")
    tokens = len(chosen.response.token_ids)
    if recipe.max_chosen_tokens is not None and tokens > recipe.max_chosen_tokens:
        return Refusal("too long", f"chosen has {tokens} tokens, at most {recipe.max_chosen_tokens} allowed")
    return _alike(pick, situation) or _doubtful(pick, recipe.filters, logprobs, chance)


def _alike(pick: Pick, situation: Situation) -> Refusal | None:
    """What the two texts say."""
    recipe = situation.recipe.filters
    if recipe.max_similarity is not None:
        similarity = rouge_l(words_of(pick.chosen.response.text), words_of(pick.rejected.response.text))
        if similarity > recipe.max_similarity:
            return Refusal("near duplicate", f"ROUGE-L {similarity:.3f}, at most {recipe.max_similarity:g} allowed")
    if recipe.max_length_ratio is not None:
        lengths = situation.length(pick.chosen), situation.length(pick.rejected)
        ratio = max(lengths) / max(1, min(lengths))
        if ratio > recipe.max_length_ratio:
            detail = f"chosen {lengths[0]}, rejected {lengths[1]} {situation.recipe.length}"
            return Refusal("length skew", f"{detail}, ratio at most {recipe.max_length_ratio:g} allowed")
    return None


def _doubtful(pick: Pick, recipe: FiltersRecipe, logprobs: Mapping[str, float], chance: float | None) -> Refusal | None:
    """What is known about how sure the preference is."""
    chosen, rejected = pick.chosen, pick.rejected
    if recipe.max_spread is not None:
        spread = max(side.score.spread or 0.0 for side in (chosen, rejected))
        if spread > recipe.max_spread:
            return Refusal("low agreement", f"variance {spread:.3g}, at most {recipe.max_spread:g} allowed")
    if recipe.min_logprob_margin is not None:
        margin = abs(logprobs[chosen.response.id] - logprobs[rejected.response.id])
        if margin < recipe.min_logprob_margin:
            return Refusal("low margin", f"{margin:.3g} nats, at least {recipe.min_logprob_margin:g} needed")
    if recipe.min_judge_margin is not None and chance is not None:
        margin = label_margin(chance)
        if margin < recipe.min_judge_margin:
            return Refusal("low judge margin", f"{margin:.3g} nats, at least {recipe.min_judge_margin:g} needed")
    if recipe.verifier_conflict and chosen.grade and rejected.grade and _conflict(chosen.grade, rejected.grade):
        return Refusal("verifier conflict", f"chosen {chosen.grade.quality:g}, rejected {rejected.grade.quality:g}")
    return None


def disagree(pick: Pick, internal: Mapping[str, float]) -> Refusal | None:
    """The agreement filter of SCIR (2502.08922): only what judge and implicit reward both prefer is trained on.

    The paper also trains the two readings towards each other; its penalty and weights were not seen (unverified) and
    are not here. Two readings of one model share its errors: agreement is no truth, and where implicit rewards are bad
    (docs/methods/cream.md) this drops what the judge got right. `internal` is by response id and empty where the policy
    is the start policy itself, as in round 1: then every implicit reward is 0, and nothing is dropped.
    """
    if not internal:
        return None
    sides = [internal.get(side.response.id) for side in (pick.chosen, pick.rejected)]
    if sides[0] is None or sides[1] is None:
        return Refusal("unreadable", "an answer without tokens has no implicit reward")
    if sides[0] <= sides[1]:
        return Refusal("readings disagree", f"implicit reward {sides[0]:.3f} of chosen, {sides[1]:.3f} of rejected")
    return None


def label_margin(chance: float) -> float:
    """Nats between the two labels of which one has this probability."""
    return math.inf if chance in (0.0, 1.0) else abs(math.log(chance) - math.log1p(-chance))


def _conflict(chosen: Grade, rejected: Grade) -> bool:
    return chosen.correct is not None and rejected.correct is not None and chosen.quality < rejected.quality


def class_caps(
    pairs: Sequence[Pair], grades: Mapping[str, Grade], recipe: FiltersRecipe, seed: int
) -> tuple[list[Pair], list[Drop]]:
    """At most `max_class_share` of the pairs kept have a chosen answer of one class; the widest gaps stay.

    A class is the chosen score rounded to a whole number, or the chosen final answer: without the cap a judge whose
    favourite answer is always "yes" teaches yes. At least one pair of a class may stay.
    """
    if recipe.max_class_share is None:
        return list(pairs), []

    def class_of(pair: Pair) -> Hashable:
        if recipe.class_of == "score":
            return round(pair.chosen_score)
        return grades[pair.chosen_id].answer if pair.chosen_id in grades else ""

    stopped = over_class_cap(pairs, [class_of(pair) for pair in pairs], recipe.max_class_share, len(pairs), seed)
    drops = [
        pair_drop("answer", pair.prompt_id, "class cap", f"class {class_of(pair)}", pair.id)
        for pair in pairs
        if pair.id in stopped
    ]
    return [pair for pair in pairs if pair.id not in stopped], drops
