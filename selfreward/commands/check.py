"""`selfreward check`: everything short of sampling. What `run` would refuse is refused here, with exit code 2.

It shows three questions of every role as the model would read them, chat template and all, how long they are against
the context, what the run costs on this machine, and what it will not be able to know. Nothing is sampled or written;
that a model's directory can be sampled from, trained and handed on is tried out by `run`, before its first round.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from selfreward.commands.shipped import recipe_file
from selfreward.commands.wiring.arguments import Overrides, RecipeFile
from selfreward.errors import RecipeError, SelfRewardError
from selfreward.progress import Progress
from selfreward.progress.words import visible

if TYPE_CHECKING:
    from selfreward.commands.check_questions import Role
    from selfreward.engines.chat import ChatRenderer
    from selfreward.recipe import Recipe
    from selfreward.records import Prompt

SHOWN = 3
LONGEST = 4000
"""Characters of a question that are shown."""

Say = Callable[[str], None]


def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
) -> None:
    """All of a recipe short of sampling: its questions, their lengths, its cost here, and what it cannot know."""
    from selfreward.recipe.read import load_recipe

    loaded = load_recipe(recipe_file(recipe), overrides or [])
    check_recipe(loaded, lambda line: typer.echo(visible(line)))


def check_recipe(recipe: "Recipe", say: Say) -> None:
    """Tell all that is to be told. Raises RecipeError for what a run would refuse before it samples."""
    from selfreward.commands.check_cost import cost_lines, measured_plan
    from selfreward.commands.check_questions import roles
    from selfreward.commands.plan.text import pools_line
    from selfreward.commands.preflight import preflight
    from selfreward.commands.unknown import unknown

    tell = Progress().say
    tell("check: the model and all prompts are read first; nothing is sampled or written")
    try:
        start, source, _ = preflight(recipe, tell)
    except RecipeError:
        raise
    except SelfRewardError as problem:
        raise RecipeError(f"a run would end with {type(problem).__name__}: {problem}") from problem
    training = source.training(1, recipe.prompts.per_round)
    mean, rubric = 0.0, 0.0
    if recipe.engine.kind == "scripted":
        say("engine.kind=scripted: replies come from a file; there is no model whose questions could be shown")
    else:
        renderer, context = _renderer(recipe, start.directory)
        prompts = [*training, *source.pools()]
        table = [LENGTHS]
        for role in roles(recipe, training):
            for line in questions(role, training[:SHOWN], renderer):
                say(line)
            lengths = sorted(map(len, renderer.prompt_token_ids([role.ask(prompt) for prompt in prompts])))
            table.append(length_row(role, lengths, context))
            average = sum(lengths) / len(lengths)
            mean, rubric = (average, rubric) if role.name == "generator" else (mean, rubric or max(1.0, average - mean))
        say("")
        for line in aligned_table(table):
            say(line)
        say("")
        tell("check: the model's speed here is measured, some seconds to a minute")
        for line in cost_lines(measured_plan(recipe, start.directory, mean, rubric)):
            say(line)
    say("")
    say(f"pools    {pools_line(recipe)}")
    for line in unknown(recipe) or ["verifier, held-out judge or labels: this recipe has them all"]:
        say(f"unknown  {line}" if unknown(recipe) else f"known    {line}")


def _renderer(recipe: "Recipe", directory: Path) -> "tuple[ChatRenderer, int]":
    from selfreward.commands.question_checks import context_length
    from selfreward.engines.chat import load_renderer

    return load_renderer(directory, recipe.model), context_length(directory, recipe.engine.max_length)


def questions(role: "Role", prompts: "Sequence[Prompt]", renderer: "ChatRenderer") -> Iterator[str]:
    """What the role is asked about the first prompts, between lines that no text of a prompt can hold."""
    from selfreward.roles.fences import fence_code, fenced

    where = "as its server gets it" if role.is_served else "as the start policy's tokenizer renders it"
    yield f"\n{role.name} ({role.model}), {where}:"
    asked = [role.ask(prompt) for prompt in prompts]
    if role.is_served:
        texts = ["\n".join(f"{turn.role}: {turn.content}" for turn in turns) for turns in asked]
    else:
        texts = [str(renderer.tokenizer.decode(list(tokens))) for tokens in renderer.prompt_token_ids(asked)]
    code = fence_code(texts)
    for text in dict.fromkeys(texts):
        cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} characters more)"
        yield fenced("question", cut, code)
    if role.read:
        yield f"{role.name}: {role.read}"


LENGTHS = ["tokens of questions", "p50", "p95", "max", "own text", "reply", "context", ""]


def length_row(role: "Role", lengths: Sequence[int], context: int) -> list[str]:
    """Quantiles of the questions; what models add to them and reply, at most; and whether all of it fits."""
    longest = lengths[-1] + role.given + role.reply
    quantiles = [lengths[int(share * (len(lengths) - 1))] for share in (0.5, 0.95, 1.0)]
    verdict = "fits" if longest <= context else f"{longest - context} too many at worst"
    told = [*quantiles, role.given, role.reply]
    # A served model's context is its server's.
    where = ["-", ""] if role.is_served else [f"{context:,}", verdict]
    return [f"{role.name} (n={len(lengths)})", *(f"{value:,}" for value in told), *where]


def aligned_table(rows: Sequence[Sequence[str]]) -> list[str]:
    from selfreward.commands.plan.units import aligned

    return aligned(rows)
