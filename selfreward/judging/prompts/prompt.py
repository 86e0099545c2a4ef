"""How a question about one answer is asked and read: its variant in the recipe names the function that says so."""

from collections.abc import Callable
from dataclasses import dataclass

from selfreward.engines.protocol import Completion
from selfreward.recipe import JudgeRecipe
from selfreward.recipe.doors import load
from selfreward.records import Message, Prompt
from selfreward.roles.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """`opening` is the beginning of a reply up to where the score stands, from a rationale or from nothing."""

    version: str
    ask: Callable[[Prompt, str], tuple[Message, ...]]
    read: Callable[[Completion], float | Unreadable]
    opening: Callable[[str], str]


def judge_prompt(recipe: JudgeRecipe) -> JudgePrompt:
    """Raises RecipeError for a template or rubric that does not exist or cannot be used."""
    found: JudgePrompt = load("questions", recipe.question.WORDING, {})(recipe.question)
    return found
