"""What one round trains on, and what a reward model is taught, in tokens and steps."""

import dataclasses
from dataclasses import dataclass

from selfreward.commands.plan.workload import Asking, Lengths, judgments_of
from selfreward.recipe import (
    PolicyGradient,
    Recipe,
)


@dataclass(frozen=True, slots=True)
class Training:
    """Tokens of one epoch, optimizer steps of all, and the tokens of the longest row."""

    tokens: float
    steps: float
    epochs: float
    row: float
    reference: float


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
        found += judgments_of(labelled, labelling, "label", "reward_judgments", (prompts, samples), draws)
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
