"""A process that wants a tiny sandbox model, for tests of the cache: prints what it was told, then the directory."""

import sys
from dataclasses import replace
from functools import partial

from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.seeds.cache import seed_directory, train_model
from selfreward.tasks.sandbox.seeds.names import SeedName, parse_seed_name
from selfreward.tasks.sandbox.seeds.recipe import CLEAN, UNDER_DIALS, DialledRecipe, SeedRecipe

TINY = SeedRecipe(seed=7, stages=(replace(CLEAN, tokens=4_000),), warmup_steps=2)


def tiny_recipe(name: SeedName) -> SeedRecipe | DialledRecipe:
    stage = replace(UNDER_DIALS, tokens=4_000, own_tasks=2)
    return DialledRecipe(TINY, AnnotatorDials(**dict(name.dials)), stage) if name.dials else TINY


QUICK = partial(train_model, skill_prompts=4)
"""What takes the time is measuring a model that rambles."""


if __name__ == "__main__":
    wanted = parse_seed_name(sys.argv[1])
    print(seed_directory(wanted, lambda line: print(line, flush=True), tiny_recipe(wanted), QUICK))
