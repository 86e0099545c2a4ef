"""The source of prompts that a recipe names. Raises before anything expensive starts."""

from selfreward.errors import RecipeError
from selfreward.recipe import FileSource as FileRecipe
from selfreward.recipe import MadeSource as MadeRecipe
from selfreward.recipe import Recipe, asked_per_round
from selfreward.recipe import SandboxSource as SandboxRecipe
from selfreward.recipe.doors import is_foreign
from selfreward.tasks.adversarial.source import AdversarialSource
from selfreward.tasks.english.source import EnglishSource
from selfreward.tasks.file_sources import AnsweredSource, FileSource
from selfreward.tasks.made.source import MadeSource
from selfreward.tasks.responses_file import read_responses
from selfreward.tasks.sandbox.source import SandboxSource
from selfreward.tasks.source import Source


def open_source(recipe: Recipe) -> Source:
    """The source that the recipe names. Raises RecipeError or DataError before anything expensive starts."""
    if recipe.generate.source is not None:
        return AnsweredSource(_source(recipe), recipe, read_responses(recipe.generate.source))
    return _source(recipe)


def _source(recipe: Recipe) -> Source:
    prompts, measured = recipe.prompts.source, recipe.measure.source
    if recipe.generate.source is not None or not asked_per_round(recipe):
        if not isinstance(prompts, SandboxRecipe):
            raise RecipeError(
                "key 'prompts.source' is not read: all that is trained on is given, and no prompt of its is asked; "
                "remove it"
            )
        prompts = measured  # which nothing is trained on: no prompt of a source of their own is asked for
    if prompts.kind == "sandbox" and measured.kind == "sandbox":
        if recipe.measure.verifier not in ("sandbox", "none") and not is_foreign(recipe.measure.verifier):
            raise RecipeError(
                f"key 'measure.verifier' is {recipe.measure.verifier!r}, but the sandbox's prompts have no gold "
                "answers on a row; expected sandbox or none"
            )
        return SandboxSource(recipe)
    if prompts.kind != measured.kind:
        raise RecipeError(
            f"keys 'prompts.source' and 'measure.source': one is {prompts.kind!r} and the other {measured.kind!r}; "
            f"expected both alike: set {'measure' if measured.kind == 'sandbox' else 'prompts'}.source too, or begin "
            "with `selfreward init --data FILE`, which writes a recipe for rows of your own"
        )
    if recipe.measure.verifier == "sandbox":
        raise RecipeError(
            "key 'measure.verifier' is 'sandbox', but the prompts come from a file; set it to none, or to "
            "a verifier that reads the rows' answers"
        )
    if prompts.kind == "english":
        if recipe.measure.verifier not in ("ifeval", "none") and not is_foreign(recipe.measure.verifier):
            raise RecipeError(
                f"key 'measure.verifier' is {recipe.measure.verifier!r}, but the English prompts bring IFEval's "
                "instructions; expected ifeval or none"
            )
        return EnglishSource(recipe)
    if prompts.kind == "adversarial":
        return AdversarialSource(recipe)
    if isinstance(prompts, MadeRecipe):
        return MadeSource(recipe, prompts)
    assert isinstance(prompts, FileRecipe) and isinstance(measured, FileRecipe)  # one kind, and no other is left
    return FileSource(recipe, prompts, measured)
