"""A pairing section is checked before anything is sampled: no key that nobody consumes, nothing that cannot work."""

from selfreward.errors import RecipeError
from selfreward.pairing.answers import load_rule
from selfreward.recipe import LOSS_READS, FiltersRecipe, PairsRecipe, Recipe

_DEFAULT = PairsRecipe()
_CONSUMERS = {
    "rho": ("length_tiers", "z_length"),
    "per_prompt": ("verified", "spin"),
    "min_vote_share": ("self_consistency",),
}
"""Key -> the rules that read it; set with another rule it would be accepted and ignored."""


def check_pairs(recipe: Recipe) -> None:
    """Raise RecipeError for a key of `pairs` that contradicts another, or that the rule would ignore."""
    pairs, needs = recipe.pairs, load_rule(recipe.pairs.rule).needs
    for key, rules in _CONSUMERS.items():
        if getattr(pairs, key) != getattr(_DEFAULT, key) and pairs.rule not in rules:
            raise RecipeError(f"key 'pairs.{key}' is read by {' and '.join(rules)} only; pairs.rule is {pairs.rule!r}")
    if not pairs.rho or any(not rho >= 0 for rho in pairs.rho):
        raise RecipeError(f"key 'pairs.rho' is {list(pairs.rho)}; expected one number per round, each at least 0")
    if pairs.rule == "length_tiers" and max(pairs.rho) > 1:
        raise RecipeError(f"key 'pairs.rho' is {list(pairs.rho)}; expected widths of at most 1 for length_tiers")
    no_truth = recipe.measure.verifier == "none"
    shares = pairs.mix.earlier_share + pairs.mix.external_share
    judged = needs == "scores" and pairs.score == "judge"
    for wrong, message in (
        *_scores(recipe, needs),
        *_labels(recipe, needs),
        (needs == "truth" and no_truth, f"pairs.rule={pairs.rule} needs a verifier; set measure.verifier"),
        (
            pairs.filters.verifier_conflict and no_truth,
            "pairs.filters.verifier_conflict needs a verifier; set measure.verifier",
        ),
        (
            pairs.filters.max_spread is not None and not judged,
            "pairs.filters.max_spread needs several judgments of each answer, but no judge scores them here",
        ),
        (
            pairs.filters.max_class_share is None and pairs.filters.class_of != FiltersRecipe().class_of,
            "pairs.filters.class_of is read with pairs.filters.max_class_share only; set it",
        ),
        (
            pairs.consistency != "none" and "label" not in LOSS_READS[recipe.train.loss],
            f"pairs.consistency softens the labels, which train.loss={recipe.train.loss} does not read",
        ),
        (
            pairs.mix.external is not None and "win_rates" in LOSS_READS[recipe.train.loss],
            f"train.loss={recipe.train.loss} reads win rates, which the pairs of pairs.mix.external do not have",
        ),
        (shares >= 1, f"pairs.mix: the shares add up to {shares:g}; expected less than 1, the rest is the round's own"),
        (
            (pairs.mix.external is None) != (pairs.mix.external_share == 0),
            "pairs.mix.external (a file) and pairs.mix.external_share (above 0) are used together; set both or none",
        ),
        (
            pairs.length != _DEFAULT.length
            and pairs.rule not in _CONSUMERS["rho"]
            and pairs.filters.max_length_ratio is None,
            f"key 'pairs.length' is read by {' and '.join(_CONSUMERS['rho'])} and with pairs.filters.max_length_ratio "
            f"only; pairs.rule is {pairs.rule!r}",
        ),
        (
            pairs.mix.earlier != "previous" and pairs.mix.earlier_share == 0,
            "pairs.mix.earlier is read with pairs.mix.earlier_share only; set it above 0",
        ),
    ):
        if wrong:
            raise RecipeError(message)


def _scores(recipe: Recipe, needs: str) -> list[tuple[bool, str]]:
    """Contradictions about where the scores come from."""
    pairs, judge = recipe.pairs, recipe.judge
    implicit = pairs.score == "implicit_reward"
    return [
        (
            implicit and needs != "scores",
            f"pairs.score=implicit_reward is not read by pairs.rule={pairs.rule}, which needs no score",
        ),
        (
            implicit and judge.control != "none",
            "judge.control shuffles the judge's scores, but pairs.score=implicit_reward does not read them",
        ),
        (
            implicit and pairs.min_judgments > 1,
            "pairs.min_judgments counts judgments, which an implicit reward has not",
        ),
        (
            pairs.consistency != "none" and not implicit,
            "pairs.consistency compares the implicit rewards of two policies; set pairs.score=implicit_reward",
        ),
        (
            pairs.consistency == "none" and pairs.inconsistent != _DEFAULT.inconsistent,
            "pairs.inconsistent is read with pairs.consistency only; set it to set or prompt",
        ),
        (
            not implicit and pairs.implicit_reference != _DEFAULT.implicit_reference,
            "pairs.implicit_reference is read with pairs.score=implicit_reward only",
        ),
        (
            judge.source == "none" and judge.control != "none",
            "judge.control shuffles the judge's scores, but judge.source=none gives none",
        ),
        (
            judge.source == "none" and needs == "scores" and not implicit,
            f"judge.source=none leaves pairs.rule={pairs.rule} without scores; set pairs.score=implicit_reward",
        ),
    ]


def _labels(recipe: Recipe, needs: str) -> list[tuple[bool, str]]:
    """Contradictions about soft labels: a judge's probabilities on pairs of two answers that it has compared."""
    pairs, judge, train = recipe.pairs, recipe.judge, recipe.train
    clamped = (
        pairs.label == "hard" and judge.pairwise.clamp is not None,
        "judge.pairwise.clamp is read with pairs.label=soft only: it bounds the labels, not the ratings",
    )
    if pairs.label == "hard":
        return [clamped]
    read = judge.protocol == "pairwise" and judge.pairwise.reading != "verdict"
    return [
        (
            not read,
            "pairs.label=soft needs a judge that gives probabilities of two answers side by side; set "
            "judge.protocol=pairwise with judge.pairwise.reading=probability or rationale",
        ),
        (
            judge.source not in ("model", "verifier_then_model") or judge.control != "none",
            f"pairs.label=soft reads the judge's own comparisons, which judge.source={judge.source} with "
            f"judge.control={judge.control} does not give; set judge.source=model and judge.control=none",
        ),
        (
            judge.pairwise.comparisons != "all",
            f"pairs.label=soft needs every two answers compared, and judge.pairwise.comparisons="
            f"{judge.pairwise.comparisons} leaves pairs without a label; set it to all",
        ),
        (
            needs != "scores" or pairs.score != "judge",
            f"pairs.label=soft: pairs.rule={pairs.rule} with pairs.score={pairs.score} does not pair two answers by "
            "the judge; choose a rule that pairs judged answers, with pairs.score=judge",
        ),
        (
            pairs.rule == "z_length",
            "pairs.label=soft: pairs.rule=z_length corrects the scores for length, which the judge's probabilities do "
            "not know; choose another rule",
        ),
        (
            train.method != "dpo",
            f"pairs.label=soft softens the labels, which train.method={train.method} does not read; set it to dpo",
        ),
        (
            "label" not in LOSS_READS[train.loss],
            f"pairs.label=soft softens the labels, which train.loss={train.loss} does not read; choose another loss",
        ),
    ]
