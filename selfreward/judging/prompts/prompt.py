"""How a question about one answer is asked and read: its variant in the recipe names the function that says so."""

from collections.abc import Callable
from dataclasses import dataclass

from selfreward.engines.protocol import Completion
from selfreward.recipe import JudgeRecipe
from selfreward.recipe.doors import load
from selfreward.records import Message, Prompt
from selfreward.roles.unreadable import Unreadable


def nothing(prompt: Prompt) -> None:
    """What most questions need of a prompt's row."""


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """`opening` is the beginning of a reply up to where the score stands, from a rationale or from nothing.

    `version` is of the question, `version_of` what stands on the judgments of a prompt, where its row has a say in what
    is asked. `require` raises DataError for a prompt whose row lacks what the question needs.
    """

    version: str
    ask: Callable[[Prompt, str], tuple[Message, ...]]
    read: Callable[[Prompt, Completion], float | Unreadable]
    opening: Callable[[str], str]
    require: Callable[[Prompt], None] = nothing
    version_of: Callable[[Prompt], str] | None = None

    def asked_with(self, prompt: Prompt) -> str:
        """What the prompt's judgments say that they were asked with."""
        return self.version if self.version_of is None else self.version_of(prompt)


def judge_prompt(recipe: JudgeRecipe) -> JudgePrompt:
    """Raises RecipeError for a template or rubric that does not exist or cannot be used."""
    found: JudgePrompt = load("questions", recipe.question.WORDING, {})(recipe.question)
    return found
