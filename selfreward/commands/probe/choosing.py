"""Which given answer the model finds likeliest, set by set."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date

from selfreward.commands.probe.models import Subject
from selfreward.engines.chat import load_renderer
from selfreward.measuring.evidence import AskedValue
from selfreward.measuring.probes.mc1 import accuracies, choose
from selfreward.progress import Progress
from selfreward.records import Measurement
from selfreward.roles.player import Player
from selfreward.tasks.sets.mc1 import MultipleChoice


def choose_from(
    sets: Mapping[str, Sequence[MultipleChoice]], player: Player, day: date | None, model: Subject, progress: Progress
) -> tuple[dict[str, list[AskedValue]], list[Measurement]]:
    """The values by set, and their measurements, each under the name of its set in place of the pool."""
    renderer = load_renderer(model.policy.directory, model.recipe.model, day)
    chosen: dict[str, list[AskedValue]] = {}
    found: list[Measurement] = []
    for name, questions in sets.items():
        with progress.stage(f"{model.name}: {name}", len(questions)) as stage:
            chosen[name] = choose(player, questions, renderer, model.recipe.generate.template, stage.advance)
        rows = accuracies(chosen[name], questions, model.policy.digest)
        found += [dataclasses.replace(row, pool=name) for row in rows]
    return chosen, found
