"""How much a run may take before it stops in good order."""

from selfreward.recipe.section import Section, section, setting


@section
class LimitsRecipe(Section):
    """A run stops before the next piece of work once one of these is reached (store/allowance.py).

    `hours` counts this invocation only, so that a run that went on over night does not stop at once in the morning.
    `tokens` are those that were sampled on this device, over the whole run, as its seals say; artifacts that were taken
    over from another run count as if they had been made here. `cost` is of served models, over the whole run, in the
    unit of their prices. A training that has begun is finished.
    """

    hours: float | None = setting(None, "hours of one invocation; null: any", above=0, horizon=True)
    tokens: int | None = setting(None, "tokens sampled here over the whole run; null: any", minimum=1, horizon=True)
    cost: float | None = setting(None, "cost of served models over the whole run; null: any", above=0, horizon=True)
