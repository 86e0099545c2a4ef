"""The job of a round: which rows its method learns from, as what, and what the trainer is told beside its section."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from selfreward.engines.chat import load_renderer
from selfreward.errors import HandOffError
from selfreward.recipe import DpoRecipe, GrpoRecipe, Recipe, RlooRecipe, SftRecipe
from selfreward.records import Pair, Sample, seed_for
from selfreward.roles import generator
from selfreward.roles.player import Policy
from selfreward.tasks.examples_file import draw_examples
from selfreward.tasks.source import Source
from selfreward.training.jobs import Job, RowKind
from selfreward.training.sample_job import loss_of, refuse_other_policy

Texts = list[tuple[tuple[int, ...], tuple[int, ...]]]
"""(prompt, completion) token ids."""


def job_of(
    recipe: Recipe,
    start: Policy,
    reference: Policy,
    learned: Sequence[Pair] | Sequence[Sample],
    source: Source,
    round: int,
    day: date | None = None,
) -> Job:
    """Raises HandOffError for rows that were made under another policy than the one that they are learned from."""
    method = recipe.train
    settings: dict[str, Any] = {
        "seed": seed_for(recipe.seed, "train", round),
        "threads": recipe.engine.threads,
        "probes": recipe.handoff.probes,
    }
    rows: Sequence[Any] = learned
    kind: RowKind = "texts"
    if isinstance(method, SftRecipe):
        rows = demonstrations(recipe, method, start, source, round, day)
    elif method.LEARNS == "chosen":
        rows = [(one.prompt_token_ids, one.chosen_token_ids) for one in learned if isinstance(one, Pair)]
    else:
        kind = "samples" if method.LEARNS == "samples" else "pairs"
    if isinstance(method, DpoRecipe):
        refuse_other_reference(rows, reference, round)
        settings["reference_is_start"] = reference.digest == start.digest
    elif isinstance(method, GrpoRecipe | RlooRecipe):
        refuse_other_policy(rows, start, round)
        settings["loss"] = loss_of(method, recipe.generate.sampling.max_tokens)
    return Job(kind, start.directory, rows, settings)


def demonstrations(
    recipe: Recipe, method: SftRecipe, start: Policy, source: Source, round: int, day: date | None
) -> Texts:
    """The round's demonstrations as the policy's own chat template shows them."""
    renderer, count = load_renderer(start.directory, recipe.model, day), method.sft_examples
    if method.examples:
        shown = draw_examples(method.examples, recipe.seed, round, count)
    else:
        shown = source.demonstrations(round, count)
    questions = renderer.prompt_token_ids([generator.ask(recipe.generate.template, prompt) for prompt, _ in shown])
    return [
        (question, renderer.reply_token_ids(answer)) for question, (_, answer) in zip(questions, shown, strict=True)
    ]


def refuse_other_reference(pairs: Sequence[Pair], reference: Policy, round: int) -> None:
    for pair in pairs:
        if pair.reference != reference.digest:
            raise HandOffError(
                f"round {round}, pair {pair.id}: its reference log-probabilities are those of policy "
                f"{pair.reference[:16]}, expected {reference.digest[:16]}, which train.reference names; make the "
                "round's pairs again under that policy"
            )
