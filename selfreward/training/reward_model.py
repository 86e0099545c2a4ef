"""The run's own judge is trained: answers of the round's policy are labelled, and a reward model learns from that.

    reward_prompts     prompts of their own; a share of them, drawn by lot, is held out
    reward_responses   the policy's answers
    reward_judgments   what the labelling judge says of them, with `..._comparisons` where it compares
    reward_pairs       every two distinct answers of a prompt and P(first is better), `source` train or held out
    reward_model       the model
    reward_scores      its own judgments of the answers that it was not trained on

P is the soft label of both orders where the labelling judge compares (scoring/soft_labels.py). Where it scores, it is
the share of its readings of the two that put the first one higher, ties half: 0, 1/2 or 1 with one reading each. Two
answers between which it sees no difference at all are left out there. Which of the two stands first is a lot, so that a
label says nothing by its place.

Done in round 0, before anything is judged, and with `refresh: every` after each round's training.
"""

import builtins
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from selfreward.engines.chat import load_renderer
from selfreward.engines.checkpoints import chat_digest
from selfreward.judging.by_verifier import ask_oracle
from selfreward.judging.judge import Judging
from selfreward.judging.readable import require_readable
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.recipe import REWARD_MODEL, JudgeRecipe, RewardModelRecipe, ScalarReading, as_dict
from selfreward.records import Comparison, Judgment, Pair, Prompt, Response, Rows, by_id, distinct, seed_for, stable_id
from selfreward.roles import generator
from selfreward.roles.player import Policy
from selfreward.roles.respond import answering
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, part_of
from selfreward.store.given import given
from selfreward.training.jobs import Job, launcher, of_processes

VERSION = 1
TRAIN, HELD_OUT = "train", "held out"
JUDGMENTS = "reward_judgments"
AS_JUDGE = JudgeRecipe(model=REWARD_MODEL, reading=ScalarReading())


@dataclass(frozen=True)
class Taught:
    """Of the answers that the reward model was not trained on: pairs with their labels, answers, its own judgments."""

    prompts: Sequence[Prompt] = ()
    responses: Sequence[Response] = ()
    pairs: Sequence[Pair] = ()
    scores: Sequence[Judgment] = field(default_factory=lambda: Rows([]))


def teach(round: Round) -> Taught:
    """The reward model of the round's policy, where the recipe asks for one now; it is known to the cast afterwards."""
    recipe = round.recipe.reward_model
    if recipe is None or (round.number and recipe.refresh == "first"):
        return Taught()
    number = round.number
    drawn = round.source.preferences(number, recipe.prompts)
    prompts = round.complete(given(number, "reward_prompts", Prompt, drawn, {"prompts": recipe.prompts}))
    player = round.cast.player(round.cast.policies[number])
    asked = answering(player, prompts, round.recipe.generate, round=number, artifact="reward_responses")
    responses = round.complete(asked)
    labels, digest = _labels(round, recipe.labels, prompts, distinct(responses), responses.digest)
    made = _pairs(round, recipe, player.policy, prompts, responses, labels)
    settings = {"labels": digest, "held_out": recipe.held_out, "flip": recipe.flip, "max_length": recipe.max_length}
    pairs = round.complete(given(number, "reward_pairs", Pair, made, settings))
    _train(round, recipe, player.policy, pairs)
    apart = [pair for pair in pairs if pair.source == HELD_OUT]
    shown = {name for pair in apart for name in (pair.chosen_id, pair.rejected_id)}
    answers = [response for response in responses if response.id in shown]
    judging = Judging(AS_JUDGE, round.cast, round.complete, number, number + 1)
    scores = judging.judge(by_id(prompts), answers, {"pairs": pairs.digest}, "reward_scores")
    return Taught(prompts, answers, Rows(apart, f"{pairs.digest} held out"), scores)


def _labels(
    round: Round, labels: JudgeRecipe, prompts: Rows[Prompt], answers: Sequence[Response], answered: str
) -> tuple[dict[tuple[str, str], float], str]:
    """P(first is better) by (first id, second id), and the digest of the rows that say so."""
    number, inputs = round.number, {"prompts": prompts.digest, "responses": answered}
    if labels.source == "oracle" and round.verifier is not None:
        work = ask_oracle(round.verifier, by_id(prompts), answers, made_from=inputs, round=number, artifact=JUDGMENTS)
        rows = round.complete(work)
        return score_labels(rows), rows.digest
    judging = Judging(labels, round.cast, round.complete, number, number + 1)
    rows = judging.judge(by_id(prompts), answers, inputs, JUDGMENTS)
    require_readable(rows, round.recipe.gates.min_readable, number)
    if labels.comparing is None:
        return score_labels(rows), rows.digest
    comparisons = round.artifacts.read(number, part_of(JUDGMENTS, COMPARISONS), Comparison)
    return soft_labels(comparisons, labels.comparing.clamp), rows.digest


def score_labels(judgments: Sequence[Judgment]) -> dict[tuple[str, str], float]:
    """From readings of each answer; equal scores are half a win, and nothing but equal ones no label."""
    readings: defaultdict[str, dict[str, list[float]]] = defaultdict(dict)
    for row in judgments:
        if row.score is not None:
            readings[row.prompt_id].setdefault(row.response_id, []).append(row.score)
    found: dict[tuple[str, str], float] = {}
    for answers in readings.values():
        for one, other in combinations(sorted(answers), 2):
            met = [(mine, its) for mine in answers[one] for its in answers[other]]
            if any(mine != its for mine, its in met):
                wins = sum((mine > its) + 0.5 * (mine == its) for mine, its in met)
                found[one, other], found[other, one] = wins / len(met), 1 - wins / len(met)
    return found


def _pairs(
    round: Round,
    recipe: RewardModelRecipe,
    policy: Policy,
    prompts: Rows[Prompt],
    responses: Sequence[Response],
    labels: Mapping[tuple[str, str], float],
) -> list[Pair]:
    """Every labelled pair of answers that fits, in tokens as the reward model will read them."""
    seed = seed_for(round.recipe.seed, "reward pairs", round.number)
    names = sorted(prompt.id for prompt in prompts)
    apart = set(random.Random(seed).sample(names, max(1, builtins.round(recipe.held_out * len(names)))))
    renderer = load_renderer(policy.directory, round.recipe.model, round.cast.day)
    asked = [generator.ask(round.recipe.generate.template, prompt) for prompt in prompts]
    questions = dict(zip((prompt.id for prompt in prompts), renderer.prompt_token_ids(asked), strict=True))
    answers = {one.id: (one.prompt_id, renderer.reply_token_ids(one.text)) for one in responses}
    found = []
    for (first, second), label in sorted(labels.items()):
        lot = random.Random(seed_for(seed, *sorted((first, second))))
        of, mine = answers[first]
        its = answers[second][1]
        # Both ways round are in `labels`: one of them is drawn, and some are turned.
        drawn, longer = (first < second) == (lot.random() < 0.5), max(len(mine), len(its))
        if not drawn or len(questions[of]) + longer > recipe.max_length:
            continue
        found.append(
            Pair(
                id=stable_id("reward pair", round.number, first, second),
                kind="answer",
                prompt_id=of,
                chosen_id=first,
                rejected_id=second,
                prompt_token_ids=questions[of],
                chosen_token_ids=mine,
                rejected_token_ids=its,
                chosen_score=label,
                rejected_score=1.0 - label,
                source=HELD_OUT if of in apart else TRAIN,
                label=1.0 - label if lot.random() < recipe.flip else label,
            )
        )
    return found


def _train(round: Round, recipe: RewardModelRecipe, start: Policy, pairs: Rows[Pair]) -> None:
    number, run = round.number, round.recipe
    left_out = ["labels", "refresh", "prompts", "flip"]
    # Where its weight is 0 nothing depends on it: a run that was begun before there was one goes on.
    left_out += [] if recipe.confidence else ["confidence", "confidence_ramp"]
    left_out += [] if recipe.lora else ["lora"]
    kept = {name: value for name, value in as_dict(recipe).items() if name not in left_out}
    settings: dict[str, Any] = of_processes(run) | kept

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        round.allowance.require(f"round {number}, training the reward model")
        round.cast.rest()
        with round.stage(f"round {number}: train the reward model", None, 0, REWARD_MODEL) as stage:
            told = {"seed": seed_for(run.seed, REWARD_MODEL, number), "threads": run.engine.threads}
            learned = [pair for pair in pairs if pair.source == TRAIN]
            job = Job("preferences", start.directory, learned, told)
            report = launcher(run)(run, job, out=out, scratch=scratch, progress=stage.reach)
        return {"digest": report.digest, "steps": report.steps, "pairs": report.pairs, "metrics": report.metrics}

    facts = {
        "version": VERSION,
        "round": number,
        "pairs": pairs.digest,
        "reward_model": settings,
        **round.cast.player(start).determines(),
    }
    directory = round.artifacts.complete_directory(number, REWARD_MODEL, facts, build)
    seal = round.artifacts.seal(number, REWARD_MODEL)
    round.clock.done(number, REWARD_MODEL, seal.seconds if seal else 0.0)
    digest = str(seal.facts["digest"]) if seal else ""
    round.cast.reward_models[number] = Policy(number, digest, directory, chat_digest(directory, round.cast.day))
