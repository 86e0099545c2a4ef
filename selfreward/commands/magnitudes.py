"""Numbers that no run could carry out: refused before anything is sampled."""

from selfreward.errors import RecipeError
from selfreward.recipe import (
    DpoRecipe,
    OwnRule,
    Recipe,
    SftChosenRecipe,
    Spin,
    Steps,
    asked_per_round,
    walk,
)

COOLEST = 1e-4
"""Below it logits divided by the temperature leave float32's range; greedy decoding is temperature 0."""

BOUNDS = {
    "train.beta": (1e-9, 1e9),
    "train.learning_rate": (0, 1e3),
    "reward_model.learning_rate": (0, 1e3),
    "engine.max_length": (1, 10**8),
}
"""The least and the most of a key: beyond, float32 has no such loss or step, or no model such a context."""

MOST_REPLIES = 10**9
"""A billion replies a round: at a thousand a second, twelve days."""


MOST_EPOCHS = 10_000
MOST_PROMPTS = 2_000_000
"""All of a run's training prompts are read and compared before it begins, and lie in memory for that."""


def refuse_absurd(recipe: Recipe) -> None:
    """Raise RecipeError for a temperature that is neither greedy nor usable, and for numbers beyond any machine."""
    mixed = [(f"generate.mix[{place}].temperature", one.temperature) for place, one in enumerate(recipe.generate.mix)]
    for key, value in [*((key, value) for key, value, _ in walk(recipe)), *mixed]:
        if key.endswith(".temperature") and 0 < (value or 0) < COOLEST:
            raise RecipeError(f"key {key!r} is {value:g}; expected 0 (the likeliest token) or at least {COOLEST:g}")
        if key.endswith(".top_p") and value < COOLEST:
            raise RecipeError(f"key {key!r} is {value:g}; expected at least {COOLEST:g} (temperature 0 is greedy)")
        least, most = BOUNDS.get(key, (None, None))
        if least is not None and most is not None and value is not None and not least <= value <= most:
            raise RecipeError(f"key {key!r} is {value:g}; expected {least:g} to {most:g}")
    per_round, writer = recipe.prompts.per_round, recipe.prompts.writer
    measure = recipe.measure
    asked = {
        "prompts.per_round x generate.samples": per_round * recipe.generate.answers,
        "prompts.per_round x generate.samples x judge.aggregate.samples": per_round
        * recipe.generate.answers
        * recipe.judge.samples,
        "prompts.per_round x writer.share x writer.oversample": per_round * writer.share * writer.oversample,
        "measure.gate + selection + report, x measure.samples": (measure.gate + measure.selection + measure.report)
        * measure.samples,
    }
    for name, count in asked.items():
        if count > MOST_REPLIES:
            raise RecipeError(f"{name} is {count:.3g} replies a round; expected at most {MOST_REPLIES:.0g}")
    pools = measure.gate + measure.selection + measure.report + measure.frozen
    if pools > MOST_PROMPTS:
        raise RecipeError(
            f"measure.gate + selection + report + frozen is {pools:,}; expected at most {MOST_PROMPTS:,}, which every "
            "round is measured on"
        )
    if isinstance(recipe.train, Steps) and recipe.train.epochs > MOST_EPOCHS:
        raise RecipeError(f"key 'train.epochs' is {recipe.train.epochs:g}; expected at most {MOST_EPOCHS:,}")
    drawn = recipe.rounds * asked_per_round(recipe)
    if drawn > MOST_PROMPTS:
        raise RecipeError(
            f"rounds x prompts.per_round is {drawn:,} training prompts; expected at most {MOST_PROMPTS:,}, which are "
            "read before a run begins; lower one of the two (`rounds` may be raised when a run goes on)"
        )
    if not writer.share and writer.oversample > MOST_REPLIES:
        raise RecipeError(f"key 'prompts.writer.oversample' is {writer.oversample:.3g}; expected a few, such as 2")


def refuse_equal_answers(recipe: Recipe) -> None:
    """Raise RecipeError where every answer to a prompt would be the same one, so that no pair could be made.

    Of a run, not of a recipe: `chat` and `probe` train nothing, and read the likeliest answer with reason.
    """
    pairs, generate = recipe.pairs, recipe.generate
    chooses = isinstance(recipe.train, DpoRecipe | SftChosenRecipe) and not isinstance(pairs, Spin | OwnRule)
    given = pairs.mix.external or generate.mix or generate.source
    if chooses and not given and asked_per_round(recipe) > 0 and generate.sampling.temperature == 0:
        raise RecipeError(
            "key 'generate.sampling.temperature' is 0, so all answers to a prompt are the same and no pair could be "
            "made; raise it, for example to 0.9"
        )
