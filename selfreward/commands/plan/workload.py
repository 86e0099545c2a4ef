"""What a recipe asks of its model in one round, in questions and tokens: an upper bound, every reply at its limit."""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass

from selfreward.recipe import (
    REWARD_MODEL,
    SERVED,
    PolicyGradient,
    Recipe,
    asked_per_round,
    held_out_judge,
    held_out_pools,
    measured_rounds,
)
from selfreward.recipe.check_judge import judges
from selfreward.store.artifacts import COMPARISONS, held_out_artifact, part_of
from selfreward.store.run_clock import RunClock
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.responses_file import read_responses


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of what is asked and answered. A judge's question is rubric, prompt and answer."""

    prompt: float = 150
    rubric: float = 400
    response: float = 400
    judgment: float = 200
    meta_judgment: float = 200


def recipe_lengths(recipe: Recipe, prompt: float = 150, rubric: float = 400) -> Lengths:
    """Replies at the recipe's limits; prompts and rubric as given, for they are not in the recipe."""
    response = recipe.generate.sampling.max_tokens
    return Lengths(prompt, rubric, response, recipe.judge.sampling.max_tokens, recipe.meta.sampling.max_tokens)


@dataclass(frozen=True, slots=True)
class Asking:
    """Questions of one kind. `unique`: prompt tokens if equal beginnings are computed once; `share`: replies to one
    prompt; `artifact`: what the rows are called on disk; `server`: who answers, where it is not this device.
    """

    stage: str
    artifact: str
    questions: float
    prompt: float
    reply: float
    unique: float
    share: float = 1.0
    server: str = ""

    @property
    def prefill(self) -> float:
        return self.questions * self.prompt

    @property
    def decoded(self) -> float:
        return self.questions * self.reply


@dataclass(frozen=True, slots=True)
class Training:
    """Tokens of one epoch, optimizer steps of all, and the tokens of the longest row."""

    tokens: float
    steps: float
    epochs: float
    row: float
    reference: float


def generating(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The self-written prompts and the answers."""
    if recipe.generate.source is not None:
        return []  # they are there
    prompts, samples, writer = asked_per_round(recipe), recipe.generate.samples, recipe.prompts.writer
    wanted = prompts * writer.share * writer.oversample
    shown = lengths.rubric + lengths.prompt * (writer.seed_examples + writer.written_examples)
    limit = writer.sampling.max_tokens
    server = _server(writer.model)
    found = [Asking("write prompts", "written", wanted, shown, limit, wanted * shown, server=server)] if wanted else []
    if not prompts:
        return []
    unique = prompts * lengths.prompt
    own = Asking("answer", "responses", prompts * samples, lengths.prompt, lengths.response, unique, samples)
    # Each generator reads the prompts anew.
    others = [
        Asking(
            "answer",
            part_of("responses", place),
            prompts * one.samples,
            lengths.prompt,
            lengths.response,
            unique,
            one.samples,
        )
        for place, one in enumerate(recipe.generate.mix, 1)
    ]
    return [*found, own, *others]


def judging(recipe: Recipe, lengths: Lengths, adaptive_share: float) -> list[Asking]:
    """The judgments of a round; none where a verifier or nobody judges."""
    if not recipe.judge.asks_model:
        return []
    adaptive = recipe.judge.adaptive
    draws = adaptive.cap * adaptive_share if adaptive else recipe.judge.samples
    answers = recipe.prompts.per_round, _answers_each(recipe)
    return _judge(recipe, lengths, "judge", "judgments", answers, draws)


def _answers_each(recipe: Recipe) -> float:
    """Answers to one prompt of a round."""
    if recipe.generate.source is None:
        return recipe.generate.answers
    rows = read_responses(recipe.generate.source)
    return sum(len(row.responses) for row in rows) / len(rows)


def _judge(
    recipe: Recipe, lengths: Lengths, stage: str, artifact: str, answers: tuple[float, float], draws: float
) -> list[Asking]:
    """Every answer of `answers` (prompts, answers to each) asked about `draws` times, by every judge there is."""
    judge, (prompts, samples) = recipe.judge, answers
    question = lengths.rubric + lengths.prompt + lengths.response
    unique = lengths.rubric + prompts * lengths.prompt + prompts * samples * lengths.response
    count, reply, share = prompts * samples * draws, lengths.judgment, max(1.0, draws)
    if judge.protocol in ("expected", "scalar"):
        count, reply, share = prompts * samples, 0.0, 1.0
    if judge.protocol == "scalar":
        question = lengths.prompt + lengths.response
        unique = count * question
    if judge.comparing is not None:
        matches = {
            "all": samples * (samples - 1) / 2,
            "ring": samples if samples > 2 else samples - 1,
            "random": min(samples - 1 + judge.comparing.count, samples * (samples - 1) / 2),
        }[judge.comparing.comparisons]
        question, count, share = question + lengths.response, 2 * prompts * matches, 1.0
        # Beginnings shared by two comparisons end with the first answer.
        unique = lengths.rubric + prompts * (lengths.prompt + samples * lengths.response) + count * lengths.response
        reply = 0.0 if judge.reading.kind == "probability" else lengths.judgment
    if judge.listing is not None:
        question, count, share = question + (samples - 1) * lengths.response, 2.0 * prompts * judge.listing.orders, 1.0
        # Lists of one prompt share their beginning up to the first answer.
        unique = lengths.rubric + prompts * lengths.prompt + count * samples * lengths.response
    return [
        Asking(
            stage,
            artifact,
            count,
            question,
            reply,
            min(unique, count * question),
            share,
            server=_server(reference),
        )
        for reference in judges(recipe)
    ]


def taught_in(recipe: Recipe) -> list[int]:
    """The rounds after which a reward model is trained."""
    if recipe.reward_model is None:
        return []
    return [0] if recipe.reward_model.refresh == "first" else list(range(recipe.rounds + 1))


def teaching(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """Answers, labels and held-out scores of one training of a reward model."""
    model = recipe.reward_model
    if model is None:
        return []
    prompts, samples = float(model.prompts), recipe.generate.samples
    unique = prompts * lengths.prompt
    found = [Asking("answer", "reward_responses", prompts * samples, lengths.prompt, lengths.response, unique, samples)]
    if model.labels.source == "model":
        labelled = dataclasses.replace(recipe, judge=model.labels, reward_model=None)
        labelling = dataclasses.replace(lengths, judgment=model.labels.sampling.max_tokens)
        draws = model.labels.adaptive.cap if model.labels.adaptive else model.labels.samples
        found += _judge(labelled, labelling, "label", "reward_judgments", (prompts, samples), draws)
    apart, row = prompts * model.held_out * samples, lengths.prompt + lengths.response
    return [*found, Asking("score", "reward_scores", apart, row, 0.0, apart * row)]


def teaching_training(recipe: Recipe, lengths: Lengths) -> Training:
    """A reward model is trained on every answer once an epoch, whatever the number of its pairs."""
    model = recipe.reward_model
    if model is None:
        return Training(0.0, 0.0, 0.0, 0.0, 0.0)
    prompts, row = model.prompts * (1 - model.held_out), lengths.prompt + lengths.response
    group = recipe.generate.samples * row
    return Training(prompts * group, prompts / model.batch_size * model.epochs, model.epochs, group, 0.0)


def comparing(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The meta-judge's questions, both orders: all that the recipe allows; judgments of equal score do not meet."""
    meta = recipe.meta
    if not meta.enabled:
        return []
    answers = min(meta.max_responses, recipe.prompts.per_round * recipe.generate.answers)
    adaptive = recipe.judge.adaptive
    fielded = min(meta.max_judgments, adaptive.cap if adaptive else recipe.judge.samples)
    count = answers * fielded * (fielded - 1)
    question = lengths.rubric + lengths.prompt + lengths.response + 2 * lengths.judgment
    shown_first = answers * (lengths.prompt + lengths.response) + answers * fielded * lengths.judgment
    unique = min(lengths.rubric + shown_first + count * lengths.judgment, count * question)
    reply = lengths.meta_judgment
    return [Asking("compare judgments", "meta_judgments", count, question, reply, unique, server=_server(meta.model))]


def measuring(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """What one policy is asked on the frozen pools."""
    measure = recipe.measure
    pools, draws = measure.gate + measure.selection + measure.report, measure.judge_samples
    limit = measure.sampling.max_tokens
    answered = Lengths(lengths.prompt, lengths.rubric, min(lengths.response, limit), lengths.judgment)
    count, unique = pools * measure.samples, pools * lengths.prompt
    answers = Asking(
        "measure: answer", "eval_responses", count, lengths.prompt, answered.response, unique, measure.samples
    )
    side = [*_held_out(recipe, answered), *_side(recipe, answered, draws)]
    if not measure.judge:
        return [answers, *side]
    judged = _judge(recipe, answered, "measure: judge", "eval_judgments", (pools, measure.samples), draws)
    anchored = len(read_anchors(measure.anchors)) if measure.anchors else measure.frozen
    frozen = _judge(recipe, answered, "measure: frozen", "frozen_judgments", (anchored, 1), draws)
    found = [answers, *judged, *(frozen if measure.frozen and not recipe.judge.ranks else [])]
    return [*found, *_probes(recipe, answered, draws), *side]


def _probes(recipe: Recipe, lengths: Lengths, draws: float) -> list[Asking]:
    """Replies by which the judge shows what it likes, and answers of round 0 that are scored again."""
    wanted, pairwise = recipe.measure.judge_probes, recipe.judge.ranks
    sandbox = recipe.measure.source.kind == "sandbox"
    units = [(wanted.padded, 2.0), (wanted.claims if sandbox else 0, 2.0)]
    units.append((wanted.claims if wanted.claims_file else 0, 4.0))
    units.append((0 if sandbox or pairwise else wanted.feedback, 3.0))
    replies = sum(count * each for count, each in units)
    old = 0 if pairwise else min(wanted.initial, recipe.measure.report)
    asked = (
        ("measure: probes", "probe_judgments", (replies / 2, 2.0) if pairwise else (replies, 1.0)),
        ("measure: old answers", "initial_judgments", (old, 1.0)),
    )
    return [
        question
        for stage, artifact, answers in asked
        if answers[0]
        for question in _judge(recipe, lengths, stage, artifact, answers, draws)
    ]


def _held_out(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The held-out judge on its pools; side by side against the previous and the first round."""
    held_out = recipe.measure.held_out
    if held_out is None:
        return []
    asked = dataclasses.replace(recipe, judge=held_out_judge(recipe, held_out))
    judgment = dataclasses.replace(lengths, judgment=asked.judge.sampling.max_tokens)
    found = []
    for pool in held_out_pools(recipe):
        prompts, artifact = getattr(recipe.measure, pool), held_out_artifact(pool)
        if asked.judge.comparing:
            units, draws, artifact = (2 * prompts * held_out.answers, 2.0), 1.0, part_of(artifact, COMPARISONS)
        else:
            units, draws = (prompts, held_out.answers), asked.judge.samples
        found += _judge(asked, judgment, "measure: held out", artifact, units, draws)
    return found


def _side(recipe: Recipe, lengths: Lengths, draws: float) -> list[Asking]:
    """The recipe's cohorts and probes. A conversation's later turns are counted with the first answer in them."""
    measure = recipe.measure
    cohorts = read_cohorts(measure)
    prompts, samples = float(sum(len(cohort.prompts) for cohort in cohorts)), float(measure.cohort_samples)
    judged = sum(len(cohort.prompts) for cohort in cohorts if cohort.verifier == "none")
    by = dataclasses.replace(recipe, judge=dataclasses.replace(recipe.judge, model=measure.cohort_judge))
    found = []
    if prompts:
        asked = (prompts * samples, lengths.prompt, lengths.response, prompts * lengths.prompt)
        found.append(Asking("measure: cohorts", "cohort_responses", *asked, samples))
    if judged:
        found += _judge(by, lengths, "measure: cohorts", "cohort_judgments", (judged, samples), draws)
    turns = sum(_TURNS[name] for name in measure.probes) * float(measure.probe_questions)
    if turns:
        question = 2 * lengths.prompt + lengths.response
        found.append(Asking("measure: asked", "asked", turns, question, lengths.response, turns * question, 1.0))
    return found


_TURNS = {"are_you_sure": 5, "wrong_claim": 2, "wrong_belief": 2, "opinion_mirroring": 2, "behaviour": 1}
"""Replies to one question of each probe, at most: a first answer, and the later turns of both arms."""


READ, WRITTEN, TRAINED = 1.0, 6.0, 6.0
"""What a token costs that is read, sampled or trained on, relative to one another: measured at 135 M on a CPU."""

_SAID = 0.6
"""Replies end before their limit: the share of it that they take."""


def run_clock(recipe: Recipe) -> RunClock:
    """A clock that expects of every round what the recipe asks of this device in it."""
    lengths = recipe_lengths(recipe)
    made = [*generating(recipe, lengths), *judging(recipe, lengths, 1.0), *comparing(recipe, lengths)]
    measured, trained = measuring(recipe, lengths), training(recipe, lengths)
    at = set(measured_rounds(recipe))
    costs: defaultdict[tuple[int, str], float] = defaultdict(float)
    for number in range(recipe.rounds + 1):
        for asked in [*(made if number else []), *(measured if number in at else [])]:
            # The first policy is compared with none, and what a server answers is not this device's work.
            if not asked.server:
                cost = READ * min(asked.unique, asked.prefill) + WRITTEN * _SAID * asked.decoded
                costs[number, asked.artifact] += cost
        if number in taught_in(recipe):
            for asked in teaching(recipe, lengths):
                if not asked.server:
                    costs[number, asked.artifact] += READ * asked.unique + WRITTEN * _SAID * asked.decoded
            learnt = teaching_training(recipe, lengths)
            costs[number, REWARD_MODEL] = TRAINED * learnt.tokens * learnt.epochs
        if number:
            costs[number, "checkpoint"] = TRAINED * trained.tokens * trained.epochs + READ * trained.reference
    return RunClock(costs)


def _server(reference: str) -> str:
    return reference.removeprefix(SERVED) if reference.startswith(SERVED) else ""


def training(recipe: Recipe, lengths: Lengths) -> Training:
    """Every prompt gives a pair, judgment pairs up to the recipe's cap; a policy gradient takes every answer.

    `reference` counts what is teacher-forced before: both sides of every pair, or every answer under the policy that
    sampled it, and under the reference where there is a KL to another one.
    """
    train, prompts = recipe.train, float(recipe.prompts.per_round)
    answer, judgment = (lengths.prompt, lengths.response), (0.0, 0.0)
    about = 0.0
    if recipe.meta.enabled:
        share = recipe.meta.max_share
        about = min(float(recipe.meta.max_responses), prompts * share / (1 - share))
        judgment = (lengths.rubric + lengths.prompt + lengths.response, lengths.judgment)
    if train.method == "none":
        return Training(0.0, 0.0, 0.0, 0.0, 0.0)
    if isinstance(train, PolicyGradient):
        rows = prompts * recipe.generate.samples
        passes = 2 if train.kl > 0 and train.reference != "previous" else 1
        steps = rows / train.batch_size * train.epochs
        return Training(rows * sum(answer), steps, train.epochs, sum(answer), passes * rows * sum(answer))
    if train.method != "dpo":
        rows = float(train.sft_examples) if train.method == "sft" else prompts
        return Training(rows * sum(answer), rows / train.batch_size * train.epochs, train.epochs, sum(answer), 0.0)

    def row(prompt: float, reply: float) -> float:
        fit = min(1.0, train.max_length / max(1.0, prompt + reply))
        return fit * (prompt + 2 * reply if train.prefix_sharing != "never" else 2 * (prompt + reply))

    tokens = prompts * row(*answer) + about * row(*judgment)
    steps = (prompts + about) / train.batch_size * train.epochs
    return Training(tokens, steps, train.epochs, max(row(*answer), row(*judgment)), tokens)
