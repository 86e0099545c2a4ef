"""What a recipe asks of its model in one round, in questions and tokens: an upper bound, every reply at its limit."""

from dataclasses import dataclass

from selfreward.recipe import (
    Recipe,
    asked_per_round,
)
from selfreward.store.artifacts import SPEECHES, part_of
from selfreward.tasks.responses_file import read_responses

STEPS = 4.0
"""Steps of an answer, where the judge is asked about each: a guess, since nobody has seen the answers yet."""


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


def generating(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The self-written prompts and the answers."""
    if recipe.generate.source is not None:
        return []  # they are there
    prompts, samples, writer = asked_per_round(recipe), recipe.generate.samples, recipe.prompts.writer
    wanted = prompts * writer.share * writer.oversample
    shown = lengths.rubric + lengths.prompt * (writer.seed_examples + writer.written_examples)
    limit = writer.sampling.max_tokens
    server = writer.model.server or ""
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
    return judgments_of(recipe, lengths, "judge", "judgments", answers, draws)


def _answers_each(recipe: Recipe) -> float:
    """Answers to one prompt of a round."""
    if recipe.generate.source is None:
        return recipe.generate.answers
    rows = read_responses(recipe.generate.source)
    return sum(len(row.responses) for row in rows) / len(rows)


def judgments_of(
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
    if judge.stepping is not None:
        # Each step is asked about, with what stands before it: half of the answer on average.
        question, count, share = question - lengths.response / 2, prompts * samples * STEPS, 1.0
        unique = lengths.rubric + prompts * lengths.prompt + count * lengths.response / 2
        reply = 0.0 if judge.reading.kind == "probability" else lengths.judgment
    if judge.listing is not None:
        question, count, share = question + (samples - 1) * lengths.response, 2.0 * prompts * judge.listing.orders, 1.0
        # Lists of one prompt share their beginning up to the first answer.
        unique = lengths.rubric + prompts * lengths.prompt + count * samples * lengths.response
    debated = []
    if judge.debating is not None:
        # Speeches of a round know the rounds before; the judge reads them all.
        one, sides = judge.debating, 1 if judge.debating.sides == "one" else 2
        heard = one.speech * sides * (one.rounds - 1) / 2
        shown = lengths.rubric + lengths.prompt + 2 * lengths.response + heard
        said, server = count * sides * one.rounds, judge.debater.server or ""
        part = part_of(artifact, SPEECHES)
        debated = [Asking(f"{stage}: debate", part, said, shown, one.speech, said * shown, server=server)]
        question, unique = question + one.speech * sides * one.rounds, unique + count * one.speech * sides * one.rounds
    return debated + [
        Asking(
            stage,
            artifact,
            count,
            question,
            reply,
            min(unique, count * question),
            share,
            server=reference.server or "",
        )
        for reference in recipe.judge.models
    ]


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
    return [
        Asking("compare judgments", "meta_judgments", count, question, reply, unique, server=meta.model.server or "")
    ]


def simultaneous(recipe: Recipe, one: Asking) -> float:
    """The most sequences that the recipe's engine decodes at the same time."""
    if recipe.engine.kind == "vllm":
        return recipe.engine.max_num_seqs or 1024
    return max(1.0, recipe.engine.batch_tokens // (one.prompt + one.reply))
