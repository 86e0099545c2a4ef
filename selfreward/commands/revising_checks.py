"""Can answers be revised as the recipe says? Asked of files and tokenizers, before a run begins."""

from collections.abc import Callable, Sequence
from pathlib import Path

from selfreward.commands.question_checks import context_length
from selfreward.engines.chat import load_renderer
from selfreward.engines.template_checks import require_whole
from selfreward.errors import DataError
from selfreward.judging.prompts import pairwise
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.revising.words import ask_critic, ask_reviser
from selfreward.recipe import Recipe, RevisingRecipe
from selfreward.records import Prompt


def check_revising(
    recipe: Recipe, revise: RevisingRecipe, prompts: Sequence[Prompt], directory_of: Callable[[str], Path]
) -> None:
    """Raise DataError where a question about one of the longest prompts leaves no room for the reply."""
    principles = load_constitution(revise.constitution)[1]
    questions = [
        question
        for prompt in prompts
        for principle in principles
        for question in (
            ask_critic(revise, prompt, "", principle),
            ask_reviser(revise, prompt, "", principle, ""),
        )
    ]
    if revise.check is not None:
        written = load_constitution(revise.check.constitution)[1]
        questions += [
            pairwise.ask(revise.check.template, prompt, "", "", principle)
            for prompt in prompts
            for principle in written
        ]
    if revise.model.server is not None or not questions:
        return
    directory = directory_of(recipe.model.path if revise.model.of_run else revise.model)
    renderer = load_renderer(directory, recipe.model)
    require_whole(renderer, ([message.role for message in question] for question in questions))
    room = context_length(directory, recipe.engine.max_length) - revise.sampling.max_tokens
    longest = max(len(tokens) for tokens in renderer.prompt_token_ids(questions))
    if longest > room:
        raise DataError(
            f"a question of pairs.revise has {longest} tokens before there is any answer; expected at most {room}, "
            f"which is the context of {directory} less pairs.revise.sampling.max_tokens; shorten the longest prompt, "
            f"{prompts[0].text[:40]!r}..., or lower it"
        )
