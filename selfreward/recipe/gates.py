"""When a run is stopped, rolled back or warned about."""

from typing import Annotated, Literal

from selfreward.recipe.section import Section, needed, part, section, setting

SelectBy = Literal["judge", "held_out", "verifier"]


@section
class GateRule(Section):
    """One thing that must not happen: a measurement `above` or `below` a limit (exactly one of the two is set).

    `against`: the level itself, its difference to round 0 (`initial`), or its ratio to round 0 (`initial_ratio`).
    `proof: harm` fires where the interval shows that the limit is crossed; `proof: health` fires where the interval
    does not show that it is kept (a kappa that must be at least .72 with its lower bound). Oracle measurements and the
    report and selection pools are refused. `rollback` lets the next round start from the best earlier one.

    `when: before_training` asks before each round, of the policy that it starts from and so of the judge that would
    label it, round 0's too. Where it fires with `action: stop`, nothing of that round is sampled or trained, and the
    policy that was measured stays as good as it was.
    """

    metric: Annotated[str, needed("the measurement")]
    above: float | None = setting(None, "fires above this limit")
    below: float | None = setting(None, "fires below this limit")
    against: Literal["level", "initial", "initial_ratio"] = setting("level", "what the limit is about")
    pool: Literal["gate", "train", "frozen"] = setting("gate", "of which pool")
    cohort: str = setting("all", "of which cohort")
    proof: Literal["harm", "health"] = setting("harm", "what the interval has to show")
    action: Literal["stop", "rollback", "warn"] = setting("warn", "what happens")
    when: Literal["after_round", "before_training"] = setting("after_round", "about what was trained, or will be")


@section
class GatesRecipe(Section):
    """`min_readable`: below this share of readable verdicts the round stops before anything is paired.

    `rules` are judged after every round, or before it; none by default. `error` is the chance that one run without any
    harm sees a rule with `proof: harm` fire, split evenly over `planned_rounds` (all where null) and these rules.
    `select_by`: whose word on the selection pool chooses the best round, as `gates.best_round` says: the loop's own
    judge's, the held-out one's (`measure.held_out`) or the verifier's (`measure.verifier`; not the sandbox's, which no
    user has). `canary`: before round 1 trains, are its pairs better than chance by the truth that stands beside the
    judge (measuring/canary/)? `require` stops the run unless it says "train".
    """

    min_readable: float = setting(0.5, "share of readable verdicts, at least", minimum=0, maximum=1, horizon=True)
    rules: list[GateRule] = part(list, "what must not happen", horizon=True)
    error: float = setting(0.05, "chance that a run without harm sees a gate fire", above=0, below=0.5, horizon=True)
    planned_rounds: int | None = setting(None, "rounds over which that is split; null: all", minimum=1, horizon=True)
    select_by: SelectBy = setting("judge", "whose word chooses the best round")
    canary: Literal["off", "warn", "require"] = setting("off", "are round 1's pairs better than chance?", horizon=True)
