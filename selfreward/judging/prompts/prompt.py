"""How a recipe's pointwise judge is asked and read: by a template, or by the rubric template and a rubric."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts import pointwise as judge
from selfreward.judging.prompts import rubric
from selfreward.recipe import JudgeRecipe
from selfreward.records import Message, Prompt
from selfreward.roles.catalogue import version
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
    opening = partial(judge.opening, recipe.template)
    if recipe.question.kind == "rubric":
        name = recipe.question.rubric
        return JudgePrompt(rubric.version(name), partial(rubric.ask, name), partial(rubric.read, name), opening)
    name = recipe.template
    return JudgePrompt(version("judge", name), partial(judge.ask, name), partial(judge.read, name), opening)
