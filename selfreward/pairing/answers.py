"""Answer pairs: every prompt ends as exactly one Pair or as exactly one Drop that says why.

The filters, in the order in which they can end a prompt:

    no response      nothing was sampled
    identical text   fewer than two different texts
    truncated        fewer than two different complete texts; a truncated answer is neither chosen nor rejected
    unreadable       fewer than two complete answers have a readable judgment
    too few scored   fewer than two have `min_judgments` readable ones
    tie              the rule sees no better and worse one
    near tie         the scores differ by `min_gap` or less
    too long         the chosen answer has more than `max_chosen_tokens`: dropped rather than replaced by the next
                     best, which would turn the filter into a hidden length preference

The tokens of the question are not known here; the stage that computes the reference adds them.

`flip` is the control of label noise: that share of the pairs changes sides, by a lot per pair id, so that the pairs
flipped at 15 % are among those flipped at 30 %.
"""

import dataclasses
import difflib
import importlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from selfreward.config import PairsRecipe
from selfreward.errors import RecipeError
from selfreward.pairing import PAIR_RULES
from selfreward.pairing.candidates import Candidate, Score, pair_drop
from selfreward.records import Drop, Pair, Prompt, Response, seed_for, stable_id

Rule = Callable[[Sequence[Candidate], int], tuple[Candidate, Candidate] | None]


def load_rule(name: str) -> Rule:
    """The pair rule of this name. Raises RecipeError that names the nearest known one."""
    if name not in PAIR_RULES:
        nearest = difflib.get_close_matches(name, PAIR_RULES, n=1, cutoff=0)
        raise RecipeError(
            f"key 'pairs.rule' is {name!r}; expected one of {', '.join(sorted(PAIR_RULES))} (nearest: {nearest[0]!r})"
        )
    module, attribute = PAIR_RULES[name].split(":")
    rule: Rule = getattr(importlib.import_module(module), attribute)
    return rule


def answer_pairs(
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    scores: Mapping[str, Score],
    recipe: PairsRecipe,
    *,
    seed: int,
    source: str,
) -> tuple[list[Pair], list[Drop]]:
    """Pairs and drops in the order of `prompts`; `scores` is by response id."""
    rule = load_rule(recipe.rule)
    answers: defaultdict[str, list[Response]] = defaultdict(list)
    for response in responses:
        answers[response.prompt_id].append(response)
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for prompt in prompts:
        picked = _pick(prompt.id, answers[prompt.id], scores, recipe, rule, seed)
        if isinstance(picked, Drop):
            drops.append(picked)
        else:
            pair = _pair(prompt.id, *picked, source)
            pairs.append(_flipped(pair, recipe.flip, seed))
    return pairs, drops


def _pick(
    prompt_id: str,
    answers: Sequence[Response],
    scores: Mapping[str, Score],
    recipe: PairsRecipe,
    rule: Rule,
    seed: int,
) -> tuple[Candidate, Candidate] | Drop:
    """(chosen, rejected) of one prompt, or the drop that ends it."""

    def drop(reason: str, detail: str = "") -> Drop:
        return pair_drop("answer", prompt_id, reason, detail)

    if not answers:
        return drop("no response")
    complete = [answer for answer in answers if answer.finish_reason == "stop"]
    readable = [Candidate(answer, scores[answer.id]) for answer in complete if answer.id in scores]
    scored = [candidate for candidate in readable if candidate.score.readable >= recipe.min_judgments]
    texts = (
        ("identical text", {answer.text for answer in answers}),
        ("truncated", {answer.text for answer in complete}),
        ("unreadable", {candidate.response.text for candidate in readable}),
        ("too few scored", {candidate.response.text for candidate in scored}),
    )
    for reason, left in texts:
        if len(left) < 2:
            return drop(reason, f"{len(left)} of {len(answers)} answers left, 2 needed")
    picked = rule(scored, seed)
    if picked is None:
        return drop("tie", f"{len(scored)} answers score alike")
    chosen, rejected = picked
    gap = chosen.score.value - rejected.score.value
    if chosen.response.text == rejected.response.text:
        return drop("identical text", "chosen and rejected")
    if gap <= recipe.min_gap:
        return drop("near tie", f"gap {gap:.4g}, more than {recipe.min_gap:g} needed")
    tokens = len(chosen.response.token_ids)
    if recipe.max_chosen_tokens is not None and tokens > recipe.max_chosen_tokens:
        return drop("too long", f"chosen has {tokens} tokens, at most {recipe.max_chosen_tokens} allowed")
    return picked


def _pair(prompt_id: str, chosen: Candidate, rejected: Candidate, source: str) -> Pair:
    return Pair(
        id=stable_id("pair", "answer", prompt_id, *sorted((chosen.response.id, rejected.response.id))),
        kind="answer",
        prompt_id=prompt_id,
        chosen_id=chosen.response.id,
        rejected_id=rejected.response.id,
        prompt_token_ids=(),
        chosen_token_ids=chosen.response.token_ids,
        rejected_token_ids=rejected.response.token_ids,
        chosen_score=chosen.score.value,
        rejected_score=rejected.score.value,
        source=source,
    )


def _flipped(pair: Pair, share: float, seed: int) -> Pair:
    """The pair, or with probability `share` the pair with its sides exchanged and still claimed as right."""
    if seed_for(seed, "flip", pair.id) / 2**31 >= share:
        return pair
    return dataclasses.replace(pair.swap(), label=pair.label, source=f"{pair.source}+flip")
