"""What a recipe must not say about its pairs: rules, scores, labels and filters that do not go together."""

from collections.abc import Iterator

from selfreward.recipe.check_generators import generators_that_cannot_work
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.pair_filters import FiltersRecipe
from selfreward.recipe.pairs import (
    BestVsWorst,
    LengthTiers,
    MixRecipe,
    OwnRule,
    PairsBase,
    Scored,
    Verified,
    ZLength,
)
from selfreward.recipe.prompts import GenerateRecipe, SandboxSource
from selfreward.recipe.recipe import Recipe, asked_per_round
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.recipe.train import DpoRecipe, PolicyGradient

Found = Iterator[tuple[bool, str]]


def pairs_that_cannot_work(recipe: Recipe) -> Found:
    """Contradictions of `pairs` with itself and with the other sections."""
    pairs, filters = recipe.pairs, recipe.pairs.filters
    lengthy = isinstance(pairs, LengthTiers | ZLength)
    if isinstance(pairs, LengthTiers | ZLength):
        told = f"key 'pairs.rho' is {list(pairs.rho)}; expected"
        yield not pairs.rho or min(pairs.rho) < 0, f"{told} one number per round, each at least 0"
        yield isinstance(pairs, LengthTiers) and max(pairs.rho) > 1, f"{told} widths of at most 1 for length_tiers"
    for wrong, key in (
        (isinstance(pairs, Verified), f"pairs.rule={pairs.rule}"),
        (filters.verifier_conflict, "pairs.filters.verifier_conflict"),
    ):
        yield wrong and recipe.measure.verifier == "none", f"{key} needs a verifier; set measure.verifier"
    yield (
        filters.max_spread is not None and (not isinstance(pairs, Scored) or pairs.implicit is not None),
        "pairs.filters.max_spread needs several judgments of each answer, but no judge scores them here",
    )
    comparing = recipe.judge.comparing
    told = "pairs.filters.min_judge_margin reads the judge's probabilities of every two answers"
    yield (
        filters.min_judge_margin is not None
        and (comparing is None or recipe.judge.reading.kind == "verdict" or comparing.comparisons != "all"),
        f"{told}; set judge.question=comparison with comparisons=all and judge.reading=probability or rationale",
    )
    yield (
        filters.min_judge_margin is not None
        and (not isinstance(pairs, Scored) or pairs.implicit is not None or not recipe.judge.asks_model),
        f"{told}, but no judge scores them here",
    )
    yield (
        filters.max_class_share is None and filters.class_of != FiltersRecipe().class_of,
        "pairs.filters.class_of is read with pairs.filters.max_class_share only; set it",
    )
    yield (
        pairs.length != "characters" and not lengthy and filters.max_length_ratio is None,
        f"key 'pairs.length' is read by pairs.rule=length_tiers and z_length and with pairs.filters.max_length_ratio "
        f"only; pairs.rule is {pairs.rule!r}",
    )
    span = HIGHEST - LOWEST
    on_scale = isinstance(pairs, Scored) and pairs.implicit is None and not isinstance(pairs, ZLength | OwnRule)
    yield (
        on_scale and pairs.min_gap >= span,
        f"key 'pairs.min_gap' is {pairs.min_gap:g}, but scores lie between {LOWEST:g} and {HIGHEST:g}, so no two would "
        "differ by more; lower it",
    )
    yield from generators_that_cannot_work(recipe)
    yield from _mix(pairs.mix)
    yield from _given(recipe)
    yield from _scores(recipe, pairs, recipe.judge)
    yield from _labels(recipe)


def _mix(mix: MixRecipe) -> Found:
    shares = mix.earlier_share + mix.external_share
    yield (
        shares >= 1 and not (mix.alone and not mix.earlier_share),
        f"pairs.mix: the shares add up to {shares:g}; expected less than 1, the rest is the round's own, or "
        "external_share=1 alone",
    )
    yield (
        (mix.external is None) != (mix.external_share == 0),
        "pairs.mix.external (a file) and pairs.mix.external_share (above 0) are used together; set both or none",
    )
    yield (
        mix.earlier != "previous" and mix.earlier_share == 0,
        "pairs.mix.earlier is read with pairs.mix.earlier_share only; set it above 0",
    )


def _given(recipe: Recipe) -> Found:
    """Where a file's pairs are the only ones, nothing is asked and nothing chosen."""
    pairs, alone = recipe.pairs, recipe.pairs.mix.alone
    told = "pairs.mix.external_share=1 leaves no pairs of the round's own"
    yield alone and recipe.judge.source != "none", f"{told} that could be judged; set judge.source=none"
    yield (
        alone and isinstance(recipe.train, PolicyGradient),
        f"{told}, and train.method={recipe.train.method} trains on rewards of own answers; use dpo",
    )
    yield (
        not asked_per_round(recipe) and recipe.prompts.writer.share > 0,
        "prompts.writer writes prompts that nobody answers here: all that is trained on is given; remove it",
    )
    yield from _own_responses(recipe)
    yield (
        alone and pairs != BestVsWorst(mix=pairs.mix, weights=pairs.weights),
        f"{told}: of the section pairs only mix and weights are read; remove its other keys",
    )


def _own_responses(recipe: Recipe) -> Found:
    """Where answers come from a file, nothing is sampled in training, and no other prompts are asked."""
    generate, default = recipe.generate, GenerateRecipe()
    if generate.source is None:
        return
    told = "generate.source brings the prompts and their responses"
    yield not asked_per_round(recipe), f"{told}, but nothing is judged or paired here; remove it"
    yield not isinstance(recipe.prompts.source, SandboxSource), f"{told}: key 'prompts.source' is not read; remove it"
    yield recipe.prompts.writer.share > 0, f"{told}, and has none for those that prompts.writer writes; remove one"
    for name in ("samples", "sampling", "mix"):
        yield (
            getattr(generate, name) != getattr(default, name),
            f"{told}: key 'generate.{name}' is not read, for nothing is sampled in training; remove it",
        )
    yield (
        isinstance(recipe.train, PolicyGradient),
        f"{told}, but train.method={recipe.train.method} learns from what the policy itself sampled; use dpo",
    )
    yield (
        recipe.reward_model is not None,
        f"{told}, and samples none, on which a reward_model could be trained; remove one of both",
    )
    yield (
        recipe.pairs.rule == "spin",
        f"{told}, but pairs.rule=spin sets gold answers against what the policy itself says; name another rule",
    )


def _scores(recipe: Recipe, pairs: PairsBase, judge: JudgeRecipe) -> Found:
    """Contradictions about where the scores come from."""
    implicit, train, asked = pairs.implicit, recipe.train, asked_per_round(recipe)
    if implicit is not None:
        yield (
            judge.control != "none",
            "judge.control shuffles the judge's scores, but pairs.score=implicit_reward does not read them",
        )
        yield (
            implicit.consistency == "none" and implicit.inconsistent != "clip",
            "pairs.score.inconsistent is read with pairs.score.consistency only; set it to set or prompt",
        )
        yield (
            implicit.consistency != "none" and isinstance(train, DpoRecipe) and "label" not in train.loss.READS,
            "pairs.score.consistency softens the labels, which this train.loss does not read",
        )
    yield (
        judge.source == "none" and judge.control != "none",
        "judge.control shuffles the judge's scores, but judge.source=none gives none",
    )
    yield (
        judge.source == "none"
        and isinstance(pairs, Scored)
        and not isinstance(pairs, OwnRule)
        and implicit is None
        and asked > 0
        and not isinstance(train, PolicyGradient),
        f"judge.source=none leaves pairs.rule={recipe.pairs.rule} without scores; set pairs.score=implicit_reward",
    )


def _labels(recipe: Recipe) -> Found:
    """Contradictions about soft labels: a judge's probabilities on pairs of two answers that it has compared."""
    pairs, judge, train = recipe.pairs, recipe.judge, recipe.train
    comparing = judge.comparing
    yield (
        not pairs.soft and comparing is not None and comparing.clamp is not None,
        "judge.question.clamp is read with pairs.label=soft only: it bounds the labels, not the ratings",
    )
    if not pairs.soft:
        return
    yield (
        comparing is None or judge.reading.kind == "verdict",
        "pairs.label=soft needs a judge that gives probabilities of two answers side by side; set "
        "judge.question=comparison with judge.reading=probability or rationale",
    )
    yield (
        not judge.asks_model or judge.control != "none",
        f"pairs.label=soft reads the judge's own comparisons, which judge.source={judge.source} with "
        f"judge.control={judge.control} does not give; set judge.source=model and judge.control=none",
    )
    yield (
        comparing is not None and comparing.comparisons != "all",
        "pairs.label=soft needs every two answers compared; set judge.question.comparisons=all",
    )
    yield pairs.implicit is not None, "pairs.label=soft: pairs.score=implicit_reward does not ask the judge"
    yield (
        not isinstance(train, DpoRecipe),
        f"pairs.label=soft softens the labels, which train.method={train.method} does not read; set it to dpo",
    )
    yield (
        isinstance(train, DpoRecipe) and "label" not in train.loss.READS,
        "pairs.label=soft softens the labels, which this train.loss does not read; choose another loss",
    )
