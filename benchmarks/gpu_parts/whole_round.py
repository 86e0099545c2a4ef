"""One whole round: of the real model where there is one, else of the sandbox's smallest recipe; seconds by artifact."""

from collections import defaultdict
from pathlib import Path

from gpu_parts.subject import Figure, Subject
from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.store.results import Store
from selfreward.store.view import RunView

RECIPES = Path(__file__).parent.parent.parent / "recipes"


def whole_round(subject: Subject) -> list[Figure]:
    keys = ["rounds=1", f"model.device={subject.device}"]
    if subject.real:
        keys += [f"model.path={subject.directory}", f"model.dtype={subject.model.dtype}"]
    name = "english_smoke" if subject.real else "smoke"
    recipe = load_recipe(RECIPES / f"{name}.yaml", keys)
    path = run(recipe, Store(subject.scratch / "results", share=False), name, Progress(style="silent"))
    view = RunView(path)
    taken: defaultdict[str, float] = defaultdict(float)
    for number in view.rounds():
        for seal in view.seals(number):
            if seal.seconds >= 0.05:
                taken[f"{name}, round {number}: {seal.artifact}"] += seal.seconds
    return [Figure(what, seconds, "s") for what, seconds in taken.items()]
