"""What the critic and the reviser are asked, and what stands on their rows. The words are in `templates/`."""

from selfreward.judging.prompts import pairwise
from selfreward.judging.prompts.pairwise import Principle, load_constitution
from selfreward.recipe import RevisingRecipe
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import version
from selfreward.roles.fences import as_question, fill


def ask_critic(recipe: RevisingRecipe, prompt: Prompt, answer: str, principle: Principle) -> tuple[Message, ...]:
    """One user turn that shows the answer and one principle."""
    return as_question(fill("critic", recipe.critic, prompt.messages, response=answer, principle=principle.text))


def ask_reviser(
    recipe: RevisingRecipe, prompt: Prompt, answer: str, principle: Principle, critique: str
) -> tuple[Message, ...]:
    """One user turn that shows the answer, the principle and what was said against it: no chat that could be quoted."""
    shown = {"response": answer, "principle": principle.text, "critique": critique}
    return as_question(fill("reviser", recipe.reviser, prompt.messages, **shown))


def critic_version(recipe: RevisingRecipe) -> str:
    return f"{version('critic', recipe.critic)}+{load_constitution(recipe.constitution)[0]}"


def reviser_version(recipe: RevisingRecipe) -> str:
    return f"{version('reviser', recipe.reviser)}+{load_constitution(recipe.constitution)[0]}"


def require_words(recipe: RevisingRecipe) -> None:
    """Raise RecipeError for a template or a constitution that is not there, or lacks a place for what it is about."""
    critic_version(recipe)
    reviser_version(recipe)
    if recipe.check is not None:
        pairwise.version(recipe.check.template, recipe.check.constitution)
