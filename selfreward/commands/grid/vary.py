"""A grid without a file: `--vary train.beta=0.1,0.3 --vary generate.samples=4,8` is every combination of the values.

An arm is called by the last words of its keys (`beta=0.1+samples=4`). The first values are the control: every other arm
is held against them. A comma inside brackets or quotes separates nothing.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfreward.commands.ablate import Grid, check_grid
from selfreward.errors import RecipeError
from selfreward.recipe.read import load_recipe

OPENING, CLOSING = "([{", ")]}"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._=-]+")


def varied(text: str) -> tuple[str, list[str]]:
    """Key and values of one `--vary`. Raises RecipeError where there are not two different ones."""
    key, equals, rest = text.partition("=")
    values = split_values(rest)
    if not key.strip() or not equals or len(values) < 2 or "" in values or len(set(values)) < len(values):
        raise RecipeError(f"--vary {text!r}: expected KEY=VALUE,VALUE with at least two different values")
    return key.strip(), values


def split_values(text: str) -> list[str]:
    """At the commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in OPENING) - (character in CLOSING)
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def vary(base: Path, name: str | None, varies: Sequence[str], overrides: Sequence[str]) -> Grid:
    """The grid of all combinations, on the recipe's own model, with the run seeds 0, 1 and 2."""
    factors = dict(map(varied, varies))
    if len(factors) < len(varies):
        raise RecipeError(f"--vary {' '.join(varies)}: a key is varied twice; give all of its values at once")
    short = short_names(list(factors))
    arms: dict[str, tuple[str, ...]] = {}
    for values in itertools.product(*factors.values()):
        chosen = dict(zip(factors, values, strict=True))
        arm = "+".join(_NOT_IN_A_NAME.sub("_", f"{short[key]}={value}") for key, value in chosen.items())
        if arm in arms:
            raise RecipeError(f"--vary: two arms would be called {arm!r}; write a grid file, which names its arms")
        arms[arm] = tuple(f"{key}={value}" for key, value in chosen.items())
    control, *others = arms
    recipe = load_recipe(base, [*overrides, *arms[control]])
    return Grid(
        name=name or f"{base.stem}-{'-'.join(short.values())}",
        base=base.resolve(),
        arms=arms,
        models=(recipe.model.path,),
        seeds=(0, 1, 2),
        contrasts=tuple((arm, control) for arm in others),
    )


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last word, or as many as tell it from the others."""
    found = {}
    for key in keys:
        words = key.split(".")
        found[key] = next(
            ending
            for count in range(1, len(words) + 1)
            if (
                (ending := ".".join(words[-count:]))
                and not any(other != key and f".{other}".endswith(f".{ending}") for other in keys)
            )
            or count == len(words)
        )
    return found


def narrowed(grid: Grid, models: str | None, seeds: str | None, overrides: Sequence[str]) -> Grid:
    """The grid on other seed models or run seeds, with keys in front of every arm's own. Checked as a whole."""
    if models:
        grid = replace(grid, models=tuple(split_values(models)))
    if seeds:
        numbers = split_values(seeds)
        if not all(number.isdecimal() for number in numbers):
            raise RecipeError(f"--seeds {seeds!r}: expected numbers, such as 0,1,2")
        grid = replace(grid, seeds=tuple(map(int, numbers)))
    if overrides:
        grid = replace(grid, arms={arm: (*overrides, *own) for arm, own in grid.arms.items()})
    check_grid(grid)
    return grid
