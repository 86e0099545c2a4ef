"""`sandbox train` and `sandbox skill`."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.errors import RecipeError, StoreError

sandbox = typer.Typer(help="The small world whose truth is known, and the models that live in it.")


@sandbox.command("train")
def sandbox_train(
    out: Annotated[Path | None, typer.Option(help="A new directory; the recipes' cache otherwise.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Weights, lessons and their order.")] = 0,
    dial: Annotated[
        list[str] | None, typer.Option(metavar="D=V", help="Go on from the seed with a bias, length_bias=0.8 say.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Training tokens in all, with --out; the proven budget otherwise.")
    ] = None,
) -> None:
    """Train a seed model from nothing, a quarter of an hour on one core, or go on from one under dials."""
    from selfreward.tasks.sandbox.seeds.names import SeedName, read_dials

    name = SeedName(seed, read_dials(dial or [], "--dial"))
    if out is None and tokens is not None:
        raise RecipeError("--tokens: the cache holds models of the proven budget only; give --out too")
    if out and out.exists() and any(out.iterdir()):
        raise StoreError(f"{out}: exists and is not empty; a model is never overwritten, choose another --out")
    from selfreward.progress import Progress
    from selfreward.tasks.sandbox.seeds.cache import recipe_of, seed_directory, train_model
    from selfreward.tasks.sandbox.seeds.recipe import DialledRecipe, with_budget

    say = Progress().say
    if out is None:
        typer.echo(f"done: {seed_directory(name, say)}")
        return
    recipe = recipe_of(name) if tokens is None else with_budget(recipe_of(name), tokens)
    start = seed_directory(SeedName(seed), say) if isinstance(recipe, DialledRecipe) else None
    train_model(recipe, start, out, say)
    typer.echo(f"done: {out}")


@sandbox.command("skill")
def sandbox_skill(directory: Annotated[Path, typer.Argument(help="A model that was trained in the sandbox.")]) -> None:
    """Measure a sandbox model against the truth."""
    from selfreward.tasks.sandbox.seeds.floors import skill_table
    from selfreward.tasks.sandbox.seeds.skill import measure_skill

    typer.echo(skill_table(measure_skill(directory)))
