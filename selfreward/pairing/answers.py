"""Answer pairs: every prompt ends as at least one Pair, or as at least one Drop that says why.

What can end a prompt before its rule is asked, in this order (rules that need no score skip those about judgments):

    no response      nothing was sampled
    identical text   fewer than two different texts
    truncated        fewer than two different complete texts; a truncated answer is neither chosen nor rejected
    unreadable       fewer than two complete answers have a readable judgment
    too few scored   fewer than two have `min_judgments` readable ones

The rule then makes picks or refuses (tie, all wrong, ...), and each pick must pass `filters.py`. A rule that makes one
pick of a prompt, as most do, thus leaves exactly one Pair or one Drop. The tokens of the question are not known here;
the stage that computes the reference adds them.

`flip` is the control of label noise: that share of the pairs changes sides, by a lot per pair id, so that the pairs
flipped at 15 % are among those flipped at 30 %.
"""

import dataclasses
import difflib
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from selfreward.errors import RecipeError
from selfreward.judging.revising.rows import Revised
from selfreward.judging.scoring.score import Score, counted
from selfreward.pairing import PAIR_RULES
from selfreward.pairing.candidates import Candidate, Choose, Needs, Pick, Refusal, Situation
from selfreward.pairing.filters import class_caps, disagree, refuse
from selfreward.pairing.judged_steps import JudgedStep
from selfreward.pairing.uncertainty import Feedback
from selfreward.recipe import OwnRule, PairsRecipe
from selfreward.recipe.doors import load
from selfreward.records import Drop, Pair, PairKind, Prompt, Response, distinct, pair_drop, seed_for, stable_id
from selfreward.tasks.verifiers.protocol import Grade


@dataclass(frozen=True, slots=True)
class Rule:
    """A pair rule and what it decides by."""

    choose: Choose
    needs: Needs


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the scores: grades and log-probabilities by response id, gold answers by prompt id.

    `sources` names who scored a response where it was not the one whom `answer_pairs` is told. `preferences` is
    P(first is better) by (first id, second id); with it every pair of which the judge decides has a soft label.
    `chances` is the same as the judge said it, for the filter. `ranked`: the scores rank what the verifier accepts.
    `revised` are the answers' revisions, where the rule pairs these; `internal` implicit rewards, where a filter reads.
    `steps` are the answers' judged steps, `questions` the tokens of each prompt, where the rule pairs steps; `feedback`
    the kind of feedback that each prompt gets, where the rule divides them.
    """

    grades: Mapping[str, Grade] = field(default_factory=dict)
    logprobs: Mapping[str, float] = field(default_factory=dict)
    gold: Mapping[str, Response] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    preferences: Mapping[tuple[str, str], float] | None = None
    chances: Mapping[tuple[str, str], float] = field(default_factory=dict)
    ranked: bool = False
    revised: Revised = field(default_factory=Revised)
    internal: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[str, Sequence[JudgedStep]] = field(default_factory=dict)
    questions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    feedback: Mapping[str, Feedback] = field(default_factory=dict)

    def source(self, pick: Pick, judge: str) -> str:
        """Who decided between the two: the verifier where it scored either of them."""
        sides = pick.chosen.response.id, pick.rejected.response.id
        return next((self.sources[side] for side in sides if side in self.sources), judge)


def load_rule(name: str) -> Rule:
    """The pair rule of this name. Raises RecipeError that names the nearest known one."""
    if name not in PAIR_RULES:
        nearest = difflib.get_close_matches(name, PAIR_RULES, n=1, cutoff=0)
        raise RecipeError(
            f"key 'pairs.rule' is {name!r}; expected one of {', '.join(sorted(PAIR_RULES))} (nearest: {nearest[0]!r})"
        )
    return _rule(PAIR_RULES[name])


def rule_of(recipe: PairsRecipe) -> Rule:
    """The recipe's pair rule: one that ships, or somebody's own."""
    return _rule(recipe.choose) if isinstance(recipe, OwnRule) else load_rule(recipe.rule)


def _rule(address: str) -> Rule:
    choose = load("pair_rules", address, {})
    needs: Any = getattr(sys.modules[choose.__module__], "NEEDS", None)
    if needs not in get_args(Needs):
        raise RecipeError(
            f"pair rule {address!r}: its module says NEEDS = {needs!r}; expected one of {', '.join(get_args(Needs))}"
        )
    return Rule(choose, needs)


def answer_pairs(
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    scores: Mapping[str, Score],
    recipe: PairsRecipe,
    *,
    seed: int,
    source: str,
    round: int = 1,
    known: Known | None = None,
) -> tuple[list[Pair], list[Drop]]:
    """Pairs and drops in the order of `prompts`; `scores` is by response id, `source` says who gave them."""
    rule, known = rule_of(recipe), known or Known()
    answers: defaultdict[str, list[Response]] = defaultdict(list)
    for response in responses:
        answers[response.prompt_id].append(response)
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for prompt in prompts:
        mine = answers[prompt.id]
        told = known.gold.get(prompt.id), known.ranked, known.revised, known.steps, known.feedback
        situation = Situation(recipe, round, seed, len(mine), *told)
        candidates = _candidates(mine, scores, known, recipe, rule)
        picks = rule.choose(candidates, situation) if not isinstance(candidates, Refusal) else candidates
        if isinstance(picks, Refusal):
            drops.append(pair_drop("answer", prompt.id, picks.reason, picks.detail))
            continue
        for pick in picks:
            chance = known.chances.get((pick.chosen.response.id, pick.rejected.response.id))
            refused = refuse(pick, situation, known.logprobs, chance) or _unread(pick, recipe, known)
            refused = refused or (None if known.source(pick, "") else disagree(pick, known.internal))
            label = refused or _label(pick, known)
            if isinstance(label, Refusal):
                which = (pick.chosen.response.id, pick.rejected.response.id) if len(picks) > 1 else ()
                drops.append(pair_drop("answer", prompt.id, label.reason, label.detail, *which))
            else:
                pairs.append(_pair(prompt.id, pick, known, source, label))
    pairs, capped = class_caps(pairs, known.grades, recipe.filters, seed)
    return [_flipped(pair, recipe.flip, seed) for pair in pairs], [*drops, *capped]


def _candidates(
    answers: Sequence[Response],
    scores: Mapping[str, Score],
    known: Known,
    recipe: PairsRecipe,
    rule: Rule,
) -> list[Candidate] | Refusal:
    """The answers of one prompt that the rule may pair, or why there are too few."""
    if not answers:
        return Refusal("no response")
    complete = [answer for answer in answers if answer.finish_reason == "stop"]
    if rule.needs != "scores":
        if not complete:
            return Refusal("truncated", f"0 of {len(answers)} answers left, 1 needed")
        scored = [(answer, scores.get(answer.id, counted(0.0))) for answer in distinct(complete)]
    else:
        readable = [(answer, scores[answer.id]) for answer in complete if answer.id in scores]
        enough = recipe.min_judgments
        scored = [
            (answer, score) for answer, score in readable if score.readable >= enough or answer.id in known.sources
        ]
        texts = (
            ("identical text", {answer.text for answer in answers}),
            ("truncated", {answer.text for answer in complete}),
            ("unreadable", {answer.text for answer, _ in readable}),
            ("too few scored", {answer.text for answer, _ in scored}),
        )
        for reason, left in texts:
            if len(left) < 2:
                return Refusal(reason, f"{len(left)} of {len(answers)} answers left, 2 needed")
    sampled, kept = Counter(answer.text for answer in complete), Counter(answer.text for answer, _ in scored)
    return [
        Candidate(answer, score, sampled[answer.text] / kept[answer.text], known.grades.get(answer.id))
        for answer, score in scored
    ]


def _label(pick: Pick, known: Known) -> float | Refusal:
    """P(chosen is better); what a verifier decided is certain, as every label is where none are soft."""
    chosen, rejected = pick.chosen.response.id, pick.rejected.response.id
    if known.preferences is None or chosen in known.sources or rejected in known.sources:
        return 1.0
    unread = Refusal("unreadable", f"{_NOT_BOTH}, so there is no soft label")
    return known.preferences.get((chosen, rejected), unread)


_NOT_BOTH = "chosen and rejected were not compared in both orders"


def _unread(pick: Pick, recipe: PairsRecipe, known: Known) -> Refusal | None:
    """Why a pair that the judge decides has no margin, where one is asked for."""
    chosen, rejected = pick.chosen.response.id, pick.rejected.response.id
    if recipe.filters.min_judge_margin is None or known.source(pick, "") or (chosen, rejected) in known.chances:
        return None
    return Refusal("unreadable", f"{_NOT_BOTH}, so the judge has no margin")


def _pair(prompt_id: str, pick: Pick, known: Known, source: str, label: float) -> Pair:
    chosen, rejected = pick.chosen, pick.rejected
    kind: PairKind = "answer" if pick.prefix is None else "step"
    return Pair(
        id=stable_id("pair", kind, prompt_id, *sorted((chosen.response.id, rejected.response.id))),
        kind=kind,
        prompt_id=prompt_id,
        chosen_id=chosen.response.id,
        rejected_id=rejected.response.id,
        prompt_token_ids=() if pick.prefix is None else (*known.questions[prompt_id], *pick.prefix),
        chosen_token_ids=chosen.response.token_ids,
        rejected_token_ids=rejected.response.token_ids,
        chosen_score=chosen.score.value,
        rejected_score=rejected.score.value,
        source=pick.source or known.source(pick, source),
        label=label,
        weight=pick.weight,
        chosen_win_rate=pick.win_rates[0] if pick.win_rates else None,
        rejected_win_rate=pick.win_rates[1] if pick.win_rates else None,
    )


def _flipped(pair: Pair, share: float, seed: int) -> Pair:
    """The pair, or with probability `share` the pair with its sides exchanged and still claimed as right."""
    if seed_for(seed, "flip", pair.id) / 2**31 >= share:
        return pair
    return dataclasses.replace(pair.swap(), label=pair.label, source=f"{pair.source}+flip")
