"""`canary` and `plan`: what is asked before a run is made."""

from typing import Annotated

import typer

from selfreward.commands.shipped import recipe_file
from selfreward.commands.wiring.arguments import RESULTS, Overrides, RecipeFile, Results, store_in


def canary(
    recipe: RecipeFile,
    overrides: Overrides = None,
    prompts: Annotated[int, typer.Option(min=2, help="How many prompts are asked, of the gate pool first.")] = 60,
) -> None:
    """Before any training: are the pairs that this recipe's judge would make better than chance?"""
    from selfreward.progress import Progress
    from selfreward.recipe.read import load_recipe

    loaded = load_recipe(recipe_file(recipe), overrides or [])
    from selfreward.commands.canary.command import canary_command
    from selfreward.report.terminal import console, print_table

    verdict, table = canary_command(loaded, Progress(), prompts)
    typer.echo(verdict.sentence)
    print_table(table, console())


def plan(
    recipe: RecipeFile,
    overrides: Overrides = None,
    device: Annotated[str, typer.Option(help="h100, h200, a100-80, l40s, 4090 or cpu-core.")] = "h100",
    model: Annotated[str | None, typer.Option(help="A known model, such as llama-3-8b, instead of model.path.")] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Mean length of a prompt.")] = 150,
    rubric_tokens: Annotated[int, typer.Option(min=1, help="Length of the judge's instructions.")] = 400,
    response_tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer; its limit otherwise.")] = None,
    judgment_tokens: Annotated[int | None, typer.Option(min=1, help="Of a judgment; its limit otherwise.")] = None,
    taken: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Also: what this run really took.")] = None,
    results: Results = RESULTS,
) -> None:
    """What a recipe will cost: tokens and hours of every stage, peak memory, disk. Nothing is loaded or started."""
    from selfreward.commands.plan.text import print_plan
    from selfreward.recipe.read import load_recipe

    loaded = load_recipe(recipe_file(recipe), overrides or [])
    view = store_in(results).existing(taken) if taken else None
    lengths = {"prompt": prompt_tokens, "rubric": rubric_tokens, "response": response_tokens}
    print_plan(loaded, device, model, {**lengths, "judgment": judgment_tokens}, view, typer.echo, results)
